/**
 * A disk that fails an fsync: the writes that relied on it are refused, the process goes on, and whoever opens the store
 * next finds everything that was acknowledged and nothing that was refused.
 */
import { expect, test } from 'vitest'
import { ChildProgram } from './child-program.ts'
import { differences, ExpectedContent } from './expected-content.ts'
import { reportFigures, seed, seededRandom, shortOrLong } from './fault-run.ts'
import type { WriterArguments } from './programs/writer.ts'
import { storedContent } from './stored-content.ts'
import { hasStrace, WITHOUT_STRACE, withFault } from './strace.ts'
import { temporaryDirectory } from './temporary-directory.ts'
import { openTestStore } from './worker-faults.ts'
import { type Step, workload } from './workload.ts'

const LONG_TEST_MS = 1_200_000
/** strace counts in each thread of libuv's pool. The few fsyncs of opening are left alone. */
const FIRST_FAILING = [8, 16] as const

if (!hasStrace) console.log(`failing fsync: ${WITHOUT_STRACE}`)

interface Report {
  readonly steps: readonly Step[]
  readonly durable: ReadonlySet<number>
  readonly failed: ReadonlyMap<number, string>
}

function readReport(program: ChildProgram, given: WriterArguments): Report {
  const words = program.lines.map((line) => line.split(' '))
  const about = (word: string) => words.filter(([first]) => first === word)
  expect(about('finding')).toEqual([])
  const steps = workload(given)
  const issued = Number(about('issued').at(-1)?.[1] ?? 0)
  return {
    steps: Array.from({ length: issued }, () => steps.next().value as Step),
    durable: new Set(about('durable').map(([, index]) => Number(index))),
    failed: new Map(about('failed').map(([, index, code = '']) => [Number(index), code])),
  }
}

test.skipIf(!hasStrace)(
  'writes whose fsync fails are refused, and only those that were acknowledged are found later',
  async () => {
    const random = seededRandom('failing fsync')
    let refused = 0
    for (let round = 0; round < shortOrLong(1, 15); round++) {
      const dir = temporaryDirectory()
      await (await openTestStore(dir)).close()
      const given: WriterArguments = {
        dir,
        seed: `${seed}/failing fsync`,
        round,
        guarded: false,
        migrations: null,
        steps: 3_000,
      }
      const fault = `fsync:error=EIO:when=${random.between(...FIRST_FAILING)}+${random.between(2, 9)}`
      const program = ChildProgram.start('writer', { arguments: given, under: withFault(fault) })
      const ending = await program.ended
      expect(ending, `${fault} ${program.errorText}`).toEqual({ code: 0, signal: null })
      const { steps, durable, failed } = readReport(program, given)
      expect(durable.size + failed.size).toBe(steps.length)
      const codes = [...failed].filter(([index]) => steps[index]?.outcome === 'durable').map(([, code]) => code)
      expect(codes, fault).toContain('IO_ERROR')
      refused += codes.length

      const store = await openTestStore(dir)
      for (const file of ['state', 'market'] as const) {
        const expected = new ExpectedContent()
        for (const step of steps) if (step.file === file && durable.has(step.index)) expected.apply(step.writes)
        expect(differences(expected.documents, await storedContent(store, file)), fault).toEqual([])
      }
      expect(await store.check()).toEqual([])
      await store.close()
    }
    reportFigures(`failing fsync: ${refused} steps refused`)
  },
  LONG_TEST_MS,
)

test.skipIf(!hasStrace)(
  'a process that is killed after a failed fsync leaves a store that opens with all that was acknowledged',
  async () => {
    const random = seededRandom('failing fsync and kill')
    for (let round = 0; round < shortOrLong(2, 30); round++) {
      const dir = temporaryDirectory()
      await (await openTestStore(dir)).close()
      const given: WriterArguments = {
        dir,
        seed: `${seed}/failing fsync and kill`,
        round,
        guarded: false,
        migrations: null,
        steps: 1_000_000,
      }
      const fault = `fsync:error=EIO:when=${random.between(...FIRST_FAILING)}+${random.between(2, 9)}`
      const program = ChildProgram.start('writer', { arguments: given, under: withFault(fault) })
      await program.line(/^failed \d+ IO_ERROR/)
      setTimeout(() => program.kill('SIGKILL'), random.between(0, 150))
      await program.ended
      const { steps, durable } = readReport(program, given)

      const store = await openTestStore(dir)
      const found = await storedContent(store, 'state')
      const inserted = steps.filter(({ index }) => durable.has(index)).flatMap((step) => step.writes)
      for (const { collection, key } of inserted.filter((write) => write.collection === 'fills')) {
        expect(found.has(`${collection}/${key}`), `${fault}: ${collection}/${key}`).toBe(true)
      }
      expect(await store.check()).toEqual([])
      await store.close()
    }
  },
  LONG_TEST_MS,
)

test.skipIf(!hasStrace).each([
  { recovers: true, kept: ['before', 'short-0', 'short-1', 'short-2', 'short-3', 'short-4'] },
  { recovers: false, kept: ['before'] },
])(
  'what was refused for a failed fsync stays refused, and is not taken for damage (writes after it: $recovers)',
  async ({ recovers, kept }) => {
    const dir = temporaryDirectory()
    const program = ChildProgram.start('failing-fsyncs', { arguments: { dir, recovers } })
    expect((await program.ended).signal, program.errorText).toBe('SIGKILL')
    expect(program.lines.slice(1)).toEqual([
      'refused long IO_ERROR',
      'refused shorter IO_ERROR',
      ...(recovers ? ['durable short'] : []),
    ])
    const store = await openTestStore(dir)
    expect(store.kv.list().map(({ key }) => key)).toEqual(kept)
    expect(await store.check()).toEqual([])
    await store.close()
  },
)
