/**
 * Copies databases into packs: reads their pages in order, hashes each, and stores those that the backup before does not
 * have. Works in slices with a turn of the event loop between them: the commits of the same thread go first.
 */
import { createHash, hash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { BasePages, PAGE_HASH_BYTES } from './base-pages.ts'
import { BACKUP_AREA, type BackedUpDatabase, type Manifest, type Pack, type PageRun } from './manifest.ts'
import { PackWriter } from './pack-writer.ts'
import { advance } from './progress.ts'
import type { DatabaseSnapshot } from './snapshot.ts'
import type { BackupTarget } from './target.ts'

const READ_PAGES = 64
/** Hashing them takes some 100 µs. */
const SLICE_PAGES = 16

export interface NamedSnapshot {
  /** Of the database, from the store directory. */
  readonly path: string
  readonly snapshot: DatabaseSnapshot
}

export interface CopyOptions {
  readonly target: BackupTarget
  readonly id: string
  readonly base: Manifest | undefined
  readonly snapshots: readonly NamedSnapshot[]
  /** Throws when the backup is to end early. */
  readonly assertGoesOn: () => void
  /** Called between pieces of the work; resolves when it may go on. */
  readonly giveWay: () => Promise<void>
}

export interface CopiedPages {
  readonly packs: readonly Pack[]
  readonly databases: readonly BackedUpDatabase[]
  readonly writtenBytes: number
}

/** Writes packs and page hashes to the target; they count when a manifest names them. */
export async function copyPages(options: CopyOptions): Promise<CopiedPages> {
  const packs = new PackWriter(options.target, options.id)
  try {
    const copied: CopiedDatabase[] = []
    for (const { path, snapshot } of options.snapshots) copied.push(await copyDatabase(path, snapshot, packs, options))
    await packs.finish()
    const pathsInUse = new Set(copied.flatMap(({ runs }) => runs.map(([path]) => path)))
    const allPacks = [...(options.base?.packs ?? []), ...packs.packs].filter(({ path }) => pathsInUse.has(path))
    const indexOf = new Map(allPacks.map(({ path }, index) => [path, index]))
    const databases: BackedUpDatabase[] = []
    let writtenBytes = packs.packs.reduce((sum, { bytes }) => sum + bytes, 0)
    for (const { runs, hashes, ...database } of copied) {
      const path = `${BACKUP_AREA}/pages/${options.id}-${databases.length + 1}`
      await options.target.write(path, hashes)
      writtenBytes += hashes.length
      databases.push({
        ...database,
        runs: runs.map(([pack, ...rest]): PageRun => [indexOf.get(pack) as number, ...rest]),
        pageHashes: { path, sha256: hash('sha256', hashes) },
      })
    }
    return { packs: allPacks, databases, writtenBytes }
  } catch (error) {
    await packs.abandon()
    throw error
  }
}

/** As in a manifest, with the path of the pack. */
type NamedRun = [path: string, offset: number, firstPage: number, pageCount: number]

interface CopiedDatabase extends Omit<BackedUpDatabase, 'runs' | 'pageHashes'> {
  readonly runs: readonly NamedRun[]
  readonly hashes: Buffer
}

async function copyDatabase(
  path: string,
  snapshot: DatabaseSnapshot,
  packs: PackWriter,
  { target, base, assertGoesOn, giveWay }: CopyOptions,
): Promise<CopiedDatabase> {
  const { pages, pageBytes } = snapshot
  const known = base === undefined ? undefined : await BasePages.open(target, base, path, pageBytes)
  const hashes = Buffer.alloc(pages * PAGE_HASH_BYTES)
  const file = createHash('sha256')
  const runs: NamedRun[] = []
  let ahead = readPages(snapshot, 1)
  for (let first = 1; first <= pages; first += READ_PAGES) {
    const bytes = await ahead
    ahead = readPages(snapshot, first + READ_PAGES)
    assertGoesOn()
    await giveWay()
    for (let at = 0; at < bytes.length; at += SLICE_PAGES * pageBytes) {
      const slice = bytes.subarray(at, at + SLICE_PAGES * pageBytes)
      file.update(slice)
      let changedFrom = 0
      const firstOfSlice = first + at / pageBytes
      for (let offset = 0; offset < slice.length; offset += pageBytes) {
        const page = firstOfSlice + offset / pageBytes
        const pageHash = hash('sha256', slice.subarray(offset, offset + pageBytes), 'buffer').subarray(
          0,
          PAGE_HASH_BYTES,
        )
        pageHash.copy(hashes, (page - 1) * PAGE_HASH_BYTES)
        const place = known?.placeOf(page, pageHash)
        if (place === undefined) continue
        await appendChanged(slice.subarray(changedFrom, offset), firstOfSlice + changedFrom / pageBytes)
        changedFrom = offset + pageBytes
        addRun(runs, [...place, page, 1], pageBytes)
      }
      await appendChanged(slice.subarray(changedFrom), firstOfSlice + changedFrom / pageBytes)
      await setImmediate()
    }
    advance(bytes.length)
  }
  return { path, pageBytes, pages, sha256: file.digest('hex'), runs, hashes }

  async function appendChanged(changed: Buffer, firstPage: number): Promise<void> {
    if (changed.length === 0) return
    const place = await packs.append(changed)
    addRun(runs, [place.path, place.offset, firstPage, changed.length / pageBytes], pageBytes)
  }
}

/** None behind the last one. */
function readPages(snapshot: DatabaseSnapshot, first: number): Promise<Buffer> {
  const reading = snapshot.read(first, Math.max(0, Math.min(READ_PAGES, snapshot.pages - first + 1)))
  // It is looked at when it is its turn.
  reading.catch(() => undefined)
  return reading
}

function addRun(runs: NamedRun[], run: NamedRun, pageBytes: number): void {
  const last = runs.at(-1)
  const goesOn = last !== undefined && last[0] === run[0] && last[1] + last[3] * pageBytes === run[1]
  if (goesOn) last[3] += run[3]
  else runs.push(run)
}
