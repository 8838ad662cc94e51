/**
 * A wall clock that is set back or forward, by minutes or by years, while a store is written to, archived, backed up and
 * rotated: what is newest is what came last, not what the clock says, and every acknowledged moment can be brought back.
 */
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { expect, onTestFinished, test, vi } from 'vitest'
import { followArchive, isStoreError, listBackups, restoreArchive, restoreStore } from './compiled-store.ts'
import { reportFigures, seededRandom, shortOrLong } from './fault-run.ts'
import { JumpingClock } from './jumping-clock.ts'
import type { Random } from './random.ts'
import { PASSWORD } from './store-settings.ts'
import { temporaryDirectory } from './temporary-directory.ts'
import { openTestStore, type TestStore } from './worker-faults.ts'

vi.setConfig({ testTimeout: 1_200_000 })

const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS
const JUMPS_MS = [-2_000, -10 * MINUTE_MS, -3 * DAY_MS, -400 * DAY_MS, 10 * MINUTE_MS, 2 * DAY_MS, 300 * DAY_MS]
const SHIPPED = { timeout: 20_000, interval: 10 }

async function opened(root: string, keepGenerations = 100): Promise<TestStore> {
  const archive = { dir: join(root, 'archive'), intervalMs: 20, keepGenerations }
  const store = await openTestStore(join(root, 'store'), { archive })
  onTestFinished(() => store.close())
  await vi.waitFor(async () => expect((await store.status()).archive?.generation).toEqual(expect.any(String)), SHIPPED)
  return store
}

/** Returns the sequence that brings it back. */
async function write(store: TestStore, n: number): Promise<number> {
  await store.kv.set('n', n)
  const [row] = await store.sql(`select "_sequence" from main."kv" where "_key" = 'n'`)
  return Number(row?._sequence)
}

/** A generation of the archive that is being begun lets nothing else in, and says to try again. */
async function onceItMay<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    const outcome = await work().catch((error: unknown) => {
      if (!isStoreError(error) || error.code !== 'BUSY_OPERATION') throw error
      return undefined
    })
    if (outcome !== undefined) return outcome
    await setTimeout(20)
  }
}

async function newGeneration(store: TestStore): Promise<void> {
  const before = (await store.status()).archive?.generation
  await onceItMay(() => store.rotateDataKey())
  await vi.waitFor(async () => {
    const { archive } = await store.status()
    expect(archive?.generation, JSON.stringify(archive)).not.toBe(before)
    expect(archive?.generation, JSON.stringify(archive)).toEqual(expect.any(String))
  }, SHIPPED)
}

async function restoredValue(restored: Promise<{ readonly dir: string }>): Promise<unknown> {
  const { dir } = await restored
  const store = await openTestStore(dir, { readOnly: true })
  try {
    expect((await store.check()).filter(({ severity }) => severity === 'error')).toEqual([])
    return store.kv.value('n')
  } finally {
    await store.close()
  }
}

test('a clock set back between two generations of an archive leaves the later one the newest, for a restore, a standby and the next owner', async () => {
  const clock = new JumpingClock()
  const root = temporaryDirectory()
  const store = await opened(root, 2)
  await write(store, 1)
  for (const n of [2, 3, 4]) {
    clock.jump(-DAY_MS)
    await newGeneration(store)
    await write(store, n)
  }
  await store.close()
  const from = join(root, 'archive')
  expect(await restoredValue(restoreArchive({ from, dir: join(root, 'restored'), password: PASSWORD }))).toBe(4)

  clock.jump(-DAY_MS)
  const next = await opened(root, 2)
  const sequence = await write(next, 5)
  await next.close()
  const standby = await followArchive({ from, dir: join(root, 'standby'), pollMs: 20 })
  await standby.caughtUp(20_000)
  expect((await standby.status()).sequence).toBe(sequence)
  await standby.close()
  expect(await restoredValue(restoreArchive({ from, dir: join(root, 'later'), password: PASSWORD }))).toBe(5)
})

class JumpingHistory {
  readonly root = temporaryDirectory()
  readonly clock = new JumpingClock()
  readonly random: Random
  readonly written: { readonly n: number; readonly sequence: number }[] = []
  store!: TestStore
  jumps = 0
  #backedUp: number | undefined

  constructor(random: Random) {
    this.random = random
  }

  readonly steps: Record<string, () => Promise<unknown>> = {
    write: async () => {
      for (let left = this.random.between(1, 5); left > 0; left--) {
        const n = this.written.length + 1
        this.written.push({ n, sequence: await write(this.store, n) })
        if (this.random.chance(0.3)) this.jump()
      }
    },
    jump: async () => this.jump(),
    checkpoint: () => this.store.checkpoint(),
    reopen: async () => {
      await this.store.close()
      if (this.random.chance(0.5)) this.jump()
      this.store = await opened(this.root)
    },
    newGeneration: () => newGeneration(this.store),
    backup: async () => {
      const retention = { last: 2, daily: 2, monthly: 1 }
      await onceItMay(() => this.store.backup(join(this.root, 'backups'), { retention }))
      this.#backedUp = this.written.length
    },
    artifact: () => this.store.artifacts.put('model', Buffer.from(this.random.text(2_000))),
    maintain: () => onceItMay(() => this.store.maintain()),
  }

  jump(): void {
    this.clock.jump(this.random.pick(JUMPS_MS))
    this.jumps += 1
  }

  /** The audit trail, the newest backup, the end of the archive and some of its moments. */
  async assertAllThere(): Promise<number> {
    expect(this.store.kv.value('n')).toBe(this.written.length)
    expect((await this.store.audit.verify()).problems).toEqual([])
    expect((await this.store.artifacts.verify()).damage).toEqual([])
    expect((await this.store.check()).filter(({ severity }) => severity === 'error')).toEqual([])
    await this.store.close()
    if (this.#backedUp !== undefined) {
      const from = join(this.root, 'backups')
      expect((await listBackups(from)).damaged).toEqual([])
      const restored = restoreStore({ from, dir: join(this.root, 'from-backup'), password: PASSWORD })
      expect(await restoredValue(restored)).toBe(this.#backedUp)
    }
    const request = { from: join(this.root, 'archive'), password: PASSWORD }
    const moments = [undefined, ...this.random.shuffle(this.written).slice(0, shortOrLong(2, 4))]
    for (const [index, moment] of moments.entries()) {
      const dir = join(this.root, `restored-${index}`)
      const restored = restoreArchive({ ...request, dir, ...(moment && { sequence: moment.sequence }) })
      expect(await restoredValue(restored)).toBe(moment?.n ?? this.written.length)
    }
    return moments.length
  }
}

test('whatever the clock does, what was acknowledged is there and comes back from its backup and its archive', async () => {
  let jumps = 0
  let restored = 0
  for (let run = 0; run < shortOrLong(1, 40); run++) {
    const history = new JumpingHistory(seededRandom(`clock-jumps/${run}`))
    history.store = await opened(history.root)
    await history.steps.write?.()
    const names = Object.keys(history.steps)
    for (let step = 0; step < shortOrLong(14, 30); step++) await history.steps[history.random.pick(names)]?.()
    restored += await history.assertAllThere()
    jumps += history.jumps
  }
  expect(jumps).toBeGreaterThan(0)
  reportFigures(`clock: ${jumps} jumps, ${restored} moments of archives restored exactly`)
})
