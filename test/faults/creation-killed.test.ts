/** A process that dies while it creates a store leaves nothing that a person would have to clear away. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ChildProgram } from './child-program.ts'
import { openStore } from './compiled-store.ts'
import { reportFigures, seededRandom, shortOrLong } from './fault-run.ts'
import { KDF, PASSWORD } from './store-settings.ts'
import { storedContent } from './stored-content.ts'
import { hasStrace, WITHOUT_STRACE, withFault } from './strace.ts'
import { temporaryDirectory } from './temporary-directory.ts'

const LONG_TEST_MS = 1_200_000
const CREATION_POINTS = ['create:databases-made', 'create:keyring-written', 'create:first-renamed'] as const

/** Opens what the dead process left with the same password and uses it. */
async function expectEmptyWorkingStore(dir: string): Promise<void> {
  const store = await openStore({ dir, password: PASSWORD, kdf: KDF })
  try {
    expect(await storedContent(store, 'state')).toEqual(new Map())
    await store.kv.set('first', 'write')
    expect(await store.check()).toEqual([])
  } finally {
    await store.close()
  }
  const again = await openStore({ dir, password: PASSWORD, create: false })
  expect(again.kv.value('first')).toBe('write')
  await again.close()
  expect(
    readdirSync(dir)
      .filter((name) => name !== 'keyring.lock')
      .sort(),
  ).toEqual(['audit-head.json', 'keyring.backup.json', 'keyring.json', 'lock', 'market.db', 'owner.json', 'state.db'])
}

test.each(CREATION_POINTS)('a process killed at %s leaves what opens as an empty store', async (name) => {
  const dir = join(temporaryDirectory(), 'store')
  const program = ChildProgram.start('opener', {
    arguments: { dir, migrations: null },
    environment: { HOLDFAST_FAILPOINT: `${name}=kill@1` },
  })
  expect(await program.ended, program.errorText).toEqual({ code: null, signal: 'SIGKILL' })
  await expectEmptyWorkingStore(dir)
})

if (!hasStrace) console.log(`creation killed at system calls: ${WITHOUT_STRACE}`)

test.skipIf(!hasStrace)(
  'so does one killed at any of the system calls that create files, name them and make them durable',
  async () => {
    const random = seededRandom('creation')
    const kills = new Map<string, number>()
    const killAt = async (call: string, hit: number): Promise<boolean> => {
      const dir = join(temporaryDirectory(), 'store')
      const program = ChildProgram.start('opener', {
        arguments: { dir, migrations: null },
        under: withFault(`${call}:signal=SIGKILL:when=${hit}`),
      })
      const { signal } = await program.ended
      if (signal !== 'SIGKILL') return false
      kills.set(call, (kills.get(call) ?? 0) + 1)
      await expectEmptyWorkingStore(dir).catch((error: unknown) => {
        throw new Error(`killed at ${call} number ${hit}: ${String(error)}`, { cause: error })
      })
      return true
    }
    for (const call of [
      'rename',
      ...(shortOrLong(0, 1) === 1 ? ['mkdir', 'chmod', 'fchmod', 'fsync', 'unlink', 'ftruncate'] : []),
    ]) {
      for (let hit = 1; await killAt(call, hit); hit++);
    }
    for (let n = 0; n < shortOrLong(1, 40); n++) await killAt('pwrite64', random.between(1, shortOrLong(20, 150)))
    reportFigures(`creation: killed at ${[...kills].map(([call, count]) => `${count} x ${call}`).join(', ')}`)
    expect(kills.get('rename'), 'each of the two copies of the keyring is renamed into place').toBeGreaterThanOrEqual(2)
    expect(kills.get('pwrite64')).toBeGreaterThanOrEqual(1)
  },
  LONG_TEST_MS,
)
