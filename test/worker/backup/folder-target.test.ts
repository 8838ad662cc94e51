import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type BackupTarget, type ByteRange, openTarget } from '../../../src/worker/backup/target.ts'

let folder: string
let target: BackupTarget

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-target-'))
  target = await openTarget(join(folder, 'backups', 'store'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

async function content(path: string, range?: ByteRange): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of target.read(path, range)) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

async function* breakingOff(): AsyncIterable<Uint8Array> {
  yield Buffer.from('half')
  throw new Error('the source has ended')
}

describe('a folder as a target', () => {
  test('gives back what was written, whole or in part', async () => {
    await target.write('packs/one', Buffer.from('0123456789'))
    expect(await content('packs/one')).toBe('0123456789')
    expect(await content('packs/one', { offset: 2, length: 3 })).toBe('234')
    expect(await content('packs/one', { offset: 8, length: 10 })).toBe('89')
  })

  test('replaces a file as a whole', async () => {
    await target.write('head', Buffer.from('a long first text'))
    await target.write('head', Buffer.from('short'))
    expect(await content('head')).toBe('short')
  })

  test('is for its owner alone', async () => {
    await target.write('packs/one', Buffer.from('x'))
    expect(statSync(join(target.location, 'packs')).mode & 0o777).toBe(0o700)
    expect(statSync(join(target.location, 'packs/one')).mode & 0o777).toBe(0o600)
  })

  test('holds nothing of a file whose writing broke off', async () => {
    await expect(target.write('packs/one', breakingOff())).rejects.toMatchObject({ code: 'INTERNAL' })
    expect(await target.list('')).toEqual([])
    expect(readdirSync(join(target.location, 'packs'))).toEqual([])
  })

  test('lists by prefix, in order, whole files only', async () => {
    for (const path of ['b/2', 'b/1', 'a/1', 'b2']) await target.write(path, Buffer.from(path))
    writeFileSync(join(target.location, 'b', '.3.0.part'), 'left by a writer that died')
    expect(await target.list('b')).toEqual([
      { path: 'b/1', bytes: 3 },
      { path: 'b/2', bytes: 3 },
      { path: 'b2', bytes: 2 },
    ])
    expect(await target.list('b/')).toHaveLength(2)
    expect(await target.list('c/')).toEqual([])
  })

  test('names a file that is missing', async () => {
    await expect(content('packs/none')).rejects.toMatchObject({
      code: 'TARGET_FILE_MISSING',
      details: { path: 'packs/none' },
    })
  })

  test('removes once, and is content when there is nothing to remove', async () => {
    await target.write('a/1', Buffer.from('x'))
    await target.remove('a/1')
    await target.remove('a/1')
    await target.remove('never/there')
    expect(await target.list('')).toEqual([])
  })

  test.each(['../outside', '/etc/passwd', 'a//b', 'a/./b', ''])('refuses the path %j', async (path) => {
    await expect(target.write(path, Buffer.from('x'))).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    await expect(content(path)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })

  test('is locked by one at a time, until the release', async () => {
    const lock = await target.lock('backups')
    const other = await openTarget(target.location)
    await expect(other.lock('backups')).rejects.toMatchObject({ code: 'TARGET_BUSY' })
    await (await other.lock('elsewhere')).release()
    await lock.release()
    await (await other.lock('backups')).release()
  })

  test('the lock clears what writers that died have left, in its area only', async () => {
    for (const path of ['backups/packs/1', 'archive/1']) await target.write(path, Buffer.from('x'))
    writeFileSync(join(target.location, 'backups/packs/.2.0.part'), 'left')
    writeFileSync(join(target.location, 'archive/.2.0.part'), 'being written')
    await (await target.lock('backups')).release()
    expect(readdirSync(join(target.location, 'backups/packs'))).toEqual(['1'])
    expect(readdirSync(join(target.location, 'archive')).sort()).toEqual(['.2.0.part', '1'])
  })
})

test.each(['s3://bucket/prefix', 'ftp://host/'])('no place like %s in this version', async (location) => {
  await expect(openTarget(location)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
})

test('a file is no folder', async () => {
  writeFileSync(join(folder, 'file'), '')
  await expect(openTarget(join(folder, 'file'))).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
})
