/** What every target promises, wherever its files are. */
import { beforeEach, describe, expect, test } from 'vitest'
import { type BackupTarget, type ByteRange, openTarget } from '../../../src/worker/backup/target.ts'

export async function content(target: BackupTarget, path: string, range?: ByteRange): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of target.read(path, range)) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

export async function* breakingOff(bytes: Uint8Array = Buffer.from('half')): AsyncIterable<Uint8Array> {
  yield bytes
  throw new Error('the source has ended')
}

/** @param newLocation of a place where nothing is yet */
export function describeTarget(name: string, newLocation: () => string): void {
  describe(`${name} as a target`, () => {
    let target: BackupTarget

    beforeEach(async () => {
      target = await openTarget(newLocation())
    })

    test('gives back what was written, whole or in part', async () => {
      await target.write('packs/one', Buffer.from('0123456789'))
      expect(await content(target, 'packs/one')).toBe('0123456789')
      expect(await content(target, 'packs/one', { offset: 2, length: 3 })).toBe('234')
      expect(await content(target, 'packs/one', { offset: 8, length: 10 })).toBe('89')
      expect(await content(target, 'packs/one', { offset: 10, length: 1 })).toBe('')
    })

    test('takes what comes in pieces, in a buffer that is used again', async () => {
      async function* pieces(): AsyncIterable<Uint8Array> {
        const buffer = Buffer.alloc(3)
        for (const text of ['abc', 'def', 'ghi']) {
          buffer.write(text)
          yield buffer
        }
      }
      await target.write('packs/one', pieces())
      expect(await content(target, 'packs/one')).toBe('abcdefghi')
    })

    test('takes an empty file', async () => {
      await target.write('files/empty', Buffer.alloc(0))
      expect(await content(target, 'files/empty')).toBe('')
      expect(await target.list('files/')).toEqual([{ path: 'files/empty', bytes: 0 }])
    })

    test('reads a long file in pieces of at most 1 MiB', async () => {
      const long = Buffer.alloc(20 * 1024 * 1024 + 7)
      for (let at = 0; at < long.length; at += 4096) long.writeUInt32LE(at, at)
      async function* pieces(): AsyncIterable<Uint8Array> {
        for (let at = 0; at < long.length; at += 700_001) yield long.subarray(at, at + 700_001)
      }
      await target.write('packs/long', pieces())
      const chunks: Uint8Array[] = []
      for await (const chunk of target.read('packs/long')) chunks.push(chunk)
      expect(Math.max(...chunks.map(({ length }) => length))).toBeLessThanOrEqual(1024 * 1024)
      expect(Buffer.concat(chunks).equals(long)).toBe(true)
    })

    test('replaces a file as a whole', async () => {
      await target.write('head', Buffer.from('a long first text'))
      await target.write('head', Buffer.from('short'))
      expect(await content(target, 'head')).toBe('short')
    })

    test('holds nothing of a file whose writing broke off', async () => {
      await expect(target.write('packs/one', breakingOff())).rejects.toMatchObject({ code: 'INTERNAL' })
      const longer = breakingOff(Buffer.alloc(20 * 1024 * 1024))
      await expect(target.write('packs/two', longer)).rejects.toMatchObject({ code: 'INTERNAL' })
      expect(await target.list('')).toEqual([])
    })

    test('keeps a file whose replacement broke off', async () => {
      await target.write('head', Buffer.from('first'))
      await expect(target.write('head', breakingOff())).rejects.toMatchObject({ code: 'INTERNAL' })
      expect(await content(target, 'head')).toBe('first')
    })

    test('lists by prefix, in order', async () => {
      for (const path of ['b/2', 'b/1', 'a/1', 'b2']) await target.write(path, Buffer.from(path))
      expect(await target.list('b')).toEqual([
        { path: 'b/1', bytes: 3 },
        { path: 'b/2', bytes: 3 },
        { path: 'b2', bytes: 2 },
      ])
      expect(await target.list('b/')).toHaveLength(2)
      expect(await target.list('c/')).toEqual([])
    })

    test('names a file that is missing', async () => {
      await expect(content(target, 'packs/none')).rejects.toMatchObject({
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
      await expect(content(target, path)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    })

    test('is locked by one at a time, until the release', async () => {
      const lock = await target.lock('backups')
      const other = await openTarget(target.location)
      await expect(other.lock('backups')).rejects.toMatchObject({ code: 'TARGET_BUSY' })
      await (await other.lock('elsewhere')).release()
      await lock.release()
      await (await other.lock('backups')).release()
      expect(await target.list('')).toEqual([])
    })

    test('of many that want the lock in one moment, one gets it', async () => {
      const others = await Promise.all(Array.from({ length: 5 }, () => openTarget(target.location)))
      const outcomes = await Promise.allSettled(others.map((other) => other.lock('backups')))
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
      for (const outcome of outcomes) {
        if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'TARGET_BUSY' })
        else await outcome.value.release()
      }
    })

    test('the lock is not listed', async () => {
      const lock = await target.lock('backups')
      expect(await target.list('')).toEqual([])
      await lock.release()
    })
  })
}
