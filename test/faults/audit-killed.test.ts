/**
 * SIGKILL, a dying worker and a full disk while entries are appended inside transactions: the chain holds, what was
 * acknowledged is there once, and no change is without its entry.
 */
import { expect, test } from 'vitest'
import type { Store } from '../../src/index.ts'
import { ChildProgram } from './child-program.ts'
import { reportFigures, seededRandom, shortOrLong } from './fault-run.ts'
import type { AuditorArguments } from './programs/auditor.ts'
import { canMount, SmallDisk } from './small-disk.ts'
import { temporaryDirectory } from './temporary-directory.ts'
import { openTestStore, openWithFailpoint } from './worker-faults.ts'

const LONG_TEST_MS = 1_800_000
const POINTS = ['commit:begun', 'commit:before-commit', 'commit:after-commit', 'audit:notes-taken'] as const

/** Keys of the documents, and causes of the entries, in order. */
async function expectExplained(store: Store, acknowledged: ReadonlySet<string>): Promise<number> {
  const { ok, problems } = await store.audit.verify()
  expect(problems).toEqual([])
  expect(ok).toBe(true)
  const causes = (await store.audit.list({ event: 'run.wrote' })).map(({ causationId }) => causationId)
  expect(new Set(causes).size).toBe(causes.length)
  expect(causes.sort()).toEqual(
    store.kv
      .list()
      .map(({ key }) => key)
      .sort(),
  )
  const found = new Set(causes)
  expect([...acknowledged].filter((key) => !found.has(key))).toEqual([])
  return causes.length
}

test(
  'whoever is killed while appending leaves a chain that holds, every acknowledged entry, and no change without one',
  async () => {
    const random = seededRandom('audit killed')
    const dir = temporaryDirectory()
    await (await openTestStore(dir)).close()
    const acknowledged = new Set<string>()
    const kills = shortOrLong(4, 120)
    for (let round = 0; round < kills; round++) {
      const given: AuditorArguments = { dir, round }
      const point = round % 2 === 0 ? random.pick(POINTS) : undefined
      const hit = point === 'audit:notes-taken' ? 1 : random.between(1, 60)
      const environment: Record<string, string> =
        point === undefined ? {} : { HOLDFAST_FAILPOINT: `${point}=kill@${hit}` }
      const program = ChildProgram.start('auditor', { arguments: given, environment })
      if (point === undefined) {
        await program.line('open')
        await new Promise((resolve) => setTimeout(resolve, random.between(0, 400)))
        program.kill('SIGKILL')
      }
      expect((await program.ended).signal, program.errorText).toBe('SIGKILL')
      for (const line of program.lines) if (line.startsWith('durable ')) acknowledged.add(line.slice(8))
      const store = await openTestStore(dir)
      await expectExplained(store, acknowledged)
      await store.close()
    }
    reportFigures(`audit: ${kills} kills, ${acknowledged.size} entries acknowledged`)
    expect(acknowledged.size).toBeGreaterThan(0)
  },
  LONG_TEST_MS,
)

test.each(['commit:begun', 'commit:before-commit', 'commit:after-commit'] as const)(
  'each entry is there exactly once when the worker dies at %s, in a transaction or alone',
  async (name) => {
    const random = seededRandom(`audit exit ${name}`)
    for (let round = 0; round < shortOrLong(1, 12); round++) {
      const store = await openWithFailpoint(temporaryDirectory(), `${name}=exit@${random.between(1, 6)}`, {})
      const written: Promise<unknown>[] = []
      for (let turn = 0; turn < 20; turn++) {
        const key = `k-${turn}`
        written.push(
          store.transaction((tx) => {
            tx.kv.put({ key, value: turn })
            tx.audit.append({ actor: 'a', event: 'run.wrote', causationId: key })
          }),
          store.audit.append({ actor: 'a', event: 'run.alone', causationId: key }),
        )
        // At least as many commits as the failpoint waits for.
        if (turn % 3 === 2) await Promise.all(written)
      }
      await Promise.all(written)
      expect(store.stats().workerRestarts).toBe(1)
      await expectExplained(store, new Set(Array.from({ length: 20 }, (_, turn) => `k-${turn}`)))
      expect(await store.audit.list({ event: 'run.alone' })).toHaveLength(20)
      expect(await store.audit.list({ event: 'worker.restarted' })).toHaveLength(1)
      await store.close()
    }
  },
  LONG_TEST_MS,
)

test.skipIf(!canMount)(
  'on a full disk a change is refused with its entry, and neither is half there',
  async () => {
    const disk = new SmallDisk(8 * 1_048_576)
    const store = await openTestStore(`${disk.dir}/store`)
    const acknowledged = new Set<string>()
    const write = async (label: string, count: number) => {
      const codes = new Set<string>()
      for (let n = 0; n < count; n++) {
        const key = `${label}-${n}`
        await store
          .transaction((tx) => {
            tx.kv.put({ key, value: 'x'.repeat(2_000) })
            tx.audit.append({ actor: 'a', event: 'run.wrote', data: { text: 'y'.repeat(4_000) }, causationId: key })
          })
          .then(
            () => acknowledged.add(key),
            (error: { readonly code: string }) => codes.add(error.code),
          )
      }
      return codes
    }
    await write('before', 5)
    disk.fill()
    expect([...(await write('full', 3_000))]).toEqual(['DISK_FULL'])
    disk.free()
    expect([...(await write('after', 5))]).toEqual([])
    await expectExplained(store, acknowledged)
    await store.close()
    const again = await openTestStore(`${disk.dir}/store`)
    await expectExplained(again, acknowledged)
    await again.close()
  },
  LONG_TEST_MS,
)
