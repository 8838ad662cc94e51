/** Backups of a store with artifacts: whatever goes on meanwhile, what is restored verifies. */
import { randomBytes, randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openStore, restoreStore, type Store } from '../../src/index.ts'
import { seededRandom, shortOrLong } from '../faults/fault-run.ts'
import { openTempStore, PASSWORD, tempDir } from './fixtures/temp-store.ts'

const MIB = 1024 * 1024

async function restored<T>(from: string, use: (store: Store) => Promise<T>, id?: string): Promise<T> {
  const dir = join(tempDir(), 'restored')
  await restoreStore({ from, dir, password: PASSWORD, ...(id === undefined ? {} : { id }) })
  const store = await openStore({ dir, password: PASSWORD })
  try {
    return await use(store)
  } finally {
    await store.close()
  }
}

function blobs(dir: string): string[] {
  return readdirSync(join(dir, 'blobs'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
}

test('artifacts come back with the store, and what has not changed is not stored again', async () => {
  const store = await openTempStore()
  const target = join(tempDir(), 'backups')
  const content = randomBytes(9 * MIB)
  await store.artifacts.put('model', content, { tags: ['production'], metadata: { epochs: 3 } })
  const first = await store.backup(target)
  expect(first).toMatchObject({ missing: [] })
  expect(first.writtenBytes).toBeGreaterThan(content.length)
  await store.artifacts.put('model', Buffer.concat([content, randomBytes(100)]))
  const second = await store.backup(target)
  expect(second.writtenBytes).toBeLessThan(4 * MIB)
  await restored(target, async (copy) => {
    expect(await copy.artifacts.info('model', 'production')).toEqual(await store.artifacts.info('model', 1))
    expect((await copy.artifacts.get('model', 'production').bytes()).equals(content)).toBe(true)
    expect((await copy.artifacts.verify()).damage).toEqual([])
    expect(await copy.check()).toEqual([])
  })
  await restored(target, async (copy) => expect(await copy.artifacts.versions('model')).toHaveLength(1), first.id)
})

test('a .tar has them, too', async () => {
  const store = await openTempStore()
  const target = join(tempDir(), 'backup.tar')
  const content = randomBytes(3 * MIB)
  await store.artifacts.put('model', content)
  await store.backup(target)
  await restored(target, async (copy) => expect((await copy.artifacts.get('model').bytes()).equals(content)).toBe(true))
})

test('whatever is put and deleted while backups are made, by the owner and beside it, each is whole when restored', async () => {
  const random = seededRandom('artifact backups')
  const store = await openTempStore()
  const beside = await openTempStore({ dir: store.dir, readOnly: true })
  const target = join(tempDir(), 'backups')
  const shared = randomBytes(MIB)
  const ids: string[] = []
  let isDone = false
  const changes = (async () => {
    for (let n = 0; !isDone; n++) {
      const name = `a-${n % 3}`
      await store.artifacts.put(name, Buffer.concat([shared, randomBytes(random.below(MIB))]))
      const versions = await store.artifacts.versions(name)
      if (versions.length > 1) await store.artifacts.delete(name, versions.at(-1)?.version)
      if (random.chance(0.3)) await store.artifacts.collectGarbage({ unfinishedOlderThanMs: 0 })
    }
  })()
  for (let n = 0; n < shortOrLong(4, 60); n++) {
    const { id, missing } = await (n % 2 === 0 ? store : beside).backup(target, { verify: 'quick' })
    expect(missing).toEqual([])
    ids.push(id)
  }
  isDone = true
  await changes
  for (const id of ids.slice(-2)) {
    await restored(target, async (copy) => expect((await copy.artifacts.verify()).damage).toEqual([]), id)
  }
  expect(readdirSync(store.dir).filter((name) => name.startsWith('.blobs-held'))).toEqual([])
})

test('while a backup holds them files outlive their keys, and go afterwards', async () => {
  const store = await openTempStore()
  const note = join(store.dir, `.blobs-held-${process.pid}-${randomUUID()}`)
  writeFileSync(note, '', { mode: 0o600 })
  await store.artifacts.put('a', randomBytes(3 * MIB))
  const files = blobs(store.dir)
  await store.artifacts.delete('a')
  expect(blobs(store.dir)).toEqual(files)
  expect(await store.sql('select count(*) n from _artifactChunks')).toEqual([{ n: 0 }])
  expect(await store.artifacts.collectGarbage()).toMatchObject({ isDeferred: true, files: 0 })
  rmSync(note)
  expect(await store.artifacts.collectGarbage()).toMatchObject({ isDeferred: false, files: files.length })
  expect(blobs(store.dir)).toEqual([])
})

test('a backup that died holds nothing', async () => {
  const store = await openTempStore()
  // Above the largest number Linux gives a process.
  const note = join(store.dir, `.blobs-held-4194305-${randomUUID()}`)
  writeFileSync(note, '', { mode: 0o600 })
  await store.artifacts.put('a', randomBytes(1_000))
  await store.artifacts.delete('a')
  expect(blobs(store.dir)).toEqual([])
  expect(existsSync(note)).toBe(false)
})

test('a chunk that was lost before keeps nothing else from being saved, and is named', async () => {
  const store = await openTempStore()
  const target = join(tempDir(), 'backups')
  await store.artifacts.put('a', randomBytes(1_000))
  const [lost] = blobs(store.dir) as [string]
  const whole = randomBytes(2_000)
  await store.artifacts.put('b', whole)
  const bytes = readFileSync(lost)
  rmSync(lost)
  const file = lost.slice(store.dir.length + 1)
  expect((await store.backup(target)).missing).toEqual([file])
  await restored(target, async (copy) => {
    expect((await copy.artifacts.get('b').bytes()).equals(whole)).toBe(true)
    expect((await copy.artifacts.verify()).damage).toEqual([{ name: 'a', version: 1, file, problem: 'missing' }])
    // Any copy of the file will do.
    mkdirSync(join(copy.dir, file, '..'), { recursive: true })
    writeFileSync(join(copy.dir, file), bytes)
    expect((await copy.artifacts.verify()).damage).toEqual([])
  })
})
