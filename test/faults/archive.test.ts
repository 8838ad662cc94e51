import { cpSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { OpenStoreOptions, Standby } from '../../src/index.ts'
import { followArchive, openStore, restoreArchive } from './compiled-store.ts'
import { codeOf } from './refusal.ts'
import { canMount, SmallDisk } from './small-disk.ts'
import { PASSWORD } from './store-settings.ts'
import { temporaryDirectory } from './temporary-directory.ts'
import { openTestStore, openWithFailpoint, type TestStore } from './worker-faults.ts'

vi.setConfig({ testTimeout: 120_000 })

interface Place {
  readonly root: string
  readonly dir: string
  readonly archive: { readonly dir: string; readonly intervalMs: number }
}

function place(): Place {
  const root = temporaryDirectory()
  return { root, dir: join(root, 'state'), archive: { dir: join(root, 'archive'), intervalMs: 20 } }
}

async function archived({ dir, archive }: Place): Promise<TestStore> {
  const store = await openTempStore({ dir, archive })
  await until(async () => (await store.status()).archive?.generation != null)
  return store
}

/** Closed with the test. */
async function openTempStore(options: Partial<OpenStoreOptions>): Promise<TestStore> {
  const { dir = join(temporaryDirectory(), 'state'), collections: _, ...others } = options
  const store = await openTestStore(dir, others)
  onTestFinished(() => store.close())
  return store
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  await vi.waitFor(async () => expect(await isSo()).toBe(true), { timeout: 20_000, interval: 10 })
}

async function shipped(store: TestStore): Promise<void> {
  await until(async () => (await store.status()).archive?.lagBytes === 0)
}

async function sequenceOf(store: TestStore, key: string): Promise<number> {
  const [row] = await store.sql('select "_sequence" from main."kv" where "_key" = ?', [key])
  return Number(row?._sequence)
}

/** Those of the segments of one database, in order. */
function segments({ archive }: Place, file = 'state'): string[] {
  return readdirSync(archive.dir, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.includes(`/${file}/`) && name.endsWith('.segment'))
    .sort()
    .map((name) => join(archive.dir, name))
}

function generations({ archive }: Place): string[] {
  return readdirSync(join(archive.dir, 'archive')).filter((name) => name !== 'lock')
}

async function follow(place: Place, dir: string): Promise<Standby> {
  const standby = await followArchive({ from: place.archive.dir, dir, pollMs: 20 })
  onTestFinished(() => standby.close())
  return standby
}

function flipBit(path: string, offset: number): void {
  const bytes = readFileSync(path)
  bytes[offset] = (bytes[offset] ?? 0) ^ 1
  writeFileSync(path, bytes)
}

describe('an archive', () => {
  it('brings back the state after any batch, and at any time', async () => {
    const where = place()
    const store = await archived(where)
    const moments: { sequence: number; atMs: number }[] = []
    for (let n = 0; n < 20; n++) {
      await store.kv.set('n', n)
      moments.push({ sequence: await sequenceOf(store, 'n'), atMs: Date.now() })
      await new Promise((resume) => setTimeout(resume, 3))
      if (n === 9) await store.checkpoint()
    }
    await store.close()
    for (const n of [0, 9, 10, 19]) {
      for (const moment of [{ sequence: moments[n]?.sequence }, { at: moments[n]?.atMs }]) {
        const dir = join(where.root, `restored-${n}-${Object.keys(moment)[0]}`)
        const restored = await restoreArchive({ from: where.archive.dir, dir, password: PASSWORD, ...moment })
        expect(restored).toMatchObject({ isComplete: true, sequence: moments[n]?.sequence })
        const found = await openTempStore({ dir, readOnly: true })
        expect(found.kv.value('n')).toBe(n)
      }
    }
  })

  it('goes on in the same generation after a close', async () => {
    const where = place()
    for (let round = 0; round < 3; round++) {
      const store = await archived(where)
      await store.kv.set('round', round)
      await store.close()
    }
    expect(generations(where)).toHaveLength(1)
  })

  it('goes on in the same generation after the death of a worker, with all that had not been shipped', async () => {
    const where = place()
    await (await archived(where)).close()
    // Far too seldom for anything but the end to ship.
    const archive = { ...where.archive, intervalMs: 600_000 }
    const store = await openWithFailpoint(where.dir, 'commit:before-commit=exit@9', { archive })
    onTestFinished(() => store.close())
    await until(async () => (await store.status()).archive?.generation != null)
    const sequences: number[] = []
    for (let n = 0; n < 12; n++) {
      await store.transaction((tx) => {
        tx.kv.put({ key: 'n', value: n })
        tx.kv.delete('m')
      })
      sequences.push(await sequenceOf(store, 'n'))
    }
    expect(store.stats().workerRestarts).toBe(1)
    await store.close()
    expect(generations(where)).toHaveLength(1)
    for (const n of [0, 5, 7, 8, 11]) {
      const dir = join(where.root, `restored-${n}`)
      const restored = await restoreArchive({
        from: where.archive.dir,
        dir,
        password: PASSWORD,
        sequence: sequences[n],
      })
      expect(restored).toMatchObject({ isComplete: true, sequence: sequences[n] })
      expect((await openTempStore({ dir, readOnly: true })).kv.value('n')).toBe(n)
    }
  })

  it('never gives a later state for a batch from before its base, also when a worker has died in the same session', async () => {
    const where = place()
    writeFileSync(where.archive.dir, 'away')
    const archive = { dir: where.archive.dir, intervalMs: 600_000, maxLagBytes: 50_000 }
    const store = await openWithFailpoint(where.dir, 'commit:before-commit=exit@1', { archive })
    onTestFinished(() => store.close())
    await store.kv.set('n', 1)
    const before = await sequenceOf(store, 'n')
    for (let n = 0; n < 20; n++) await store.kv.set('n', `${n} ${'x'.repeat(4_000)}`)
    await until(async () => (await store.status()).archive?.lastError?.code === 'ARCHIVE_BEHIND')
    await store.checkpoint()
    rmSync(where.archive.dir)
    await store.transaction((tx) => {
      tx.kv.put({ key: 'n', value: 2 })
      tx.kv.delete('m')
    })
    expect(store.stats().workerRestarts).toBe(1)
    await until(async () => (await store.status()).archive?.generation != null)
    const after = await sequenceOf(store, 'n')
    await store.close()
    const dir = join(where.root, 'restored')
    const request = { from: where.archive.dir, dir, password: PASSWORD }
    expect(await codeOf(restoreArchive({ ...request, sequence: before }))).toBe('BACKUP_NOT_FOUND')
    expect(await restoreArchive({ ...request, sequence: after })).toMatchObject({ sequence: after, problems: [] })
    expect((await openTempStore({ dir, readOnly: true })).kv.value('n')).toBe(2)
  })

  it('that could not be reached by an owner gets what that one wrote from the next', async () => {
    const where = place()
    await (await archived(where)).close()
    const aside = `${where.archive.dir}.aside`
    cpSync(where.archive.dir, aside, { recursive: true })
    rmSync(where.archive.dir, { recursive: true })
    writeFileSync(where.archive.dir, 'away')
    const store = await openTempStore({ dir: where.dir, archive: where.archive })
    await store.kv.set('n', 1)
    const sequence = await sequenceOf(store, 'n')
    await store.kv.set('n', 2)
    await store.close()
    rmSync(where.archive.dir)
    cpSync(aside, where.archive.dir, { recursive: true })
    const next = await archived(where)
    await next.kv.set('n', 3)
    await next.close()
    expect(generations(where)).toHaveLength(1)
    const dir = join(where.root, 'restored')
    const restored = await restoreArchive({ from: where.archive.dir, dir, password: PASSWORD, sequence })
    expect(restored).toMatchObject({ isComplete: true, sequence })
    expect((await openTempStore({ dir, readOnly: true })).kv.value('n')).toBe(1)
  })

  it('begins a new generation when an owner wrote without it', async () => {
    const where = place()
    await (await archived(where)).close()
    const other = await openTempStore({ dir: where.dir })
    await other.kv.set('beside', 1)
    await other.close()
    const store = await archived(where)
    await shipped(store)
    expect(generations(where)).toHaveLength(2)
    await store.close()
    const dir = join(where.root, 'restored')
    await restoreArchive({ from: where.archive.dir, dir, password: PASSWORD })
    expect((await openTempStore({ dir, readOnly: true })).kv.value('beside')).toBe(1)
  })

  it('shows in the status how far it is', async () => {
    const where = place()
    const store = await archived(where)
    await store.kv.set('a', 1)
    await shipped(store)
    const { archive } = await store.status()
    expect(archive).toMatchObject({ location: where.archive.dir, lagMs: 0, lagBytes: 0, lastError: null })
    expect(archive?.lastShippedSequence).toBe(await sequenceOf(store, 'a'))
  })

  it('shows the age of the oldest commit that it lacks, also of one in the spool and by the next owner', async () => {
    const where = place()
    const store = await archived(where)
    await shipped(store)
    renameSync(where.archive.dir, `${where.archive.dir}.aside`)
    writeFileSync(where.archive.dir, 'away')
    await store.kv.set('n', 1)
    const oldestAtMs = Date.now()
    for (let n = 2; n < 5; n++) {
      await store.kv.set('n', n)
      await store.checkpoint()
      const askedAtMs = Date.now()
      const lagMs = (await store.status()).archive?.lagMs ?? 0
      expect(lagMs, `${n}`).toBeGreaterThanOrEqual(askedAtMs - oldestAtMs)
    }
    await store.close()
    const next = await openTempStore({ dir: where.dir, archive: where.archive })
    const { lagMs = 0, lagBytes = 0 } = (await next.status()).archive ?? {}
    expect(lagMs).toBeGreaterThan(0)
    expect(lagBytes).toBeGreaterThan(0)
  })

  it('that belongs to another store is refused in the status, and nothing in it is changed', async () => {
    const where = place()
    await (await archived(where)).close()
    const before = segments(where)
    const other = await openTempStore({ archive: where.archive })
    await until(async () => (await other.status()).archive?.lastError?.code === 'STORE_EXISTS')
    await other.kv.set('a', 1)
    await other.close()
    expect(segments(where)).toEqual(before)
  })

  it('that can not be written holds up no commit; the log is let go past the bound, and a new generation begins', async () => {
    const where = place()
    writeFileSync(where.archive.dir, 'a file where the folder should be')
    const store = await openTempStore({ dir: where.dir, archive: { ...where.archive, maxLagBytes: 200_000 } })
    for (let n = 0; n < 100; n++) await store.kv.set(`k-${n % 10}`, 'x'.repeat(4_000))
    expect((await store.status()).archive).toMatchObject({ generation: null, lagBytes: 0 })
    expect((await store.status()).archive?.lastError).not.toBeNull()
    rmSync(where.archive.dir)
    await until(async () => (await store.status()).archive?.generation != null)
    await store.kv.set('after', 1)
    await store.close()
    const dir = join(where.root, 'restored')
    await restoreArchive({ from: where.archive.dir, dir, password: PASSWORD })
    expect((await openTempStore({ dir, readOnly: true })).kv.size).toBe(11)
  })

  it('that is away at the close gets the rest from the spool at the next open', async () => {
    const where = place()
    const store = await archived(where)
    await store.kv.set('n', 1)
    await shipped(store)
    const aside = `${where.archive.dir}.aside`
    cpSync(where.archive.dir, aside, { recursive: true })
    rmSync(where.archive.dir, { recursive: true })
    writeFileSync(where.archive.dir, 'away')
    await store.kv.set('n', 2)
    const sequence = await sequenceOf(store, 'n')
    await store.close()
    expect(readdirSync(join(where.dir, 'archive-spool')).length).toBeGreaterThan(0)
    rmSync(where.archive.dir)
    cpSync(aside, where.archive.dir, { recursive: true })
    const next = await archived(where)
    await shipped(next)
    expect(generations(where)).toHaveLength(1)
    await next.kv.set('n', 3)
    await next.close()
    const dir = join(where.root, 'restored')
    await restoreArchive({ from: where.archive.dir, dir, password: PASSWORD, sequence })
    expect((await openTempStore({ dir, readOnly: true })).kv.value('n')).toBe(2)
  })

  it.skipIf(!canMount)('on a full disk holds up no commit, and catches up once there is room', async () => {
    const where = place()
    const disk = new SmallDisk(8 * 1_048_576)
    const store = await archived({ ...where, archive: { ...where.archive, dir: join(disk.dir, 'archive') } })
    disk.fill()
    let sequence = 0
    for (let n = 0; n < 40; n++) await store.kv.set(`k-${n % 5}`, `${n} ${'x'.repeat(3_000)}`)
    sequence = await sequenceOf(store, 'k-4')
    await until(async () => (await store.status()).archive?.lastError?.code === 'DISK_FULL')
    expect((await store.status()).archive?.lagBytes).toBeGreaterThan(0)
    disk.free()
    await shipped(store)
    await store.close()
    const dir = join(where.root, 'restored')
    await restoreArchive({ from: join(disk.dir, 'archive'), dir, password: PASSWORD, sequence })
    const restored = await openTempStore({ dir, readOnly: true })
    expect(String(restored.kv.value('k-4'))).toMatch(/^39 /)
  })

  it('brings back each batch with a time that is not before the one of the batch before', async () => {
    const where = place()
    const store = await archived(where)
    const sequences: number[] = []
    for (const n of [0, 1, 2, 3]) {
      await store.kv.set('n', n)
      sequences.push(await sequenceOf(store, 'n'))
    }
    await store.close()
    const restored: number[] = []
    for (const [n, sequence] of sequences.entries()) {
      const dir = join(where.root, `restored-${n}`)
      restored.push((await restoreArchive({ from: where.archive.dir, dir, password: PASSWORD, sequence })).timeMs)
    }
    expect(restored).toEqual([...restored].sort((left, right) => left - right))
  })

  it('says which segment is missing, and brings back what comes before it', async () => {
    const where = place()
    const store = await archived(where)
    for (let n = 0; n < 6; n++) {
      await store.kv.set('n', n)
      await shipped(store)
    }
    await store.close()
    const missing = segments(where).at(-3) as string
    rmSync(missing)
    const dir = join(where.root, 'restored')
    const restored = await restoreArchive({ from: where.archive.dir, dir, password: PASSWORD })
    expect(restored.isComplete).toBe(false)
    expect(restored.problems.join()).toContain(missing.slice(-25))
    expect((await openTempStore({ dir, readOnly: true })).kv.value('n')).toBeLessThan(6)
  })

  it('says so when its end was cut off', async () => {
    const where = place()
    const store = await archived(where)
    for (let n = 0; n < 3; n++) {
      await store.kv.set('n', n)
      await shipped(store)
    }
    await store.close()
    rmSync(segments(where).at(-1) as string)
    const restored = await restoreArchive({ from: where.archive.dir, dir: join(where.root, 'r'), password: PASSWORD })
    expect(restored.problems).toHaveLength(1)
  })

  it('never brings back anything from a segment in which a bit was changed', async () => {
    const where = place()
    const store = await archived(where)
    for (let n = 0; n < 4; n++) {
      await store.kv.set('n', n)
      await shipped(store)
    }
    await store.close()
    const path = segments(where).at(-2) as string
    const { length } = readFileSync(path)
    for (let n = 0; n < 12; n++) {
      const offset = Math.floor(((n + 0.5) / 12) * length)
      flipBit(path, offset)
      const dir = join(where.root, `restored-${n}`)
      const restored = await restoreArchive({ from: where.archive.dir, dir, password: PASSWORD })
      expect(restored.problems.join(), `byte ${offset}`).toContain(path.slice(-25))
      flipBit(path, offset)
    }
  })

  it('refuses a password that opens nothing, a moment it does not hold and a directory in use, leaving nothing', async () => {
    const where = place()
    const store = await archived(where)
    await store.kv.set('n', 1)
    await store.close()
    const request = { from: where.archive.dir, dir: join(where.root, 'restored'), password: PASSWORD }
    expect(await codeOf(restoreArchive({ ...request, password: 'not the right one at all' }))).toBe('WRONG_PASSWORD')
    expect(await codeOf(restoreArchive({ ...request, at: 1_000 }))).toBe('BACKUP_NOT_FOUND')
    expect(await codeOf(restoreArchive({ ...request, dir: where.dir }))).toBe('STORE_EXISTS')
    expect(await codeOf(restoreArchive({ ...request, at: 1, sequence: 1 }))).toBe('INVALID_ARGUMENT')
    expect(existsSync(request.dir)).toBe(false)
  })
})

describe('a standby', () => {
  it('is the same, byte for byte, as the store it follows', async () => {
    const where = place()
    const store = await archived(where)
    const dir = join(where.root, 'standby')
    const standby = await follow(where, dir)
    for (let n = 0; n < 50; n++) await store.kv.set(`k-${n}`, 'x'.repeat(n * 100))
    await store.close()
    await standby.caughtUp(20_000)
    await until(
      async () => (await standby.status()).segments === segments(where).length + segments(where, 'market').length,
    )
    for (const file of ['state.db', 'market.db', 'keyring.json']) {
      expect(readFileSync(join(dir, file)).equals(readFileSync(join(where.dir, file))), file).toBe(true)
    }
  })

  it('is locked while it follows, and a store once it is opened with the password', async () => {
    const where = place()
    const store = await archived(where)
    await store.kv.set('n', 1)
    await store.close()
    const dir = join(where.root, 'standby')
    const standby = await follow(where, dir)
    await standby.caughtUp(20_000)
    expect(await codeOf(openStore({ dir, password: PASSWORD }))).toBe('STORE_LOCKED')
    await standby.close()
    expect(await codeOf(openStore({ dir, password: PASSWORD, readOnly: true }))).toBe('STANDBY_NOT_READY')
    expect(await codeOf(openStore({ dir, password: 'not the right one at all' }))).toBe('WRONG_PASSWORD')
    const again = await follow(where, dir)
    await again.close()
    const promoted = await openTempStore({ dir })
    expect(promoted.kv.value('n')).toBe(1)
    const entries = await promoted.sql(`select "event" from main."_audit" where "event" = 'standby.promoted'`)
    expect(entries).toHaveLength(1)
    await promoted.close()
    expect(await codeOf(followArchive({ from: where.archive.dir, dir }))).toBe('STORE_EXISTS')
  })

  it('stops before a damaged segment, names it, and goes on when it is put right', async () => {
    const where = place()
    const store = await archived(where)
    for (let n = 0; n < 3; n++) {
      await store.kv.set('n', n)
      await shipped(store)
    }
    await store.close()
    const path = segments(where).at(-1) as string
    flipBit(path, 3_000)
    const standby = await follow(where, join(where.root, 'standby'))
    await until(async () => (await standby.status()).lastError?.code === 'ARCHIVE_DAMAGED')
    expect((await standby.status()).lastError?.message).toContain(path.slice(-25))
    flipBit(path, 3_000)
    await standby.caughtUp(20_000)
  })

  it('takes a directory of its own only', async () => {
    const where = place()
    await (await archived(where)).close()
    expect(await codeOf(followArchive({ from: where.archive.dir, dir: where.dir }))).toBe('STORE_EXISTS')
  })
})
