/**
 * A check from another process beside an owner that gives its store one data key after the other. What it reads may be
 * under a key that was not there when it was opened: that is no damage, and must never be taken for it.
 */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ChildProgram } from './child-program.ts'
import { ownCollections } from './collections.ts'
import { isStoreError, openStore } from './compiled-store.ts'
import { reportFigures, shortOrLong } from './fault-run.ts'
import type { RotatorArguments } from './programs/rotator.ts'
import { KDF, PASSWORD } from './store-settings.ts'
import { temporaryDirectory } from './temporary-directory.ts'
import type { TestStore } from './worker-faults.ts'

const CHECKS = shortOrLong(10, 300)
const FILLER = 2_000
/** Time for a check now and then. */
const PAUSE_MS = 700

async function storeWithFiller(): Promise<string> {
  const dir = join(temporaryDirectory(), 'store')
  const store = await openStore({ dir, password: PASSWORD, kdf: KDF, collections: ownCollections })
  await Promise.all(Array.from({ length: FILLER }, (_, n) => store.kv.set(`filler-${n}`, 'x'.repeat(1_000))))
  await store.close()
  return dir
}

function startRotator(dir: string): ChildProgram {
  const given: RotatorArguments = {
    dir,
    password: PASSWORD,
    rotates: 'data key',
    from: 0,
    keys: 10,
    nextPasswords: [],
    pauseMs: PAUSE_MS,
  }
  return ChildProgram.start('rotator', { arguments: given, lifetimeMs: shortOrLong(60_000, 1_300_000) })
}

async function codesOfCheck(dir: string): Promise<string[]> {
  let reader: TestStore
  try {
    reader = await openStore({ dir, password: PASSWORD, readOnly: true })
  } catch (error) {
    if (isStoreError(error)) return [error.code]
    throw error
  }
  try {
    return (await reader.check()).map(({ code }) => code).filter((code) => code !== 'DISK_NEARLY_FULL')
  } finally {
    await reader.close()
  }
}

test(
  'beside an owner that rotates without end no check finds damage',
  async () => {
    const dir = await storeWithFiller()
    const rotator = startRotator(dir)
    await rotator.line('rotating')
    const told = new Map<string, number>()
    for (let n = 0; n < CHECKS; n++) {
      const codes = await codesOfCheck(dir)
      told.set(codes.join(), (told.get(codes.join()) ?? 0) + 1)
    }
    const rotations = rotator.lines.filter((line) => line === 'rotated').length
    rotator.kill('SIGKILL')
    await rotator.ended
    expect(rotations).toBeGreaterThan(0)
    reportFigures(`${CHECKS} checks beside ${rotations} rotations: ${JSON.stringify([...told])}`)
    const allowed = ['', 'ROTATION_UNDER_WAY', 'BUSY_OPERATION']
    expect([...told.keys()].filter((codes) => !allowed.includes(codes))).toEqual([])
    // What was interrupted stands still, so that its pages can be looked at under either key.
    expect(await codesOfCheck(dir)).toEqual([])
  },
  shortOrLong(60_000, 1_400_000),
)

test('a store that was open beside a rotation says that it has to be opened again', async () => {
  const dir = await storeWithFiller()
  const owner = await openStore({ dir, password: PASSWORD, collections: ownCollections })
  const reader = await openStore({ dir, password: PASSWORD, readOnly: true })
  try {
    await owner.rotateDataKey()
    const findings = await reader.check()
    expect(findings.map(({ code }) => code)).toContain('ROTATION_UNDER_WAY')
    expect(findings.find(({ code }) => code === 'ROTATION_UNDER_WAY')).toMatchObject({ severity: 'warning' })
    expect(findings.filter(({ severity }) => severity === 'error')).toEqual([])
  } finally {
    await reader.close()
    await owner.close()
  }
  expect(await codesOfCheck(dir)).toEqual([])
})
