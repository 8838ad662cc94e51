/**
 * Two operators at once, in two processes or on one store: whatever they do at the same time, each is told that it was done or that
 * somebody else is at it, and what is there afterwards is whole.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { ChildProgram } from './child-program.ts'
import { listBackups, openStore, restoreArchive, restoreStore, verifyBackup } from './compiled-store.ts'
import { reportFigures, seededRandom, shortOrLong } from './fault-run.ts'
import type { Random } from './random.ts'
import { codeOf } from './refusal.ts'
import { KDF, PASSWORD } from './store-settings.ts'
import { temporaryDirectory } from './temporary-directory.ts'
import { closedAt, writeRoundTrip } from './traded-year.ts'
import { openTestStore, type TestStore } from './worker-faults.ts'

vi.setConfig({ testTimeout: 1_200_000 })

/** What an operator may be told who comes second. */
const SECOND = ['BUSY_OPERATION', 'TARGET_BUSY', 'STORE_LOCKED', 'STORE_EXISTS']

async function filledStore(dir: string): Promise<TestStore> {
  const store = await openTestStore(dir)
  for (let n = 0; n < 60; n++) void store.kv.set(`k-${n}`, 'x'.repeat(5_000))
  await store.flush()
  return store
}

async function expectWhole(dir: string, password = PASSWORD): Promise<void> {
  const store = await openStore({ dir, password, create: false })
  try {
    expect(store.kv.size).toBe(60)
    expect(await store.check()).toEqual([])
  } finally {
    await store.close()
  }
}

function endOf({ lines, errorText }: ChildProgram): string {
  return lines.find((line) => /^(done|failed)/.test(line)) ?? errorText
}

test('of restores to one place one after the other gets it, and each store that is there is whole', async () => {
  const random = seededRandom('restores at once')
  const root = temporaryDirectory()
  const place = join(root, 'backups')
  const store = await filledStore(join(root, 'source'))
  await store.backup(place)
  await store.close()
  const dir = join(root, 'restored')
  let done = 0
  for (let round = 0; round < shortOrLong(2, 30); round++) {
    const programs: ChildProgram[] = []
    for (let n = 0; n < 3; n++) {
      programs.push(ChildProgram.start('backup', { arguments: { work: 'restore', dir, place } }))
      await new Promise((resolve) => setTimeout(resolve, random.between(0, 60)))
    }
    for (const program of programs) {
      await program.ended
      const [word, code] = endOf(program).split(' ')
      if (word === 'done') done += 1
      else expect(SECOND, endOf(program)).toContain(code)
    }
    await expectWhole(dir)
  }
  const asides = readdirSync(root).filter((name) => name.includes('.replaced-'))
  expect(asides).toHaveLength(done - 1)
  for (const aside of random.shuffle(asides).slice(0, 5)) await expectWhole(join(root, aside))
  expect(readdirSync(root).filter((name) => name.includes('.restoring-'))).toEqual([])
  reportFigures(`restores at once: ${done} done, ${asides.length} moved aside, each whole`)
})

test('in one process, too, and from an archive', async () => {
  const root = temporaryDirectory()
  const archive = { dir: join(root, 'archive'), intervalMs: 20 }
  const store = await openTestStore(join(root, 'source'), { archive })
  for (let n = 0; n < 60; n++) void store.kv.set(`k-${n}`, 'x'.repeat(5_000))
  await store.flush()
  // Not while the archive's base is being copied.
  await vi.waitFor(() => store.backup(join(root, 'backups')), { timeout: 20_000 })
  await store.close()
  for (let round = 0; round < shortOrLong(2, 20); round++) {
    const dir = join(root, `restored-${round}`)
    const restores = [
      restoreStore({ from: join(root, 'backups'), dir, password: PASSWORD }),
      restoreStore({ from: join(root, 'backups'), dir, password: PASSWORD }),
      restoreArchive({ from: archive.dir, dir, password: PASSWORD }),
      restoreArchive({ from: archive.dir, dir, password: PASSWORD }),
    ]
    const codes = await Promise.all(restores.map((restore) => codeOf(restore)))
    expect(codes.filter((code) => code === undefined)).toHaveLength(1)
    for (const code of codes) expect([undefined, ...SECOND]).toContain(code)
    await expectWhole(dir)
  }
  expect(readdirSync(root).filter((name) => name.includes('.restoring-'))).toEqual([])
})

test('of backups into one place at once each counts whole or is told that another is at work', async () => {
  const root = temporaryDirectory()
  const place = join(root, 'backups')
  const dir = join(root, 'state')
  const store = await filledStore(dir)
  let done = 0
  for (let round = 0; round < shortOrLong(2, 25); round++) {
    const programs = [0, 1, 2].map(() => ChildProgram.start('backup', { arguments: { work: 'backup', dir, place } }))
    for (const program of programs) {
      await program.ended
      const [word, code] = endOf(program).split(' ')
      if (word === 'done') done += 1
      else expect(code, endOf(program)).toBe('TARGET_BUSY')
    }
    const { backups, damaged } = await listBackups(place)
    expect(damaged).toEqual([])
    expect(backups.length).toBeGreaterThan(0)
    for (const { id } of backups) await verifyBackup({ from: place, id, password: PASSWORD })
  }
  await store.close()
  reportFigures(`backups at once: ${done} done`)
})

/** Everything an operator may do to a store at work, beside its owner or as its owner. */
class Operations {
  readonly #root = temporaryDirectory()
  readonly #random: Random
  readonly dir = join(this.#root, 'state')
  store!: TestStore
  password = PASSWORD
  #numbers = 0

  constructor(random: Random) {
    this.#random = random
  }

  async open(): Promise<void> {
    this.store = await openStoreWithTrades(this.dir)
  }

  readonly all: Readonly<Record<string, () => Promise<unknown>>> = {
    rotateDataKey: () => this.store.rotateDataKey(),
    rotatePassword: async () => {
      const next = `${PASSWORD} ${this.#random.text(8)}`
      await this.store.rotatePassword(next, { kdf: KDF })
      this.password = next
    },
    slotForAWhile: async () => {
      const label = this.#random.text(8)
      const { id } = await this.store.keys.add(`a second ${this.#random.text(12)}`, { label, kdf: KDF })
      await this.store.keys.remove(id)
    },
    backup: () => this.store.backup(join(this.#root, 'backups'), { retention: { last: 2 } }),
    backupElsewhere: () => this.store.backup(join(this.#root, `backup-${this.#next()}.tar`)),
    maintain: () => this.store.maintain(),
    maintainFully: () => this.store.maintain({ fullVacuum: true }),
    check: async () => {
      expect((await this.store.check()).filter(({ severity }) => severity === 'error')).toEqual([])
    },
    repair: () => this.store.repair({ actor: 'test' }),
    archiveTrades: () => this.store.archiveTrades({ before: closedAt(this.#next()) }),
    checkpoint: () => this.store.checkpoint(),
    compact: () => this.store.series.compact(),
    artifact: async () => {
      const { version } = await this.store.artifacts.put('model', Buffer.from(this.#random.text(50_000)))
      if (version > 1) await this.store.artifacts.delete('model', version - 1)
    },
    write: () => this.store.kv.set('written', this.#next()),
  }

  #next(): number {
    this.#numbers += 1
    return this.#numbers
  }

  async expectWhole(): Promise<void> {
    expect((await this.store.check()).filter(({ severity }) => severity === 'error')).toEqual([])
    expect((await this.store.audit.verify()).problems).toEqual([])
    expect((await this.store.artifacts.verify()).damage).toEqual([])
    await this.store.close()
    const store = await openStore({ dir: this.dir, password: this.password, create: false })
    expect(await store.trades.count({}, { includeArchived: true })).toBe(TRADES)
    expect((await store.check()).filter(({ severity }) => severity === 'error')).toEqual([])
    await store.close()
    const { backups, damaged } = await listBackups(join(this.#root, 'backups'))
    expect(damaged).toEqual([])
    for (const { id } of backups) await verifyBackup({ from: join(this.#root, 'backups'), id })
  }
}

const TRADES = 40

async function openStoreWithTrades(dir: string): Promise<TestStore> {
  const store = await openTestStore(dir)
  for (let n = 0; n < TRADES; n++) {
    void writeRoundTrip(store, n)
    void store.bars.append('X', '1m', [{ ts: n * 60_000, open: 1, high: 1, low: 1, close: 1, volume: n }])
  }
  await store.flush()
  return store
}

test('any operations on one store at once are done, or refused because of the other, and leave it whole', async () => {
  const random = seededRandom('operations at once')
  const done: Record<string, number> = {}
  let refused = 0
  for (let run = 0; run < shortOrLong(1, 12); run++) {
    const operations = new Operations(random)
    await operations.open()
    const names = Object.keys(operations.all)
    for (let step = 0; step < shortOrLong(14, 60); step++) {
      const chosen = random.shuffle(names).slice(0, random.between(2, 4))
      const codes = await Promise.all(chosen.map((name) => codeOf(operations.all[name]?.() ?? Promise.resolve())))
      // A change of keyslots may have been sent with the password that is being changed.
      const second = chosen.includes('rotatePassword') ? [...SECOND, 'WRONG_PASSWORD'] : SECOND
      for (const [index, code] of codes.entries()) {
        expect([undefined, ...second], `${chosen[index]} beside ${chosen}`).toContain(code)
        if (code === undefined) done[chosen[index] as string] = (done[chosen[index] as string] ?? 0) + 1
        else refused += 1
      }
    }
    await operations.expectWhole()
  }
  reportFigures(`operations at once: ${JSON.stringify(done)} done, ${refused} refused because of another`)
})
