import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type BackupTarget, openTarget } from '../../../src/worker/backup/target.ts'
import { breakingOff, describeTarget } from './target-spec.ts'

let folder: string
let target: BackupTarget

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-target-'))
  target = await openTarget(join(folder, 'backups', 'store'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

let places = 0
describeTarget('a folder', () => {
  places += 1
  return join(folder, `place-${places}`)
})

describe('a folder as a target, as its files are seen', () => {
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

  test('lists whole files only', async () => {
    for (const path of ['b/2', 'b/1', 'a/1', 'b2']) await target.write(path, Buffer.from(path))
    writeFileSync(join(target.location, 'b', '.3.0.part'), 'left by a writer that died')
    expect(await target.list('b')).toEqual([
      { path: 'b/1', bytes: 3 },
      { path: 'b/2', bytes: 3 },
      { path: 'b2', bytes: 2 },
    ])
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

test.each(['ftp://someone:hidden@host/', 'https://host/backups'])('no place like %s', async (location) => {
  const error = await openTarget(location).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' })
  expect(inspect(error)).not.toContain('hidden')
})

test('a file is no folder', async () => {
  writeFileSync(join(folder, 'file'), '')
  await expect(openTarget(join(folder, 'file'))).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
})
