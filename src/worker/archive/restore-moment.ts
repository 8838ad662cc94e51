/**
 * Brings back the databases of any moment from an archive: the base of a generation and its segments, up to exactly the
 * commit that was asked for. Whatever is used has been checked: hashes, chain, and the code that only the store's key
 * makes. What is missing or damaged ends the restore at the commit before it, and is named.
 */
import { createHash } from 'node:crypto'
import { type FileHandle, mkdir, open, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { KEYRING_BACKUP_FILE, KEYRING_FILE } from '../../crypto/keyring-file.ts'
import type { RestoredMoment } from '../../protocol/archive.ts'
import { StoreError } from '../../protocol/store-error.ts'
import { DATABASE_FILES, type DatabaseFile } from '../../schema/database-file.ts'
import type { BackupTarget } from '../backup/target.ts'
import { writeWhole } from '../backup/write-whole.ts'
import { DIRECTORY_MODE, databasePath, FILE_MODE } from '../store-files.ts'
import {
  basePath,
  finishedGenerations,
  type Head,
  type Manifest,
  readHead,
  readKeyringText,
  readManifest,
  segmentNumbers,
  segmentPath,
} from './archive-files.ts'
import { isGap } from './file-list.ts'
import { damagedSegment, type ReadSegment, readSegment, type SegmentCommit } from './segment.ts'

/** A moment: a time, a batch of state.db, or the latest there is. */
export type Moment =
  | { readonly kind: 'at'; readonly timeMs: number }
  | { readonly kind: 'sequence'; readonly sequence: number }
  | { readonly kind: 'latest' }

/** What has been put together. */
export type MomentFiles = Omit<RestoredMoment, 'dir' | 'movedAside' | 'missingFiles' | 'artifactsWithoutContent'>

export interface RestoreMomentOptions {
  readonly target: BackupTarget
  readonly moment: Moment
  /** An empty directory, or one to be made. */
  readonly dir: string
  /** The key for the codes of a generation, from its keyring. Zeroed by the caller. */
  readonly macKeyOf: (keyringText: string) => Promise<Uint8Array>
}

/** @throws StoreError `BACKUP_NOT_FOUND` when no generation reaches back that far, `ARCHIVE_DAMAGED`, `WRONG_PASSWORD` */
export async function restoreMoment({ target, moment, dir, macKeyOf }: RestoreMomentOptions): Promise<MomentFiles> {
  const { manifest, keyringText, macKey, head, plans, problems } = await choose(target, moment, macKeyOf)
  await mkdir(dir, { recursive: true, mode: DIRECTORY_MODE })
  for (const file of DATABASE_FILES) {
    const plan = plans[file]
    await restoreFile(target, manifest, file, plan, databasePath(dir, file), macKey)
  }
  for (const name of [KEYRING_FILE, KEYRING_BACKUP_FILE])
    await writeFile(join(dir, name), keyringText, { mode: FILE_MODE })
  const { state } = plans
  return {
    generation: manifest.generation,
    storeId: manifest.storeId,
    sequence: state.sequence,
    timeMs: state.timeMs,
    archivedUntilMs: head === undefined ? state.timeMs : Math.max(head.files.state.timeMs, head.files.market.timeMs),
    isComplete: problems.length === 0,
    problems,
  }
}

interface FilePlan {
  /** Number of the last segment to apply and of the frame to stop behind; 0 for the base alone. */
  readonly segments: number
  readonly lastFrame: number
  readonly pages: number
  readonly sequence: number | null
  readonly timeMs: number
}

interface Choice {
  readonly manifest: Manifest
  readonly keyringText: string
  readonly macKey: Uint8Array
  readonly head: Head | undefined
  readonly plans: Readonly<Record<DatabaseFile, FilePlan>>
  readonly problems: readonly string[]
}

/** The newest generation that begins at the moment or before it. */
async function choose(
  target: BackupTarget,
  moment: Moment,
  macKeyOf: RestoreMomentOptions['macKeyOf'],
): Promise<Choice> {
  const generations = await finishedGenerations(target)
  let oldest: Manifest | undefined
  for (const generation of generations.reverse()) {
    const unproven = await readManifest(target, generation, null)
    const keyring = await readKeyringText(target, generation)
    const macKey = await macKeyOf(keyring.text)
    const manifest = await readManifest(target, generation, macKey)
    if (manifest.generation !== generation || unproven.mac !== manifest.mac) throw misplaced(generation)
    oldest = manifest
    if (isBefore(moment, manifest)) continue
    const problems: string[] = [...keyring.problems]
    const head = await readHead(target, generation, macKey).catch((error: unknown) => {
      if (!(error instanceof StoreError) || error.code !== 'ARCHIVE_DAMAGED') throw error
      problems.push(error.message)
      return undefined
    })
    const state = await planFile({ target, manifest, macKey, head, problems }, 'state', moment)
    const marketMoment: Moment =
      moment.kind === 'sequence' || (moment.kind === 'at' && state.isCut)
        ? { kind: 'at', timeMs: state.plan.timeMs }
        : moment
    const market = await planFile({ target, manifest, macKey, head, problems }, 'market', marketMoment)
    if (moment.kind === 'sequence' && (state.plan.sequence ?? 0) < moment.sequence && !state.isCut) {
      problems.push(`The archive ends before sequence ${moment.sequence}.`)
    }
    return {
      manifest,
      keyringText: keyring.text,
      macKey,
      head,
      plans: { state: state.plan, market: market.plan },
      problems,
    }
  }
  throw notCovered(target.location, oldest)
}

function isBefore(moment: Moment, { createdAtMs, sequence }: Manifest): boolean {
  if (moment.kind === 'at') return moment.timeMs < createdAtMs
  return moment.kind === 'sequence' && moment.sequence < sequence
}

interface PlanContext {
  readonly target: BackupTarget
  readonly manifest: Manifest
  readonly macKey: Uint8Array
  readonly head: Head | undefined
  readonly problems: string[]
}

/** Reads every segment that is needed once, to find the commit and to prove that all of it is there and unchanged. */
async function planFile(
  { target, manifest, macKey, head, problems }: PlanContext,
  file: DatabaseFile,
  moment: Moment,
): Promise<{ readonly plan: FilePlan; readonly isCut: boolean }> {
  const { generation, files, createdAtMs, sequence } = manifest
  const numbers = new Set(await segmentNumbers(target, generation, file))
  const expected = Math.max(head?.files[file].segments ?? 0, ...numbers)
  let plan: FilePlan | undefined = files[file].isWhole
    ? { segments: 0, lastFrame: 0, pages: 0, sequence, timeMs: createdAtMs }
    : undefined
  let before: ReadSegment | undefined
  let lastNamed: number | null = sequence
  for (let number = 1; number <= expected; number++) {
    const path = segmentPath(generation, file, number)
    let segment: ReadSegment
    try {
      segment = await readSegment(target.read(path), path, macKey)
      assertChained(segment, before, manifest, file, number, path)
    } catch (error) {
      if (!isGap(error)) throw error
      if (plan === undefined) throw error
      problems.push(error.code === 'TARGET_FILE_MISSING' ? `${path} is missing.` : error.message)
      return { plan, isCut: true }
    }
    for (const commit of segment.commits) {
      if (isPast(commit, moment)) return { plan: plan ?? planOf(number, commit, lastNamed), isCut: false }
      lastNamed = commit.sequence ?? lastNamed
      // Behind the batch that was asked for, what has no name may be anything.
      const isAside = moment.kind === 'sequence' && commit.sequence === null
      if (plan === undefined || !isAside) plan = planOf(number, commit, lastNamed)
    }
    before = segment
  }
  if (plan === undefined) throw damagedSegment(segmentPath(generation, file, 1), 'it is missing')
  return { plan, isCut: false }
}

function planOf(segments: number, { lastFrame, pages, timeMs }: SegmentCommit, sequence: number | null): FilePlan {
  return { segments, lastFrame, pages, timeMs, sequence }
}

function isPast({ sequence, timeMs }: SegmentCommit, moment: Moment): boolean {
  if (moment.kind === 'at') return timeMs > moment.timeMs
  return moment.kind === 'sequence' && sequence !== null && sequence > moment.sequence
}

export function assertChained(
  { header, sha256 }: ReadSegment,
  before: ReadSegment | undefined,
  { storeId, generation, files }: Manifest,
  file: DatabaseFile,
  number: number,
  path: string,
): void {
  const isOurs =
    header.storeId === storeId && header.generation === generation && header.file === file && header.number === number
  if (!isOurs) throw damagedSegment(path, 'it is a segment of another place')
  if (header.previous !== (before?.sha256 ?? files[file].sha256)) {
    throw damagedSegment(path, 'it does not follow the one before')
  }
  if (sha256 === header.previous) throw damagedSegment(path, 'it follows itself')
}

async function restoreFile(
  target: BackupTarget,
  manifest: Manifest,
  file: DatabaseFile,
  plan: FilePlan,
  path: string,
  macKey: Uint8Array | null,
): Promise<void> {
  const handle = await open(path, 'wx', FILE_MODE)
  try {
    await copyBaseTo(target, manifest, file, handle)
    for (let number = 1; number <= plan.segments; number++) {
      const from = segmentPath(manifest.generation, file, number)
      await readSegment(target.read(from), from, macKey, async ({ index, pageNumber, page }) => {
        if (number === plan.segments && index > plan.lastFrame) return
        await writeWhole(handle, page, (pageNumber - 1) * page.length)
      })
    }
    if (plan.segments > 0) await handle.truncate(plan.pages * manifest.pageBytes)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** @throws StoreError `ARCHIVE_DAMAGED` when it is not what the manifest says */
export async function copyBaseTo(
  target: BackupTarget,
  { generation, files }: Manifest,
  file: DatabaseFile,
  handle: FileHandle,
): Promise<void> {
  const path = basePath(generation, file)
  const hash = createHash('sha256')
  let offset = 0
  for await (const part of target.read(path)) {
    hash.update(part)
    await writeWhole(handle, part, offset)
    offset += part.length
  }
  if (offset !== files[file].bytes || hash.digest('hex') !== files[file].sha256) {
    throw new StoreError(
      'ARCHIVE_DAMAGED',
      `${path} of the archive is damaged: its content and its hash differ. Use another generation or a backup.`,
      { details: { path } },
    )
  }
}

function misplaced(generation: string): StoreError {
  return new StoreError('ARCHIVE_DAMAGED', `The manifest of ${generation} belongs to another generation.`, {
    details: { generation },
  })
}

function notCovered(location: string, oldest: Manifest | undefined): StoreError {
  const reach = oldest === undefined ? 'It holds no finished generation' : `It reaches back to ${oldest.createdAt}`
  return new StoreError(
    'BACKUP_NOT_FOUND',
    `The archive in ${location} does not hold that moment. ${reach}; look for a backup from before.`,
    { details: { location } },
  )
}
