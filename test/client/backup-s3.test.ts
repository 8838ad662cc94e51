/** Backups in a bucket, by the public API, through a real worker and a real server on this machine. */
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { listBackups, openStore, restoreStore, verifyBackup } from '../../src/index.ts'
import { startS3Server } from '../worker/backup/s3-server.ts'
import { openTempStore, PASSWORD, tempDir } from './fixtures/temp-store.ts'

test('a backup to a bucket is continued, listed, verified and restored', async () => {
  const server = await startS3Server()
  onTestFinished(() => server.close())
  const bucket = server.location('backups-of/bot')
  const root = tempDir()
  const store = await openTempStore({ dir: join(root, 'state') })
  for (let n = 0; n < 200; n++) void store.kv.set(`key-${n}`, 'x'.repeat(5_000))
  await store.kv.set('n', 1)
  const first = await store.backup(bucket)
  await store.kv.set('n', 2)
  const second = await store.backup(bucket)
  expect(second.writtenBytes).toBeLessThan(first.writtenBytes / 5)
  expect((await listBackups(bucket)).backups.map(({ id }) => id)).toEqual([first.id, second.id])
  expect(await verifyBackup({ from: bucket, password: PASSWORD })).toMatchObject({ id: second.id })

  const dir = join(root, 'restored')
  await restoreStore({ from: bucket, id: first.id, dir, password: PASSWORD })
  const restored = await openStore({ dir, password: PASSWORD, create: false })
  onTestFinished(() => restored.close())
  expect(restored.kv.value('n')).toBe(1)
})
