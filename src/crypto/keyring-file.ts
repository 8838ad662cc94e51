/**
 * Why: without its keyring a store is noise, so the keyring is kept twice, and one bad sector or one slip of an editor
 * loses nothing. Each copy is replaced atomically, the main one first, so a crash leaves at least one whole copy and
 * the higher generation is the newer one.
 *
 * A copy that looks damaged is never overwritten or deleted: it is moved aside for somebody to look at.
 *
 * Nothing here locks: the caller holds the lock of the store directory.
 */

import { open, readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { StoreError } from '../protocol/store-error.ts'
import { discardFile, publishFile, type StagedFile, stageFile } from './atomic-file.ts'
import { fileError, systemErrorCode } from './file-error.ts'
import { type Keyring, parseKeyring, serializeKeyring } from './keyring.ts'

/** The main copy's file name, inside the store directory. */
export const KEYRING_FILE = 'keyring.json'

/** The second copy's file name, inside the store directory. */
export const KEYRING_BACKUP_FILE = 'keyring.backup.json'

const COPIES: readonly string[] = [KEYRING_FILE, KEYRING_BACKUP_FILE]

/** Far above any keyring (a slot takes about 600 bytes), far below what would hurt to read. */
const MAX_BYTES = 1_048_576

type Copy =
  | { readonly name: string; readonly state: 'missing' }
  | { readonly name: string; readonly state: 'damaged'; readonly error: StoreError }
  | { readonly name: string; readonly state: 'valid'; readonly keyring: Keyring }

export interface ReadKeyring {
  readonly keyring: Keyring
  /** Names of the copies that are lost, damaged or out of date: what `restoreKeyringCopies` puts right. */
  readonly damagedCopies: string[]
}

/**
 * The keyring of a store directory, or `undefined` when neither copy exists. Of two valid copies the one with the
 * higher generation counts. Changes nothing.
 *
 * @throws StoreError KEYRING_CORRUPT when no copy is valid or the two belong to different stores, STORE_FROM_FUTURE when
 * one is of a later version, NOT_A_STORE when there are only other programs' files by these names, PERMISSION_DENIED or
 * IO_ERROR when a copy cannot be read
 */
export async function readKeyring(dir: string): Promise<ReadKeyring | undefined> {
  const copies = [await inspectCopy(dir, KEYRING_FILE), await inspectCopy(dir, KEYRING_BACKUP_FILE)]
  if (copies.every((copy) => copy.state === 'missing')) return undefined

  const keyrings = copies.flatMap((copy) => (copy.state === 'valid' ? [copy.keyring] : []))
  const newest = keyrings.reduce<Keyring | undefined>(
    (best, keyring) => (best !== undefined && best.generation >= keyring.generation ? best : keyring),
    undefined,
  )
  if (newest === undefined) throw noValidCopy(dir, copies)
  if (keyrings.some((keyring) => keyring.storeId !== newest.storeId)) {
    throw new StoreError(
      'KEYRING_CORRUPT',
      `The two copies of the keyring in ${dir}, ${COPIES.join(' and ')}, belong to different stores. Nothing was ` +
        'changed: move the one that does not belong here elsewhere.',
      { details: { dir, files: COPIES } },
    )
  }
  const damagedCopies = copies
    .filter((copy) => copy.state !== 'valid' || !isSameKeyring(copy.keyring, newest))
    .map((copy) => copy.name)
  return { keyring: newest, damagedCopies }
}

/**
 * Writes both copies, mode 0600. Both are durable beside their targets before the first is replaced; then the main
 * copy is replaced, then the backup. What is in the way and is not an older generation of the same keyring is moved
 * aside to `<name>.damaged-<n>`.
 *
 * @throws StoreError DISK_FULL, PERMISSION_DENIED or IO_ERROR; STORE_EXISTS when a copy is another store's keyring and
 * STORE_FROM_FUTURE when it is a later version's. After DISK_FULL, STORE_EXISTS and STORE_FROM_FUTURE nothing has
 * changed; after the others the main copy may be the new one already: read again before deciding anything
 */
export async function writeKeyring(dir: string, keyring: Keyring): Promise<void> {
  await replaceCopies(dir, keyring, COPIES)
}

/**
 * Puts the named copies right and leaves the others alone. A damaged copy is moved aside to `<name>.damaged-<n>`; one
 * that is missing or merely an older generation of the same keyring is written anew; one that is right by now is kept.
 *
 * @param damagedCopies as `readKeyring` returned them
 * @returns the names that damaged copies were moved to
 * @throws StoreError INVALID_ARGUMENT for a name that is no copy's, otherwise as `writeKeyring`
 */
export async function restoreKeyringCopies(
  dir: string,
  keyring: Keyring,
  damagedCopies: readonly string[],
): Promise<string[]> {
  if (!damagedCopies.every((name) => COPIES.includes(name))) {
    throw new StoreError('INVALID_ARGUMENT', `The copies of a keyring are named ${COPIES.join(' and ')}.`)
  }
  return await replaceCopies(dir, keyring, damagedCopies)
}

async function replaceCopies(dir: string, keyring: Keyring, names: readonly string[]): Promise<string[]> {
  const text = serializeKeyring(keyring)
  const steps: { readonly copy: Copy; readonly file: StagedFile }[] = []
  const movedTo: string[] = []
  try {
    for (const name of names) {
      const copy = await inspectCopy(dir, name)
      if (copy.state === 'valid' && copy.keyring.storeId !== keyring.storeId) throw otherStore(dir, name)
      if (copy.state === 'valid' && isSameKeyring(copy.keyring, keyring)) continue
      steps.push({ copy, file: await stageFile(join(dir, name), text) })
    }
    // One copy at a time: a crash must never leave both moved aside, or the directory would look like an empty one.
    for (const { copy, file } of steps) {
      if (!mayBeReplaced(copy, keyring)) movedTo.push(await moveAside(dir, copy.name))
      await publishFile(file)
    }
  } catch (error) {
    for (const { file } of steps) await discardFile(file)
    throw error
  }
  return movedTo
}

function mayBeReplaced(copy: Copy, keyring: Keyring): boolean {
  if (copy.state !== 'valid') return copy.state === 'missing'
  return copy.keyring.generation < keyring.generation
}

async function moveAside(dir: string, name: string): Promise<string> {
  const path = join(dir, name)
  try {
    const taken = new Set(await readdir(dir))
    let n = 1
    while (taken.has(`${name}.damaged-${n}`)) n += 1
    const aside = `${name}.damaged-${n}`
    await rename(path, join(dir, aside))
    return aside
  } catch (error) {
    throw fileError(error, 'move', path)
  }
}

async function inspectCopy(dir: string, name: string): Promise<Copy> {
  const path = join(dir, name)
  try {
    return { name, state: 'valid', keyring: parseKeyring(await readText(path)) }
  } catch (thrown) {
    if (systemErrorCode(thrown) === 'ENOENT') return { name, state: 'missing' }
    const error = fileError(thrown, 'read', path)
    if (isDamage(error)) return { name, state: 'damaged', error }
    throw error
  }
}

/** An unreadable sector (EIO) is damage like any other; what a person can put right, such as a mode, is not. */
function isDamage(error: StoreError): boolean {
  return error.code === 'KEYRING_CORRUPT' || error.code === 'NOT_A_STORE' || error.details.systemCode === 'EIO'
}

async function readText(path: string): Promise<string> {
  const file = await open(path, 'r')
  try {
    const { size } = await file.stat()
    if (size > MAX_BYTES) {
      throw new StoreError('KEYRING_CORRUPT', 'The keyring is damaged: it is far larger than any keyring.')
    }
    return await file.readFile('utf8')
  } finally {
    await file.close()
  }
}

function isSameKeyring(a: Keyring, b: Keyring): boolean {
  return serializeKeyring(a) === serializeKeyring(b)
}

function otherStore(dir: string, name: string): StoreError {
  return new StoreError(
    'STORE_EXISTS',
    `${dir} already holds the keyring of another store (${name}). Nothing was changed: use another directory.`,
    { details: { dir, files: [name] } },
  )
}

function noValidCopy(dir: string, copies: readonly Copy[]): StoreError {
  const errors = copies.flatMap((copy) => (copy.state === 'damaged' ? [copy.error] : []))
  const [first] = errors
  if (first !== undefined && first.code !== 'KEYRING_CORRUPT' && errors.every((error) => error.code === first.code)) {
    return first
  }
  const states = copies.map((copy) => `${copy.name} (${copy.state})`).join(' and ')
  return new StoreError(
    'KEYRING_CORRUPT',
    `No usable copy of the keyring is left in ${dir}: ${states}. Without it the store cannot be opened by any ` +
      'password. Nothing was changed: restore either file from a backup of this store.',
    { details: { dir, files: COPIES }, cause: first },
  )
}
