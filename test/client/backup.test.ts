import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  type BackupProgress,
  listBackups,
  openStore,
  pruneBackups,
  restoreStore,
  type Store,
  verifyBackup,
} from '../../src/index.ts'
import { codeOf, failureOf, openTempStore, PASSWORD, tempDir } from './fixtures/temp-store.ts'

interface Places {
  readonly store: Store
  readonly target: string
  /** Where to restore to; not there yet. */
  readonly elsewhere: string
}

async function places(): Promise<Places> {
  const dir = tempDir()
  const store = await openTempStore({ dir: join(dir, 'state') })
  return { store, target: join(dir, 'backups'), elsewhere: join(dir, 'restored') }
}

async function keysIn(dir: string): Promise<string[]> {
  const store = await openStore({ dir, password: PASSWORD, create: false })
  try {
    return [...(await store.kv.list())].map(({ key }) => key).sort()
  } finally {
    await store.close()
  }
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => statSync(join(folder, name)).isFile())
    .sort()
}

describe('a backup', () => {
  test('is restored as the store was at its moment, in both files', async () => {
    const { store, target, elsewhere } = await places()
    await store.kv.set('before', 1)
    const { id, sequences, createdAt, verified } = await store.backup(target)
    await store.kv.set('after', 2)
    expect(verified).toBe('full')
    expect(sequences.state).toBeGreaterThan(0)

    const restored = await restoreStore({ from: target, dir: elsewhere, password: PASSWORD })
    expect(restored).toMatchObject({ id, sequences, createdAt, dir: elsewhere, movedAside: null })
    expect(await keysIn(elsewhere)).toEqual(['before'])
    const opened = await openStore({ dir: elsewhere, password: PASSWORD })
    expect(await opened.check()).toEqual([])
    expect(opened.storeId).toBe(store.storeId)
    await opened.close()
  })

  test('stores unchanged pages once', async () => {
    const { store, target } = await places()
    for (let n = 0; n < 200; n++) void store.kv.set(`key-${n}`, 'x'.repeat(5_000))
    await store.flush()
    const first = await store.backup(target)
    await store.kv.set('one more', 1)
    const second = await store.backup(target)
    expect(first.writtenBytes).toBeGreaterThan(1_000_000)
    expect(second.writtenBytes).toBeLessThan(100_000)
    expect(second.bytes).toBeGreaterThanOrEqual(first.bytes)
  })

  test('from beside the owner is one, and enters the trail of the owner', async () => {
    const { store, target, elsewhere } = await places()
    await store.kv.set('a', 1)
    const reader = await openTempStore({ dir: store.dir, readOnly: true })
    const { sequences } = await reader.backup(target, { actor: 'cron' })
    await reader.close()
    expect(sequences.state).toBe((await store.backup(target)).sequences.state)
    await store.kv.set('b', 2)
    await restoreStore({
      from: target,
      dir: elsewhere,
      password: PASSWORD,
      id: (await listBackups(target)).backups[0]?.id as string,
    })
    expect(await keysIn(elsewhere)).toEqual(['a'])
  })

  test('is for its owner alone, and leaves nothing in the store directory', async () => {
    const { store, target } = await places()
    const before = readdirSync(store.dir).sort()
    await store.backup(target, { verify: 'full' })
    await store.backup(target, { verify: 'quick' })
    expect(readdirSync(store.dir).sort()).toEqual(before)
    for (const name of filesBelow(target)) expect(statSync(join(target, name)).mode & 0o777, name).toBe(0o600)
  })

  test('holds the files of the session cache, and nothing that lies beside them', async () => {
    const { store, target, elsewhere } = await places()
    for (const symbol of ['BTC/USDT', 'ETH/USDT']) {
      await store.sessionCache.storeBars(symbol, [{ ts: 60_000, open: 1, high: 2, low: 1, close: 2, volume: 3 }])
    }
    const files = filesBelow(join(store.dir, 'cache'))
    for (const name of ['BTC-USDT', '.part']) writeFileSync(join(store.dir, 'cache', name), 'of nobody')
    await store.backup(target)
    await restoreStore({ from: target, dir: elsewhere, password: PASSWORD })
    expect(files).toHaveLength(2)
    expect(filesBelow(join(elsewhere, 'cache')).sort()).toEqual(files.sort())
    for (const name of files) {
      expect(readFileSync(join(elsewhere, 'cache', name))).toEqual(readFileSync(join(store.dir, 'cache', name)))
    }
  })

  test('tells its progress', async () => {
    const { store, target } = await places()
    const file = store.collection('kv')
    for (let n = 0; n < 3_000; n++) void file.put({ key: `key-${n}`, value: 'x'.repeat(10_000) })
    await store.flush()
    const seen: BackupProgress[] = []
    await store.backup(target, { onProgress: (progress) => seen.push(progress) })
    expect(seen.length).toBeGreaterThan(0)
    for (const { doneBytes, totalBytes } of seen) expect(doneBytes).toBeLessThanOrEqual(totalBytes)
  })

  test.each([
    ['no place', '', {}],
    ['an object store this version does not know', 's3://bucket', {}],
    ['a verification there is none of', 'x', { verify: 'no' }],
    ['an option nobody knows', 'x', { colour: 'red' }],
    ['a retention below zero', 'x', { retention: { last: -1 } }],
  ])('refuses %s', async (_, target, options) => {
    const { store } = await places()
    expect(await codeOf(store.backup(target, options as never))).toBe('INVALID_ARGUMENT')
  })

  test('one at a time into a folder, and one at a time of a store', async () => {
    const { store, target } = await places()
    const reader = await openTempStore({ dir: store.dir, readOnly: true })
    const codes = await Promise.all(
      [store.backup(target), reader.backup(target), store.backup(`${target}-2`)].map((backup) =>
        backup.then(() => 'made').catch((error) => error.code),
      ),
    )
    expect(codes[2]).toBe('BUSY_OPERATION')
    expect(codes.slice(0, 2).sort()).toEqual(['TARGET_BUSY', 'made'])
    expect((await listBackups(target)).backups).toHaveLength(1)
  })
})

describe('a .tar', () => {
  test('is a whole backup in one file that any tar reads', async () => {
    const { store, target, elsewhere } = await places()
    await store.kv.set('a', 1)
    const tar = `${target}.tar`
    const { id } = await store.backup(tar)
    const listed = execFileSync('tar', ['-tf', tar], { encoding: 'utf8' })
    expect(listed).toContain(`backups/${id}.json`)
    expect((await listBackups(tar)).backups).toMatchObject([{ id }])
    await restoreStore({ from: tar, dir: elsewhere, password: PASSWORD })
    expect(await keysIn(elsewhere)).toEqual(['a'])
  })

  test('never replaces a file, and is not pruned', async () => {
    const { store, target } = await places()
    const tar = `${target}.tar`
    await store.backup(tar)
    const before = readFileSync(tar)
    expect(await codeOf(store.backup(tar))).toBe('INVALID_ARGUMENT')
    expect(await codeOf(store.backup(`${target}-2.tar`, { retention: { last: 1 } }))).toBe('INVALID_ARGUMENT')
    expect(readFileSync(tar).equals(before)).toBe(true)
  })
})

describe('a restore', () => {
  test('never writes over anything; with force it moves what is there aside', async () => {
    const { store, target, elsewhere } = await places()
    await store.kv.set('a', 1)
    await store.backup(target)
    mkdirSync(elsewhere)
    writeFileSync(join(elsewhere, 'precious'), 'x')
    expect(await codeOf(restoreStore({ from: target, dir: elsewhere, password: PASSWORD }))).toBe('STORE_EXISTS')
    expect(readdirSync(elsewhere)).toEqual(['precious'])
    const { movedAside } = await restoreStore({ from: target, dir: elsewhere, password: PASSWORD, force: true })
    expect(movedAside).toMatch(/\.replaced-\d{8}T\d{9}Z$/)
    expect(readdirSync(movedAside as string)).toEqual(['precious'])
    expect(await keysIn(elsewhere)).toEqual(['a'])
  })

  test('does not move a store away from under its owner', async () => {
    const { store, target } = await places()
    await store.backup(target)
    const refused = restoreStore({ from: target, dir: store.dir, password: PASSWORD, force: true })
    expect(await codeOf(refused)).toBe('STORE_LOCKED')
    await store.kv.set('still', 'there')
    expect(readdirSync(join(store.dir, '..')).filter((name) => /restoring|replaced/.test(name))).toEqual([])
  })

  test('wants the password of its time', async () => {
    const { store, target, elsewhere } = await places()
    await store.backup(target)
    const refused = restoreStore({ from: target, dir: elsewhere, password: 'another horse battery staple' })
    expect(await codeOf(refused)).toBe('WRONG_PASSWORD')
    expect(existsSync(elsewhere)).toBe(false)
  })

  test('says what is missing', async () => {
    const { store, target, elsewhere } = await places()
    const to = { dir: elsewhere, password: PASSWORD }
    expect(await codeOf(restoreStore({ from: target, ...to }))).toBe('BACKUP_NOT_FOUND')
    expect(await codeOf(restoreStore({ from: `${target}.tar`, ...to }))).toBe('BACKUP_NOT_FOUND')
    await store.backup(target)
    expect(await codeOf(restoreStore({ from: target, id: '../secret', ...to }))).toBe('BACKUP_NOT_FOUND')
    expect(await codeOf(restoreStore({ from: target, id: '000009-20260101T000000000Z', ...to }))).toBe(
      'BACKUP_NOT_FOUND',
    )
  })

  test('refuses a backup of a later version', async () => {
    const { store, target, elsewhere } = await places()
    const { id } = await store.backup(target)
    const manifest = join(target, 'backups', `${id}.json`)
    writeFileSync(manifest, readFileSync(manifest, 'utf8').replace('"version":1}', '"version":2}'))
    const refused = await failureOf(restoreStore({ from: target, dir: elsewhere, password: PASSWORD }))
    expect(refused.code).toBe('STORE_FROM_FUTURE')
  })
})

describe('pruning', () => {
  test('keeps what the rule says, and every page that is needed', async () => {
    const { store, target, elsewhere } = await places()
    const ids: string[] = []
    for (let n = 0; n < 4; n++) {
      await store.kv.set(`key-${n}`, 'x'.repeat(20_000))
      ids.push((await store.backup(target)).id)
    }
    const { kept, removed, freedBytes } = await pruneBackups({ from: target, retention: { last: 2 } })
    expect(removed).toEqual(ids.slice(0, 2))
    expect(kept).toEqual(ids.slice(2))
    expect(freedBytes).toBeGreaterThan(0)
    for (const id of kept)
      expect(await verifyBackup({ from: target, id, password: PASSWORD })).toMatchObject({ isAuthenticated: true })
    await restoreStore({ from: target, dir: elsewhere, password: PASSWORD, id: kept[0] as string })
    expect(await keysIn(elsewhere)).toEqual(['key-0', 'key-1', 'key-2'])
  })

  test('removes nothing when a manifest can not be read', async () => {
    const { store, target } = await places()
    const ids = [(await store.backup(target)).id, (await store.backup(target)).id]
    writeFileSync(join(target, 'backups', `${ids[0]}.json`), '{}')
    const before = filesBelow(target)
    const refused = await failureOf(pruneBackups({ from: target, retention: { last: 1 } }))
    expect(refused).toMatchObject({ code: 'BACKUP_DAMAGED', details: { file: `backups/${ids[0]}.json` } })
    expect(filesBelow(target)).toEqual(before)
    expect(await listBackups(target)).toMatchObject({ backups: [{ id: ids[1] }], damaged: [`backups/${ids[0]}.json`] })
  })
})
