/**
 * Follows an archive: copies the base of its newest generation and applies segments as they arrive. No key is needed,
 * since pages are written as they are, and none is held: what a standby has is what the archive has.
 *
 * It holds the owner lock of its directory, so that nobody opens it half way through a segment.
 */
import { existsSync } from 'node:fs'
import { mkdir, open, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { KEYRING_BACKUP_FILE, KEYRING_FILE } from '../../crypto/keyring-file.ts'
import type { FollowRequest, StandbyStatus } from '../../protocol/archive.ts'
import { StoreError } from '../../protocol/store-error.ts'
import { DATABASE_FILES, type DatabaseFile } from '../../schema/database-file.ts'
import { type BackupTarget, openTarget } from '../backup/target.ts'
import { writeWhole } from '../backup/write-whole.ts'
import type { Driver } from '../driver.ts'
import { failpoint } from '../failpoint.ts'
import { toStoreError } from '../io-error.ts'
import { acquireOwnerLock, type OwnerLock } from '../owner-lock.ts'
import { DIRECTORY_MODE, FILE_MODE, LOCK_FILE, OWNER_FILE } from '../store-files.ts'
import {
  finishedGenerations,
  forEachFile,
  type Manifest,
  readHead,
  readKeyringText,
  readManifest,
  segmentNumbers,
  segmentPath,
} from './archive-files.ts'
import { copyBaseTo } from './restore-moment.ts'
import { damagedSegment, readSegment } from './segment.ts'
import { removeUnlisted, type TakenFiles, takeFiles } from './standby-files.ts'
import {
  baseCopyPath,
  finishApplying,
  keyringCopyPath,
  readStandby,
  type StandbyState,
  standbySegmentPath,
  writeStandby,
} from './standby-state.ts'

export class StandbyFollower {
  readonly #dir: string
  readonly #from: string
  readonly #lock: OwnerLock
  #target: BackupTarget | undefined
  #state: StandbyState | undefined
  #keyringText = ''
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> | undefined
  #lastError: StoreError | null = null
  #isCaughtUp = false
  #isEnding = false

  private constructor(dir: string, from: string, lock: OwnerLock, state: StandbyState | undefined) {
    this.#dir = dir
    this.#from = from
    this.#lock = lock
    this.#state = state
  }

  /** @throws StoreError `STORE_EXISTS` for a directory with a store, one that was a standby included; `STORE_LOCKED` */
  static async start(driver: Driver, { from, dir, pollMs }: FollowRequest): Promise<StandbyFollower> {
    try {
      const state = existsSync(dir) ? await readStandby(dir) : undefined
      if (state === undefined) await assertEmpty(dir)
      await mkdir(dir, { recursive: true, mode: DIRECTORY_MODE })
      const lock = await acquireOwnerLock(driver, dir)
      try {
        // Read again: who held the lock until now may have promoted it.
        const found = await readStandby(dir)
        if (found === undefined) await assertEmpty(dir)
        const follower = new StandbyFollower(dir, from, lock, found)
        if (found !== undefined) follower.#state = await finishApplying(dir, found)
        follower.#timer = setInterval(() => void follower.#tick(), pollMs)
        void follower.#tick()
        return follower
      } catch (error) {
        await lock.release()
        throw error
      }
    } catch (error) {
      throw await toStoreError(error, dir)
    }
  }

  get status(): StandbyStatus {
    const state = this.#state
    const error = this.#lastError
    return {
      dir: this.#dir,
      from: this.#from,
      generation: state?.generation ?? null,
      isReady: state?.phase === 'following',
      isCaughtUp: this.#isCaughtUp,
      segments: state === undefined ? 0 : state.files.state.number + state.files.market.number,
      sequence: state?.files.state.sequence ?? null,
      timeMs: state?.files.state.timeMs ?? null,
      lastError: error === null ? null : { code: error.code, message: error.message },
    }
  }

  async close(): Promise<void> {
    this.#isEnding = true
    clearInterval(this.#timer)
    await this.#running
    await this.#lock.release()
  }

  #tick(): Promise<void> {
    this.#running ??= this.#work().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  async #work(): Promise<void> {
    if (this.#isEnding) return
    try {
      this.#target ??= await openTarget(this.#from)
      await this.#follow(this.#target)
      this.#lastError = null
    } catch (error) {
      this.#isCaughtUp = false
      this.#lastError = await toStoreError(error, this.#dir)
    }
  }

  async #follow(target: BackupTarget): Promise<void> {
    const newest = (await finishedGenerations(target)).at(-1)
    if (newest === undefined) throw nothingToFollow(this.#from)
    const current = this.#state
    if (current?.phase === 'following') {
      const failure = await this.#applyAll(target, current.generation).then(
        () => undefined,
        (error: unknown) => error,
      )
      // A generation that has a successor ends with its last whole segment.
      if (failure !== undefined && current.generation === newest) throw failure
    }
    if (this.#isEnding) return
    const isNew = this.#state?.generation !== newest || this.#state.phase === 'copying'
    if (isNew) await this.#copyBase(target, newest)
    const problems = await this.#applyAll(target, newest)
    if (problems.length > 0) throw filesMissing(this.#from, problems)
    if (isNew && !this.#isEnding) await removeUnlisted(target, this.#dir, newest)
    this.#isCaughtUp = !this.#isEnding
  }

  /** Beside what is there: until the copy is whole the standby stays what it was. */
  async #copyBase(target: BackupTarget, generation: string): Promise<void> {
    const manifest = await readManifest(target, generation, null)
    const before = this.#state
    if (before !== undefined && before.storeId !== manifest.storeId) throw otherStore(this.#from)
    const next: StandbyState = {
      version: 1,
      storeId: manifest.storeId,
      generation,
      phase: 'following',
      files: forEachFile((file) => ({
        number: 0,
        sha256: manifest.files[file].sha256,
        sequence: manifest.sequence,
        timeMs: manifest.createdAtMs,
      })),
      lists: 0,
      applying: null,
    }
    if (before?.phase !== 'following') {
      this.#state = { ...next, phase: 'copying' }
      await writeStandby(this.#dir, this.#state)
    }
    const files = { ...next.files }
    for (const file of DATABASE_FILES) {
      files[file] = (await this.#copyFile(target, manifest, file)) ?? files[file]
    }
    // What can't be taken now is asked for again.
    const { lists } = await this.#takeFiles(target, generation, 0, true)
    const { text } = await readKeyringText(target, generation)
    for (const name of [KEYRING_FILE, KEYRING_BACKUP_FILE]) {
      await writeFile(keyringCopyPath(this.#dir, name), text, { mode: FILE_MODE, flush: true })
    }
    if (this.#isEnding) return
    await failpoint('standby:base-copied')
    const switching: StandbyState = { ...next, files, lists, phase: 'switching' }
    await writeStandby(this.#dir, switching)
    this.#keyringText = ''
    this.#state = await finishApplying(this.#dir, switching)
  }

  /** The base of a database, with the first segment if it is whole only with it. */
  async #copyFile(
    target: BackupTarget,
    manifest: Manifest,
    file: DatabaseFile,
  ): Promise<StandbyState['files'][DatabaseFile] | undefined> {
    const handle = await open(baseCopyPath(this.#dir, file), 'w', FILE_MODE)
    try {
      await copyBaseTo(target, manifest, file, handle)
      if (manifest.files[file].isWhole) return undefined
      const path = segmentPath(manifest.generation, file, 1)
      const read = await readSegment(target.read(path), path, null, async ({ pageNumber, page }) => {
        await writeWhole(handle, page, (pageNumber - 1) * page.length)
      })
      if (read.header.previous !== manifest.files[file].sha256)
        throw damagedSegment(path, 'it does not follow the base')
      const last = read.commits.at(-1)
      if (last === undefined) throw damagedSegment(path, 'it holds no commit')
      await handle.truncate(last.pages * read.header.pageBytes)
      const named = read.commits.findLast(({ sequence }) => sequence !== null)
      return {
        number: 1,
        sha256: read.sha256,
        sequence: named?.sequence ?? manifest.sequence,
        timeMs: last.timeMs,
      }
    } finally {
      await handle.sync()
      await handle.close()
    }
  }

  /** @returns what is wrong with files that the segments count on; those are applied all the same */
  async #applyAll(target: BackupTarget, generation: string): Promise<readonly string[]> {
    const last: Partial<Record<DatabaseFile, number>> = {}
    for (const file of DATABASE_FILES) {
      const numbers = await segmentNumbers(target, generation, file)
      const stated = (await readHead(target, generation, null))?.files[file].segments ?? 0
      last[file] = Math.max(stated, numbers.at(-1) ?? 0)
    }
    // After the segments were looked for: what is listed by now is enough for them.
    const state = this.#state as StandbyState
    const { lists, problems } = await this.#takeFiles(target, generation, state.lists, false)
    if (lists !== state.lists) {
      this.#state = { ...state, lists }
      await writeStandby(this.#dir, this.#state)
    }
    // A database must not know of a newer keyring than there is.
    await this.#takeKeyring(target, generation)
    for (const file of DATABASE_FILES) {
      for (let number = state.files[file].number + 1; number <= (last[file] ?? 0); number++) {
        if (this.#isEnding) return problems
        this.#isCaughtUp = false
        await this.#apply(target, file, number)
      }
    }
    return problems
  }

  async #takeFiles(target: BackupTarget, generation: string, after: number, isBase: boolean): Promise<TakenFiles> {
    return await takeFiles({ target, dir: this.#dir, generation, after, isBase, isEnding: () => this.#isEnding })
  }

  async #apply(target: BackupTarget, file: DatabaseFile, number: number): Promise<void> {
    const state = this.#state as StandbyState
    const path = segmentPath(state.generation, file, number)
    const local = standbySegmentPath(this.#dir)
    const handle = await open(local, 'w', FILE_MODE)
    let sha256: string
    try {
      const read = await readSegment(copied(target.read(path), handle), path, null)
      const { header } = read
      const isOurs = header.storeId === state.storeId && header.generation === state.generation
      if (!isOurs || header.file !== file || header.number !== number) {
        throw damagedSegment(path, 'it is a segment of another place')
      }
      if (header.previous !== state.files[file].sha256) throw damagedSegment(path, 'it does not follow the one before')
      sha256 = read.sha256
      await handle.sync()
    } finally {
      await handle.close()
    }
    await failpoint('standby:downloaded')
    const applying: StandbyState = { ...state, applying: { file, number, sha256 } }
    await writeStandby(this.#dir, applying)
    await failpoint('standby:before-apply')
    this.#state = await finishApplying(this.#dir, applying)
  }

  async #takeKeyring(target: BackupTarget, generation: string): Promise<void> {
    const { text } = await readKeyringText(target, generation)
    if (text === this.#keyringText) return
    for (const name of [KEYRING_FILE, KEYRING_BACKUP_FILE]) {
      const path = join(this.#dir, name)
      await writeFile(`${path}.tmp`, text, { mode: FILE_MODE, flush: true })
      await rename(`${path}.tmp`, path)
    }
    this.#keyringText = text
  }
}

async function* copied(
  content: AsyncIterable<Uint8Array>,
  to: { readonly writeFile: (bytes: Uint8Array) => Promise<void> },
): AsyncGenerator<Uint8Array> {
  for await (const part of content) {
    await to.writeFile(part)
    yield part
  }
}

async function assertEmpty(dir: string): Promise<void> {
  const names = existsSync(dir) ? await readdir(dir) : []
  const found = names.filter((name) => name !== LOCK_FILE && name !== OWNER_FILE && !name.startsWith('.'))
  if (found.length === 0) {
    for (const name of [KEYRING_FILE, KEYRING_BACKUP_FILE]) await rm(join(dir, `${name}.tmp`), { force: true })
    return
  }
  throw new StoreError(
    'STORE_EXISTS',
    `${dir} holds a store or other files and is no standby; one that was promoted is none any more. Give the standby a directory of its own.`,
    { details: { dir, found: found.slice(0, 5) } },
  )
}

function filesMissing(from: string, problems: readonly string[]): StoreError {
  return new StoreError(
    'ARCHIVE_DAMAGED',
    `This standby has every commit, but not every file: ${problems.length} can not be taken from ${from}. The first: ${problems[0]}`,
    { details: { location: from, problems: problems.slice(0, 20) } },
  )
}

function nothingToFollow(from: string): StoreError {
  return new StoreError('BACKUP_NOT_FOUND', `${from} holds no finished generation of an archive yet.`, {
    details: { location: from },
  })
}

function otherStore(from: string): StoreError {
  return new StoreError('STORE_EXISTS', `${from} is the archive of another store than this standby's.`, {
    details: { location: from },
  })
}
