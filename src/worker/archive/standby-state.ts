/**
 * What a standby's directory says about itself, in one small file that is replaced as a whole. As long as it is there the
 * directory is a standby; opening it with the password takes it away, and with it the way back.
 *
 * A segment is applied by writing its pages in place, which a crash may leave half done. So it is kept in the directory
 * while that happens, and named here: whoever comes next, standby or owner, applies it again from its beginning.
 */
import { existsSync } from 'node:fs'
import { open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import { publishFile, stageFile } from '../../crypto/atomic-file.ts'
import { KEYRING_BACKUP_FILE, KEYRING_FILE } from '../../crypto/keyring-file.ts'
import { StoreError } from '../../protocol/store-error.ts'
import { DATABASE_FILES, type DatabaseFile } from '../../schema/database-file.ts'
import { writeWhole } from '../backup/write-whole.ts'
import { failpoint } from '../failpoint.ts'
import { databasePath } from '../store-files.ts'
import { readSegment, sha256Hex } from './segment.ts'
import { fileChunks } from './spool.ts'
import { COPY_SUFFIX, placeYearly, removeUnplaced } from './standby-files.ts'

const STATE_FILE = 'standby.json'
const SEGMENT_FILE = 'standby.segment'

const applied = z.strictObject({
  number: z.int().nonnegative(),
  sha256: sha256Hex,
  sequence: z.number().nullable(),
  timeMs: z.number(),
})

const standbyState = z.strictObject({
  version: z.literal(1),
  storeId: z.uuid(),
  generation: z.string().min(1),
  /** `copying`: there is no whole database yet. `switching`: copies of a newer base take the place of the databases. */
  phase: z.enum(['copying', 'switching', 'following']),
  files: z.strictObject({ state: applied, market: applied }),
  /** Lists of files of this generation up to which all is here. */
  lists: z.int().nonnegative().default(0),
  applying: z.strictObject({ file: z.enum(DATABASE_FILES), number: z.int().min(1), sha256: sha256Hex }).nullable(),
})

export type StandbyState = z.infer<typeof standbyState>
export type AppliedSegment = z.infer<typeof applied>

export function standbySegmentPath(dir: string): string {
  return join(dir, SEGMENT_FILE)
}

/** Undefined when the directory is no standby. @throws StoreError `STORE_CORRUPT` */
export async function readStandby(dir: string): Promise<StandbyState | undefined> {
  let text: string
  try {
    text = await readFile(join(dir, STATE_FILE), 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  try {
    return standbyState.parse(JSON.parse(text))
  } catch {
    throw new StoreError(
      'STORE_CORRUPT',
      `${STATE_FILE} in ${dir} can not be read, so it is not known how far this standby is. Empty the directory and let it follow anew.`,
      { details: { dir, file: STATE_FILE } },
    )
  }
}

export async function writeStandby(dir: string, state: StandbyState): Promise<void> {
  await publishFile(await stageFile(join(dir, STATE_FILE), JSON.stringify(state)))
}

/** A copy of a newer base, until it is whole. */
export function baseCopyPath(dir: string, file: DatabaseFile): string {
  return `${databasePath(dir, file)}${COPY_SUFFIX}`
}

/** Of the same generation as those copies. */
export function keyringCopyPath(dir: string, name: string): string {
  return join(dir, `${name}${COPY_SUFFIX}`)
}

async function finishSwitching(dir: string, state: StandbyState): Promise<StandbyState> {
  for (const file of DATABASE_FILES) {
    const copy = baseCopyPath(dir, file)
    if (existsSync(copy)) await rename(copy, databasePath(dir, file))
  }
  await placeYearly(dir)
  for (const name of [KEYRING_FILE, KEYRING_BACKUP_FILE]) {
    const copy = keyringCopyPath(dir, name)
    if (existsSync(copy)) await rename(copy, join(dir, name))
  }
  const next: StandbyState = { ...state, phase: 'following' }
  await writeStandby(dir, next)
  return next
}

/** Ends what was under way: a segment is applied whole. The caller holds the lock of the directory. */
export async function finishApplying(dir: string, state: StandbyState): Promise<StandbyState> {
  if (state.phase === 'switching') return await finishSwitching(dir, state)
  const { applying } = state
  if (applying === null) return state
  const path = standbySegmentPath(dir)
  const { file, number, sha256 } = applying
  const handle = await open(databasePath(dir, file), 'r+')
  let after: AppliedSegment
  try {
    const read = await readSegment(fileChunks(path), path, null, async ({ pageNumber, page }) => {
      await writeWhole(handle, page, (pageNumber - 1) * page.length)
      await failpoint('standby:applying')
    })
    const last = read.commits.at(-1)
    if (read.sha256 !== sha256 || last === undefined) {
      throw new StoreError('STORE_CORRUPT', `${path} is not the segment that was being applied.`, { details: { path } })
    }
    await handle.truncate(last.pages * read.header.pageBytes)
    await handle.sync()
    const named = read.commits.findLast(({ sequence }) => sequence !== null)
    after = { number, sha256, sequence: named?.sequence ?? state.files[file].sequence, timeMs: last.timeMs }
  } finally {
    await handle.close()
  }
  await failpoint('standby:applied')
  const next: StandbyState = { ...state, files: { ...state.files, [file]: after }, applying: null }
  await writeStandby(dir, next)
  return next
}

/** For a look without a password being given away: a standby has no readers. @throws StoreError `STANDBY_NOT_READY` */
export async function assertNoStandby(dir: string): Promise<void> {
  if ((await readStandby(dir)) === undefined) return
  throw new StoreError(
    'STANDBY_NOT_READY',
    `${dir} is a standby, which changes under a reader. Stop it and open it as its owner to promote it.`,
    { details: { dir } },
  )
}

/**
 * The standby that an owner is about to make a store of. Undefined when it is none.
 *
 * @throws StoreError `STANDBY_NOT_READY` when it has not got its first whole copy
 */
export async function readyStandby(dir: string): Promise<StandbyState | undefined> {
  const found = await readStandby(dir)
  if (found === undefined) return undefined
  if (found.phase === 'copying') {
    throw new StoreError(
      'STANDBY_NOT_READY',
      `${dir} has not got its first whole copy yet. Let it follow the archive until its status says so, or restore the archive elsewhere.`,
      { details: { dir } },
    )
  }
  return found
}

/** The last step: from now on it is a store like any other. */
export async function forgetStandby(dir: string): Promise<void> {
  for (const file of DATABASE_FILES) await rm(baseCopyPath(dir, file), { force: true })
  for (const name of [KEYRING_FILE, KEYRING_BACKUP_FILE]) await rm(keyringCopyPath(dir, name), { force: true })
  await removeUnplaced(dir)
  await rm(standbySegmentPath(dir), { force: true })
  await rm(join(dir, STATE_FILE), { force: true })
}
