/** Reading and compacting take the same memory at any number of points. The numbers are those of the whole process. */
import { expect, test } from 'vitest'
import { ChildProgram } from './child-program.ts'
import { reportFigures, shortOrLong } from './fault-run.ts'
import { temporaryDirectory } from './temporary-directory.ts'

const MEGABYTE = 1_048_576
const MAX_BYTES = 200 * MEGABYTE

test('a scan, a resampling and a compaction of many points stay under 200 MB over the idle store', {
  timeout: 1_800_000,
}, async () => {
  const points = shortOrLong(3_000_000, 100_000_000)
  const program = ChildProgram.start('series-reader', { arguments: { dir: temporaryDirectory(), points } })
  expect(await program.ended, program.errorText).toEqual({ code: 0, signal: null })
  const figures = program.lines.filter((line) => line.startsWith('peak'))
  expect(figures.map((line) => line.split(' ')[1])).toEqual(['scan', 'resample', 'aggregate', 'compact'])
  for (const line of figures) {
    const [, work, bytes] = line.split(' ')
    reportFigures(`series: ${work} of ${points} points, ${Math.round(Number(bytes) / MEGABYTE)} MB over idle`)
    expect(Number(bytes), work).toBeLessThan(MAX_BYTES)
  }
})
