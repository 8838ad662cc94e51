/** An archive in a bucket, by the public API, through a real worker and a real server on this machine. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { followArchive, openStore, restoreArchive } from '../../src/index.ts'
import { startS3Server } from '../worker/backup/s3-server.ts'
import { openTempStore, PASSWORD, tempDir } from './fixtures/temp-store.ts'

vi.setConfig({ testTimeout: 120_000 })

test('every commit reaches a bucket; a moment, the latest state and a standby come from it, artifacts among them', async () => {
  const server = await startS3Server()
  onTestFinished(() => server.close())
  const bucket = server.location('archive-of/bot')
  const root = tempDir()
  const store = await openTempStore({ dir: join(root, 'state'), archive: { dir: bucket, intervalMs: 20 } })
  await vi.waitFor(async () => expect((await store.status()).archive?.generation).toEqual(expect.any(String)), 20_000)
  await store.artifacts.put('model', Buffer.from('weights'))
  await store.kv.set('n', 1)
  const [row] = await store.sql(`select "_sequence" from main."kv" where "_key" = 'n'`)
  await store.kv.set('n', 2)
  await store.close()

  const standby = await followArchive({ from: bucket, dir: join(root, 'standby'), pollMs: 50 })
  onTestFinished(() => standby.close())
  await standby.caughtUp(30_000)
  await standby.close()
  await restoreArchive({ from: bucket, dir: join(root, 'latest'), password: PASSWORD })
  const earlier = await restoreArchive({
    from: bucket,
    dir: join(root, 'earlier'),
    password: PASSWORD,
    sequence: Number(row?._sequence),
  })
  expect(earlier).toMatchObject({ isComplete: true, problems: [], missingFiles: [] })
  for (const [name, n] of [
    ['standby', 2],
    ['latest', 2],
    ['earlier', 1],
  ] as const) {
    const copy = await openStore({ dir: join(root, name), password: PASSWORD })
    onTestFinished(() => copy.close())
    expect(copy.kv.value('n'), name).toBe(n)
    expect(Buffer.from(await copy.artifacts.get('model').bytes()).toString()).toBe('weights')
  }
})

test('an owner goes on with its generation in a bucket', async () => {
  const server = await startS3Server()
  onTestFinished(() => server.close())
  const archive = { dir: server.location('archive-of/bot'), intervalMs: 20 }
  const dir = join(tempDir(), 'state')
  const generations: (string | null | undefined)[] = []
  for (let round = 0; round < 2; round++) {
    const store = await openTempStore({ dir, archive })
    await vi.waitFor(async () => expect((await store.status()).archive?.generation).toEqual(expect.any(String)), 20_000)
    generations.push((await store.status()).archive?.generation)
    await store.kv.set('round', round)
    await store.close()
  }
  expect(generations[1]).toBe(generations[0])
})

test('a place that nothing can be archived to is refused before anything is opened', async () => {
  for (const place of ['ftp://host/archive', join(tempDir(), 'archive.tar'), '']) {
    const dir = join(tempDir(), 'state')
    const opening = openStore({ dir, password: PASSWORD, archive: { dir: place } })
    await expect(opening).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    expect(existsSync(dir)).toBe(false)
  }
})
