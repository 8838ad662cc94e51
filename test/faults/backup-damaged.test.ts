/** Flipped bits in every file of a backup, and disks that are full: found, and nothing half done left behind. */
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { expect, test } from 'vitest'
import { verifyBackup as verifyHere } from '../../src/worker/backup/restore-backup.ts'
import { type BackupTarget, openTarget } from '../../src/worker/backup/target.ts'
import { listBackups, openStore, restoreStore, verifyBackup } from './compiled-store.ts'
import { reportFigures, seededRandom, shortOrLong } from './fault-run.ts'
import { Secrets } from './needles.ts'
import { codeOf } from './refusal.ts'
import { canMount, SmallDisk } from './small-disk.ts'
import { KDF, PASSWORD } from './store-settings.ts'
import { temporaryDirectory } from './temporary-directory.ts'

const MEGABYTE = 1_048_576
const LONG_TEST_MS = 1_200_000
const SECRET = 'the position nobody must know of, 4711 BTC'

async function storeIn(root: string) {
  const store = await openStore({ dir: join(root, 'state'), password: PASSWORD, kdf: KDF })
  await store.kv.put({ key: 'secret', value: SECRET })
  for (let n = 0; n < 40; n++) void store.kv.put({ key: `filler-${n}`, value: `${SECRET}${n}`.repeat(100) })
  await store.flush()
  return store
}

/** The files of a backup, by their path in the place. */
async function filesOf(place: string): Promise<string[]> {
  const target: BackupTarget = await openTarget(place)
  return (await target.list('')).map(({ path }) => path)
}

function flipBit(path: string, offset: number, bit: number): void {
  const bytes = readFileSync(path)
  bytes[offset] = (bytes[offset] as number) ^ (1 << bit)
  writeFileSync(path, bytes)
}

test(
  'a flipped bit in any file of a backup is found',
  async () => {
    const random = seededRandom('flipped bits in backups')
    const root = temporaryDirectory()
    const store = await storeIn(root)
    const [folder, tar] = [join(root, 'backups'), join(root, 'backup.tar')]
    await store.backup(folder)
    await store.kv.put({ key: 'one more', value: 1 })
    await store.backup(folder)
    await store.backup(tar)
    await store.close()
    const files = await filesOf(folder)
    const { backups } = await listBackups(folder)
    const flips = shortOrLong(60, 2_000)
    for (let n = 0; n < flips; n++) {
      const inTar = random.chance(0.3)
      const path = inTar ? tar : join(folder, random.pick(files))
      const whole = readFileSync(path)
      const offset = random.below(whole.length)
      flipBit(path, offset, random.below(8))
      const from = inTar ? tar : folder
      const codes = await Promise.all(
        (inTar ? [null] : backups.map(({ id }) => id)).map((id) => codeOf(verifyHere({ from, id, password: null }))),
      )
      expect(codes, `${basename(path)} at ${offset}`).toContainEqual(
        expect.stringMatching(/^(BACKUP_DAMAGED|TARGET_FILE_MISSING|STORE_FROM_FUTURE|BACKUP_NOT_FOUND)$/),
      )
      writeFileSync(path, whole)
    }
    for (const id of backups.map((each) => each.id)) await verifyBackup({ from: folder, id, password: PASSWORD })
    await verifyBackup({ from: tar, password: PASSWORD })
    reportFigures(`Flipped bits in backups: ${flips}, each found.`)
  },
  LONG_TEST_MS,
)

test('what is restored from a damaged backup is nothing at all', async () => {
  const random = seededRandom('restores of damaged backups')
  const root = temporaryDirectory()
  const store = await storeIn(root)
  const place = join(root, 'backups')
  await store.backup(place)
  await store.close()
  const packs = (await filesOf(place)).filter((path) => path.includes('/packs/'))
  for (let n = 0; n < shortOrLong(3, 30); n++) {
    const path = random.pick(packs)
    const damagedPlace = join(root, `damaged-${n}`)
    cpSync(place, damagedPlace, { recursive: true })
    flipBit(join(damagedPlace, path), random.below(statSync(join(place, path)).size), random.below(8))
    const restored = join(root, `restored-${n}`)
    const refused = restoreStore({ from: damagedPlace, dir: restored, password: PASSWORD })
    await expect(refused).rejects.toMatchObject({ code: 'BACKUP_DAMAGED', details: { file: path } })
    expect(existsSync(restored)).toBe(false)
  }
  expect(readdirSync(root).filter((name) => name.includes('restoring'))).toEqual([])
})

test('nothing of a backup or a restored store can be read without a key', async () => {
  const root = temporaryDirectory()
  const store = await storeIn(root)
  await store.backup(join(root, 'backups'))
  await store.backup(join(root, 'backup.tar'))
  await restoreStore({ from: join(root, 'backups'), dir: join(root, 'restored'), password: PASSWORD })
  await store.close()
  expect(new Secrets({ value: SECRET, password: PASSWORD }).findBelow(root)).toEqual([])
})

test.skipIf(!canMount)('a full disk fails a backup and a restore, and leaves neither behind', async () => {
  const root = temporaryDirectory()
  const store = await storeIn(root)
  for (let n = 0; n < 200; n++) void store.kv.put({ key: `more-${n}`, value: 'x'.repeat(20_000) })
  await store.flush()
  const disk = new SmallDisk(2 * MEGABYTE)
  const place = join(disk.dir, 'backups')
  expect(await codeOf(store.backup(place))).toBe('DISK_FULL')
  expect((await listBackups(place)).backups).toEqual([])
  expect(await codeOf(store.backup(join(disk.dir, 'backup.tar')))).toBe('DISK_FULL')
  expect(existsSync(join(disk.dir, 'backup.tar'))).toBe(false)
  const there = join(root, 'backups')
  await store.backup(there)
  const dir = join(disk.dir, 'restored')
  rmSync(place, { recursive: true, force: true })
  expect(await codeOf(restoreStore({ from: there, dir, password: PASSWORD }))).toBe('DISK_FULL')
  expect(readdirSync(disk.dir).filter((name) => name.startsWith('restored'))).toEqual([])
  await store.kv.put({ key: 'still', value: 'at work' })
  await store.close()
})
