import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createKeyring, type Keyring, serializeKeyring } from '../../src/crypto/keyring.ts'
import {
  KEYRING_BACKUP_FILE,
  KEYRING_FILE,
  readKeyring,
  restoreKeyringCopies,
  writeKeyring,
} from '../../src/crypto/keyring-file.ts'
import { passwordBytes } from '../../src/crypto/password.ts'

const AS_ROOT = process.getuid?.() === 0
const BOTH = [KEYRING_FILE, KEYRING_BACKUP_FILE]

const first = await newKeyring()
const second: Keyring = { ...first, generation: 2 }
const foreign = await newKeyring()

let dir: string

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'holdfast-keyring-'))
})

afterEach(async () => {
  await rm(dir, { recursive: true, force: true })
})

async function newKeyring(): Promise<Keyring> {
  const { keyring } = await createKeyring({
    password: passwordBytes('correct horse battery staple'),
    cost: { memoryKiB: 19_456, iterations: 2, parallelism: 1 },
    now: new Date('2026-01-02T03:04:05Z'),
  })
  return keyring
}

async function put(name: string, text: string): Promise<void> {
  await writeFile(join(dir, name), text)
}

async function text(name: string): Promise<string> {
  return await readFile(join(dir, name), 'utf8')
}

/** A whole keyring of version 3, which nobody has defined yet. */
function keyringFromFuture(): string {
  const document = { format: 'holdfast-keyring', version: 3 }
  return JSON.stringify({ ...document, checksum: createHash('sha256').update(JSON.stringify(document)).digest('hex') })
}

describe('writing', () => {
  test('puts two identical copies into the directory, and nothing else', async () => {
    await writeKeyring(dir, first)
    expect((await readdir(dir)).sort()).toStrictEqual([...BOTH].sort())
    expect(await text(KEYRING_FILE)).toBe(serializeKeyring(first))
    expect(await text(KEYRING_BACKUP_FILE)).toBe(serializeKeyring(first))
  })

  test.each([0o000, 0o022, 0o777])('gives both copies mode 0600 under umask %i', async (mask) => {
    const before = process.umask(mask)
    try {
      await writeKeyring(dir, first)
    } finally {
      process.umask(before)
    }
    for (const name of BOTH) expect((await stat(join(dir, name))).mode & 0o777).toBe(0o600)
  })

  test('tightens the mode of a copy that was made readable', async () => {
    await writeKeyring(dir, first)
    for (const name of BOTH) await chmod(join(dir, name), 0o644)
    await writeKeyring(dir, second)
    for (const name of BOTH) expect((await stat(join(dir, name))).mode & 0o777).toBe(0o600)
  })

  test('replaces an older generation in place', async () => {
    await writeKeyring(dir, first)
    await writeKeyring(dir, second)
    expect((await readdir(dir)).sort()).toStrictEqual([...BOTH].sort())
    expect(await readKeyring(dir)).toStrictEqual({ keyring: second, damagedCopies: [] })
  })

  test('replaces the leftovers of a crash', async () => {
    for (const name of BOTH) await put(`${name}.tmp`, 'half a key')
    await writeKeyring(dir, first)
    expect((await readdir(dir)).sort()).toStrictEqual([...BOTH].sort())
  })

  test('moves a damaged copy aside, with its bytes', async () => {
    await writeKeyring(dir, first)
    await put(KEYRING_BACKUP_FILE, 'damage')
    await writeKeyring(dir, second)
    expect(await text(`${KEYRING_BACKUP_FILE}.damaged-1`)).toBe('damage')
    expect(await readKeyring(dir)).toStrictEqual({ keyring: second, damagedCopies: [] })
  })

  test('moves a newer generation aside rather than losing it', async () => {
    await writeKeyring(dir, second)
    await writeKeyring(dir, first)
    for (const name of BOTH) expect(await text(`${name}.damaged-1`)).toBe(serializeKeyring(second))
    expect(await readKeyring(dir)).toStrictEqual({ keyring: first, damagedCopies: [] })
  })

  test('never replaces the keyring of another store', async () => {
    await writeKeyring(dir, foreign)
    await expect(writeKeyring(dir, first)).rejects.toMatchObject({ code: 'STORE_EXISTS' })
    expect(await readKeyring(dir)).toStrictEqual({ keyring: foreign, damagedCopies: [] })
  })

  test('never replaces a keyring of a later version', async () => {
    await writeKeyring(dir, first)
    await put(KEYRING_BACKUP_FILE, keyringFromFuture())
    await expect(writeKeyring(dir, second)).rejects.toMatchObject({ code: 'STORE_FROM_FUTURE' })
    expect(await text(KEYRING_BACKUP_FILE)).toBe(keyringFromFuture())
    expect(await text(KEYRING_FILE)).toBe(serializeKeyring(first))
    expect((await readdir(dir)).sort()).toStrictEqual([...BOTH].sort())
  })
})

describe('reading', () => {
  test('a directory without a keyring, or no directory, is undefined', async () => {
    expect(await readKeyring(dir)).toBeUndefined()
    expect(await readKeyring(join(dir, 'nowhere'))).toBeUndefined()
  })

  test('the leftovers of a crash before the first copy was in place are no keyring', async () => {
    await put(`${KEYRING_FILE}.tmp`, serializeKeyring(first))
    expect(await readKeyring(dir)).toBeUndefined()
  })

  test.each(BOTH)('survives the loss of %s and reports it', async (name) => {
    await writeKeyring(dir, first)
    await rm(join(dir, name))
    expect(await readKeyring(dir)).toStrictEqual({ keyring: first, damagedCopies: [name] })
  })

  test.each(BOTH)('survives damage to %s, reports it and changes nothing', async (name) => {
    await writeKeyring(dir, first)
    const damaged = serializeKeyring(first).replace('"generation": 1', '"generation": 9')
    await put(name, damaged)
    expect(await readKeyring(dir)).toStrictEqual({ keyring: first, damagedCopies: [name] })
    expect(await text(name)).toBe(damaged)
  })

  test.each([
    ['an empty file', ''],
    ['a file of another program', '{"name":"my-bot"}'],
    ['a file far larger than a keyring', `${serializeKeyring(second)}${' '.repeat(1_048_576)}`],
  ])('survives %s in place of a copy', async (_what, content) => {
    await writeKeyring(dir, first)
    await put(KEYRING_FILE, content)
    expect(await readKeyring(dir)).toStrictEqual({ keyring: first, damagedCopies: [KEYRING_FILE] })
  })

  test.each([
    [KEYRING_FILE, KEYRING_BACKUP_FILE],
    [KEYRING_BACKUP_FILE, KEYRING_FILE],
  ])('takes the higher generation, here in %s, and reports the other as out of date', async (newer, older) => {
    await put(newer, serializeKeyring(second))
    await put(older, serializeKeyring(first))
    expect(await readKeyring(dir)).toStrictEqual({ keyring: second, damagedCopies: [older] })
  })

  test('takes the main copy when both are of one generation and differ', async () => {
    const twin = { ...first, createdAt: '2026-06-06T06:06:06.000Z' }
    await put(KEYRING_FILE, serializeKeyring(first))
    await put(KEYRING_BACKUP_FILE, serializeKeyring(twin))
    expect(await readKeyring(dir)).toStrictEqual({ keyring: first, damagedCopies: [KEYRING_BACKUP_FILE] })
  })

  test('with both copies damaged it is KEYRING_CORRUPT and says which files to restore', async () => {
    for (const name of BOTH) await put(name, 'damage')
    await expect(readKeyring(dir)).rejects.toMatchObject({
      code: 'KEYRING_CORRUPT',
      message: expect.stringMatching(/keyring\.json.*keyring\.backup\.json.*restore/s),
      details: { dir, files: BOTH },
    })
    for (const name of BOTH) expect(await text(name)).toBe('damage')
  })

  test('with one copy lost and the other damaged it is KEYRING_CORRUPT and names both', async () => {
    await put(KEYRING_BACKUP_FILE, 'damage')
    await expect(readKeyring(dir)).rejects.toMatchObject({
      code: 'KEYRING_CORRUPT',
      message: expect.stringMatching(/keyring\.json \(missing\) and keyring\.backup\.json \(damaged\)/),
      details: { files: BOTH },
    })
  })

  test('with copies of two stores it is KEYRING_CORRUPT rather than a guess', async () => {
    await put(KEYRING_FILE, serializeKeyring(first))
    await put(KEYRING_BACKUP_FILE, serializeKeyring(foreign))
    await expect(readKeyring(dir)).rejects.toMatchObject({ code: 'KEYRING_CORRUPT', details: { files: BOTH } })
  })

  test.each(BOTH)('a later version in %s is STORE_FROM_FUTURE, whatever the other copy is', async (name) => {
    const [other = ''] = BOTH.filter((copy) => copy !== name)
    await put(name, keyringFromFuture())
    for (const content of [serializeKeyring(first), 'damage']) {
      await put(other, content)
      await expect(readKeyring(dir)).rejects.toMatchObject({ code: 'STORE_FROM_FUTURE' })
    }
  })

  test('the JSON of another program alone is NOT_A_STORE', async () => {
    await put(KEYRING_FILE, '{"name":"my-bot"}')
    await expect(readKeyring(dir)).rejects.toMatchObject({ code: 'NOT_A_STORE' })
  })

  test('a folder by the name of a copy is IO_ERROR', async () => {
    await mkdir(join(dir, KEYRING_FILE))
    await expect(readKeyring(dir)).rejects.toMatchObject({
      code: 'IO_ERROR',
      details: { path: join(dir, KEYRING_FILE), systemCode: 'EISDIR' },
    })
  })
})

describe('restoring copies', () => {
  test.each(BOTH)('writes a lost %s anew and leaves the other alone', async (name) => {
    const [other = ''] = BOTH.filter((copy) => copy !== name)
    await writeKeyring(dir, first)
    await rm(join(dir, name))
    const before = await stat(join(dir, other))
    expect(await restoreKeyringCopies(dir, first, [name])).toStrictEqual([])
    expect(await text(name)).toBe(serializeKeyring(first))
    expect((await stat(join(dir, name))).mode & 0o777).toBe(0o600)
    expect((await stat(join(dir, other))).ino).toBe(before.ino)
  })

  test('moves damaged copies aside under a new number each time, and deletes none', async () => {
    await writeKeyring(dir, first)
    for (const n of [1, 2, 3]) {
      await put(KEYRING_FILE, `damage ${n}`)
      const read = await readKeyring(dir)
      expect(await restoreKeyringCopies(dir, first, read?.damagedCopies ?? [])).toStrictEqual([
        `${KEYRING_FILE}.damaged-${n}`,
      ])
    }
    for (const n of [1, 2, 3]) expect(await text(`${KEYRING_FILE}.damaged-${n}`)).toBe(`damage ${n}`)
    expect(await readKeyring(dir)).toStrictEqual({ keyring: first, damagedCopies: [] })
  })

  test('replaces a copy of an older generation without keeping it', async () => {
    await put(KEYRING_FILE, serializeKeyring(second))
    await put(KEYRING_BACKUP_FILE, serializeKeyring(first))
    expect(await restoreKeyringCopies(dir, second, [KEYRING_BACKUP_FILE])).toStrictEqual([])
    expect((await readdir(dir)).sort()).toStrictEqual([...BOTH].sort())
    expect(await readKeyring(dir)).toStrictEqual({ keyring: second, damagedCopies: [] })
  })

  test('leaves a copy alone that is right by now', async () => {
    await writeKeyring(dir, first)
    const before = await stat(join(dir, KEYRING_FILE))
    expect(await restoreKeyringCopies(dir, first, BOTH)).toStrictEqual([])
    expect((await stat(join(dir, KEYRING_FILE))).ino).toBe(before.ino)
  })

  test('touches no file that is not a copy of the keyring', async () => {
    await put('state.db', 'data')
    await expect(restoreKeyringCopies(dir, first, ['state.db'])).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    expect(await text('state.db')).toBe('data')
  })
})

describe('a file system that refuses', () => {
  /** Root may do anything, so a test that runs as root becomes nobody for a moment. */
  async function asNobody<T>(run: () => Promise<T>): Promise<T> {
    if (!AS_ROOT) return await run()
    process.seteuid?.(65_534)
    try {
      return await run()
    } finally {
      process.seteuid?.(0)
    }
  }

  test('a directory that may not be read is PERMISSION_DENIED', async () => {
    await writeKeyring(dir, first)
    await chmod(dir, 0o000)
    try {
      await asNobody(() => expect(readKeyring(dir)).rejects.toMatchObject({ code: 'PERMISSION_DENIED' }))
    } finally {
      await chmod(dir, 0o700)
    }
  })

  test('a directory that may not be written is PERMISSION_DENIED, and nothing has changed', async () => {
    await writeKeyring(dir, first)
    for (const name of BOTH) await chmod(join(dir, name), 0o644)
    await chmod(dir, 0o555)
    try {
      await asNobody(() => expect(writeKeyring(dir, second)).rejects.toMatchObject({ code: 'PERMISSION_DENIED' }))
    } finally {
      await chmod(dir, 0o700)
    }
    expect(await readKeyring(dir)).toStrictEqual({ keyring: first, damagedCopies: [] })
  })

  test('a directory that is not there is IO_ERROR', async () => {
    await expect(writeKeyring(join(dir, 'nowhere'), first)).rejects.toMatchObject({ code: 'IO_ERROR' })
  })

  test.skipIf(!canMountTmpfs())('a full disk is DISK_FULL, and nothing has changed', async () => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=20k', 'tmpfs', dir])
    try {
      await writeKeyring(dir, first)
      await put('ballast', 'x'.repeat(8192)) // one page is left: enough for the first staged copy only
      await expect(writeKeyring(dir, second)).rejects.toMatchObject({ code: 'DISK_FULL' })
      expect((await readdir(dir)).sort()).toStrictEqual([...BOTH, 'ballast'].sort())
      expect(await readKeyring(dir)).toStrictEqual({ keyring: first, damagedCopies: [] })
      await rm(join(dir, 'ballast'))
      await writeKeyring(dir, second)
      expect(await readKeyring(dir)).toStrictEqual({ keyring: second, damagedCopies: [] })
    } finally {
      execFileSync('umount', [dir])
    }
  })

  function canMountTmpfs(): boolean {
    if (!AS_ROOT) return false
    try {
      const probe = execFileSync('mktemp', ['-d'], { encoding: 'utf8' }).trim()
      execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', probe], { stdio: 'ignore' })
      execFileSync('umount', [probe])
      execFileSync('rmdir', [probe])
      return true
    } catch {
      return false
    }
  }
})
