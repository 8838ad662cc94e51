/** Artifacts pass through the same memory whatever their size. The numbers are those of the whole process. */
import { expect, test } from 'vitest'
import { ChildProgram } from './child-program.ts'
import { reportFigures, shortOrLong } from './fault-run.ts'
import { temporaryDirectory } from './temporary-directory.ts'

const MIB = 1024 * 1024
const MAX_BYTES = 200 * MIB

test('a put, a get and a verification of a large artifact stay under 200 MiB over the idle store', {
  timeout: 1_800_000,
}, async () => {
  const bytes = shortOrLong(320, 2_048) * MIB
  const program = ChildProgram.start('artifact-copier', { arguments: { dir: temporaryDirectory(), bytes } })
  expect(await program.ended, program.errorText).toEqual({ code: 0, signal: null })
  expect(program.lines).toContain('same true')
  const figures = program.lines.filter((line) => line.startsWith('peak')).map((line) => line.split(' '))
  expect(figures.map(([, work]) => work)).toEqual(['put', 'get', 'verify'])
  for (const [, work, peak, ms] of figures) {
    const rate = Math.round(bytes / 1_000 / Number(ms))
    reportFigures(
      `artifacts: ${work} of ${bytes / MIB} MiB, ${Math.round(Number(peak) / MIB)} MiB over idle, ${rate} MB/s`,
    )
    expect(Number(peak), work).toBeLessThan(MAX_BYTES)
  }
})
