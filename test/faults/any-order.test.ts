/**
 * Writes, checkpoints, backups beside writes, retention, new passwords, new data keys and crashes in an order of chance,
 * held against a model: whatever backup is left in the end brings back the state of its moment, neither more nor less.
 */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { listBackups, openStore, restoreStore, verifyBackup } from './compiled-store.ts'
import { reportFigures, seed, seededRandom, shortOrLong } from './fault-run.ts'
import type { Random } from './random.ts'
import { KDF, PASSWORD } from './store-settings.ts'
import { temporaryDirectory } from './temporary-directory.ts'

const RUNS = shortOrLong(2, 60)
const STEPS = shortOrLong(14, 40)
const KEPT_BACKUPS = 3
const RETENTION = { last: KEPT_BACKUPS, daily: 0, weekly: 0, monthly: 0 }

type Values = ReadonlyMap<string, string>
type OpenStore = Awaited<ReturnType<typeof openStore>>

interface MadeBackup {
  readonly id: string
  readonly sequence: number
  readonly password: string
}

class History {
  readonly #root = temporaryDirectory()
  readonly #random: Random
  readonly target = join(this.#root, 'backups')
  /** Each state that was durable, by the sequence of the batch that made it. */
  readonly #states = new Map<number, Values>()
  readonly counts: Record<string, number> = {}
  #values: Values = new Map()
  #made: MadeBackup[] = []
  #password = PASSWORD
  #dirs = 0
  #dir = ''
  #store!: OpenStore

  constructor(random: Random) {
    this.#random = random
  }

  async run(steps: number): Promise<void> {
    await this.#open()
    await this.#write()
    for (let step = 0; step < steps; step++) {
      const name = this.#random.pick(STEP_NAMES)
      this.counts[name] = (this.counts[name] ?? 0) + 1
      await this.#steps[name]()
    }
    await this.#store.close()
  }

  readonly #steps: Record<(typeof STEP_NAMES)[number], () => Promise<unknown>> = {
    write: () => this.#write(),
    writeAgain: () => this.#write(),
    checkpoint: () => this.#store.checkpoint(),
    backup: () => this.#backup(),
    backupAgain: () => this.#backup(),
    newPassword: async () => {
      const next = `${PASSWORD} ${this.#random.text(8)}`
      await this.#store.rotatePassword(next)
      this.#password = next
    },
    newDataKey: () => this.#store.rotateDataKey(),
    crash: () => this.#crash(),
  }

  /** Brings back every backup there is. */
  async assertRestored(): Promise<number> {
    const { backups, damaged } = await listBackups(this.target)
    expect(damaged).toEqual([])
    expect(backups.map(({ id }) => id)).toEqual(this.#made.map(({ id }) => id))
    for (const { id, sequence, password } of this.#made) {
      await verifyBackup({ from: this.target, id, password })
      const dir = this.#newDir()
      await restoreStore({ from: this.target, dir, id, password })
      const store = await openStore({ dir, password, create: false })
      const found = new Map((await store.kv.list()).map(({ key, value }) => [key, value as string]))
      expect(await store.check()).toEqual([])
      await store.close()
      expect(found, `backup ${id} at ${sequence}`).toEqual(this.#states.get(sequence))
    }
    return this.#made.length
  }

  async #open(): Promise<void> {
    this.#dir = this.#newDir()
    this.#store = await openStore({ dir: this.#dir, password: this.#password, kdf: KDF })
  }

  #newDir(): string {
    this.#dirs += 1
    return join(this.#root, `state-${this.#dirs}`)
  }

  async #write(): Promise<void> {
    const values = new Map(this.#values)
    await this.#store.transaction((tx) => {
      for (let count = this.#random.between(1, 40); count > 0; count--) {
        const key = `k${this.#random.below(60)}`
        if (values.has(key) && this.#random.chance(0.3)) {
          tx.kv.delete(key)
          values.delete(key)
        } else {
          const value = this.#random.text(this.#random.between(1, 3_000))
          tx.kv.put({ key, value })
          values.set(key, value)
        }
      }
      const stamp = this.#random.text(12)
      tx.kv.put({ key: 'stamp', value: stamp })
      values.set('stamp', stamp)
    })
    const [row] = await this.#store.sql('select "_sequence" from main."kv" where "_key" = ?', ['stamp'])
    this.#values = values
    this.#states.set(Number(row?._sequence), values)
  }

  /** Writes go on meanwhile: its moment is one of theirs. */
  async #backup(): Promise<void> {
    const options = this.#random.chance(0.7) ? { retention: RETENTION } : {}
    let isOver = false
    const making = this.#store.backup(this.target, options).finally(() => {
      isOver = true
    })
    while (!isOver) await this.#write()
    const { id, sequences, pruned } = await making
    this.#made = this.#made.filter((each) => !pruned.includes(each.id))
    this.#made.push({ id, sequence: sequences.state, password: this.#password })
    if ('retention' in options) expect(this.#made.length).toBeLessThanOrEqual(KEPT_BACKUPS)
  }

  /** What a SIGKILL at this moment leaves on the disk, opened in its place. */
  async #crash(): Promise<void> {
    const left = this.#newDir()
    execFileSync('cp', ['-a', this.#dir, left])
    await this.#store.close()
    this.#dir = left
    this.#store = await openStore({ dir: left, password: this.#password, create: false })
    const found = new Map(this.#store.kv.list().map(({ key, value }) => [key, value as string]))
    expect(found).toEqual(this.#values)
  }
}

const STEP_NAMES = [
  'write',
  'writeAgain',
  'checkpoint',
  'backup',
  'backupAgain',
  'newPassword',
  'newDataKey',
  'crash',
] as const

test(
  'every backup that retention leaves restores to its moment, whatever came before, meanwhile and after',
  async () => {
    const done: Record<string, number> = {}
    let restored = 0
    for (let run = 0; run < RUNS; run++) {
      const history = new History(seededRandom(`any-order/${run}`))
      await history.run(STEPS)
      restored += await history.assertRestored()
      for (const [name, count] of Object.entries(history.counts)) done[name] = (done[name] ?? 0) + count
    }
    expect(restored, `no backup was made; seed ${seed}`).toBeGreaterThan(0)
    reportFigures(`any order: ${restored} backups restored after ${JSON.stringify(done)}`)
  },
  shortOrLong(90_000, 1_800_000),
)
