/**
 * Reading and compacting take the same memory at any number of points. The numbers are those of the whole process, main
 * thread included, over what it had when its store was open; reading and compacting are in processes of their own.
 */
import { expect, test } from 'vitest'
import { ChildProgram } from './child-program.ts'
import { reportFigures, shortOrLong } from './fault-run.ts'
import { temporaryDirectory } from './temporary-directory.ts'

const MEGABYTE = 1_048_576
const MAX_BYTES = 200 * MEGABYTE
const LIFETIME_MS = shortOrLong(60_000, 1_800_000)

test('a scan, a resampling and a compaction of many points stay under 200 MB over the idle store', {
  timeout: 3 * LIFETIME_MS,
}, async () => {
  const points = shortOrLong(3_000_000, 100_000_000)
  const dir = temporaryDirectory()
  const figures = new Map<string, number>()
  for (const work of ['fill', 'compact', 'read']) {
    const program = ChildProgram.start('series-reader', { arguments: { dir, points, work }, lifetimeMs: LIFETIME_MS })
    expect(await program.ended, program.errorText).toEqual({ code: 0, signal: null })
    for (const line of program.lines.filter((each) => each.startsWith('peak'))) {
      const [, name, bytes, ms] = line.split(' ')
      figures.set(name as string, Number(bytes))
      reportFigures(`series: ${name} of ${points}, ${Math.round(Number(bytes) / MEGABYTE)} MB over idle, ${ms} ms`)
    }
  }
  expect([...figures.keys()]).toEqual(['append', 'correct', 'compact', 'scan', 'resample', 'aggregate'])
  for (const name of ['compact', 'scan', 'resample', 'aggregate']) {
    expect(figures.get(name), name).toBeLessThan(MAX_BYTES)
  }
})
