/** However a program ends, what it had accepted is durable, and its exit code is its own. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ChildProgram, type Ending } from './child-program.ts'
import { openStore } from './compiled-store.ts'
import { seededRandom, shortOrLong } from './fault-run.ts'
import type { LeaverArguments } from './programs/leaver.ts'
import { KDF, PASSWORD } from './store-settings.ts'
import { hasStrace, WITHOUT_STRACE } from './strace.ts'
import { temporaryDirectory } from './temporary-directory.ts'

const WRITES = 3_000

if (!hasStrace) console.log(`the end of a process on a slow disk: ${WITHOUT_STRACE}`)

async function leave(
  given: LeaverArguments,
  meanwhile?: (program: ChildProgram) => Promise<void>,
): Promise<Ending & { readonly errorText: string }> {
  const program = ChildProgram.start('leaver', { arguments: given })
  await meanwhile?.(program)
  const ending = await program.ended
  return { ...ending, errorText: program.errorText }
}

async function expectEverythingThere(dir: string, writes: number): Promise<void> {
  const store = await openStore({ dir, password: PASSWORD, create: false })
  try {
    expect(store.kv.size).toBe(writes)
    expect(store.positions.size).toBe(writes)
    expect(store.flags.size).toBe(writes)
    const [row] = await store.sql<{ n: number }>('select max("_version") n from kv')
    expect(row?.n).toBe(1)
  } finally {
    await store.close()
  }
}

test('writes that nobody awaited are durable after process.exit', async () => {
  const dir = temporaryDirectory()
  const ending = await leave({ dir, how: 'exit', writes: WRITES, afterMs: 0 })
  expect(ending).toEqual({ code: 3, signal: null, errorText: '' })
  await expectEverythingThere(dir, WRITES)
})

test.skipIf(!hasStrace)('so are they on a disk that takes seconds for each batch', async () => {
  const dir = temporaryDirectory()
  const writes = 5_000
  const ending = await leave({ dir, how: 'exit on a slow disk', writes, afterMs: 2_000 })
  expect(ending).toEqual({ code: 3, signal: null, errorText: '' })
  await expectEverythingThere(dir, writes)
})

test('so are they after the program ends without closing the store', async () => {
  const dir = temporaryDirectory()
  const ending = await leave({ dir, how: 'fall off the end', writes: WRITES, afterMs: 0 })
  expect(ending).toEqual({ code: 0, signal: null, errorText: '' })
  await expectEverythingThere(dir, WRITES)
})

test('so are they after an error that the program did not catch', async () => {
  const dir = temporaryDirectory()
  const { code, signal, errorText } = await leave({ dir, how: 'throw', writes: WRITES, afterMs: 0 })
  expect({ code, signal }).toEqual({ code: 1, signal: null })
  expect(errorText).toContain('the program failed')
  expect(errorText).not.toContain('FATAL ERROR')
  await expectEverythingThere(dir, WRITES)
})

test.each([
  'SIGTERM',
  'SIGINT',
] as const)('with closeOnSignals %s closes the store and then ends the program', async (name) => {
  const dir = temporaryDirectory()
  const ending = await leave({ dir, how: 'signal', writes: WRITES, afterMs: 0 }, async (program) => {
    await program.line('accepted')
    program.kill(name)
  })
  expect(ending).toEqual({ code: null, signal: name, errorText: '' })
  expect(existsSync(join(dir, 'state.db-wal')), 'a closed store has no WAL').toBe(false)
  await expectEverythingThere(dir, WRITES)
})

test('process.exit with long reads under way ends the program at once and with its own exit code', async () => {
  const dir = temporaryDirectory()
  const random = seededRandom('exit while reading')
  for (let n = 0; n < shortOrLong(1, 10); n++) {
    const startedAt = performance.now()
    const afterMs = random.between(0, 60)
    const ending = await leave({ dir, how: 'exit while reading', writes: 2_000, afterMs })
    expect(ending, `after ${afterMs} ms`).toEqual({ code: 3, signal: null, errorText: '' })
    expect(performance.now() - startedAt).toBeLessThan(10_000)
  }
})

test('process.exit while a store is being opened or created ends the program with its own exit code', async () => {
  const random = seededRandom('exit while opening')
  const root = temporaryDirectory()
  for (let n = 0; n < shortOrLong(3, 60); n++) {
    const dir = join(root, `${n % 10}`)
    const afterMs = random.between(1, 350)
    const ending = await leave({ dir, how: 'exit while opening', writes: 0, afterMs })
    expect(ending, `after ${afterMs} ms`).toEqual({ code: 3, signal: null, errorText: '' })
    const store = await openStore({ dir, password: PASSWORD, kdf: KDF })
    expect(store.kv.size).toBe(0)
    await store.close()
  }
}, 300_000)
