/**
 * Copies databases into packs: reads their pages in order, hashes each, and stores those that the backup before does not
 * have. Works in slices with a turn of the event loop between them: the commits of the same thread go first.
 */
import { createHash, hash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { BasePages, PAGE_HASH_BYTES } from './base-pages.ts'
import { BACKUP_AREA, type BackedUpDatabase, type Manifest, type Pack, type PageRun } from './manifest.ts'
import { MAX_PIECE_BYTES, type Pace } from './pace.ts'
import { PackWriter } from './pack-writer.ts'
import { advance } from './progress.ts'
import type { DatabaseSnapshot } from './snapshot.ts'
import type { BackupTarget } from './target.ts'

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
  readonly pace: Pace
}

export interface CopiedPages {
  readonly packs: readonly Pack[]
  readonly databases: readonly BackedUpDatabase[]
  readonly writtenBytes: number
}

/** Writes packs and page hashes to the target; they count when a manifest names them. */
export async function copyPages(options: CopyOptions): Promise<CopiedPages> {
  const packs = new PackWriter(options.target, options.id)
  const memory = new PieceMemory()
  try {
    const copied: CopiedDatabase[] = []
    for (const { path, snapshot } of options.snapshots) {
      copied.push(await copyDatabase(path, snapshot, packs, memory, options))
    }
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
type Place = readonly [path: string, offset: number]
type NamedRun = [path: string, offset: number, firstPage: number, pageCount: number]

interface CopiedDatabase extends Omit<BackedUpDatabase, 'runs' | 'pageHashes'> {
  readonly runs: readonly NamedRun[]
  readonly hashes: Buffer
}

async function copyDatabase(
  path: string,
  snapshot: DatabaseSnapshot,
  packs: PackWriter,
  memory: PieceMemory,
  { target, base, assertGoesOn, pace }: CopyOptions,
): Promise<CopiedDatabase> {
  const { pages, pageBytes } = snapshot
  const before = base === undefined ? undefined : await BasePages.open(target, base, path, pageBytes)
  const hashes = Buffer.alloc(pages * PAGE_HASH_BYTES)
  const file = createHash('sha256')
  const runs: NamedRun[] = []
  packs.twin(file)
  let ahead = readPages(snapshot, 1, memory.next(), pace)
  for (let first = 1; first <= pages; ) {
    const { bytes, piece } = await ahead
    const firstOfNext = first + bytes.length / pageBytes
    ahead = readPages(snapshot, firstOfNext, memory.next(), pace)
    assertGoesOn()
    await pace.giveWay()
    for (let at = 0; at < bytes.length; ) {
      const slice = bytes.subarray(at, at + pace.sliceBytes)
      await copySlice(slice, first + at / pageBytes)
      file.update(slice)
      at += slice.length
      await setImmediate()
    }
    piece.isFree = packs.taken()
    first = firstOfNext
    advance(bytes.length)
  }
  packs.untwin()
  return { path, pageBytes, pages, sha256: file.digest('hex'), runs, hashes }

  async function copySlice(slice: Buffer, firstPage: number): Promise<void> {
    const known: [page: number, place: Place][] = []
    for (let offset = 0; offset < slice.length; offset += pageBytes) {
      const page = firstPage + offset / pageBytes
      // One string for each page is the cheapest that there is.
      const pageHash = hash('sha256', slice.subarray(offset, offset + pageBytes), 'binary')
      hashes.write(pageHash, (page - 1) * PAGE_HASH_BYTES, PAGE_HASH_BYTES, 'latin1')
      const place = before?.placeOf(page, hashes)
      if (place !== undefined) known.push([page, place])
    }
    if (known.length > 0) packs.untwin()
    let changedFrom = 0
    for (const [page, place] of known) {
      const offset = (page - firstPage) * pageBytes
      await appendChanged(slice.subarray(changedFrom, offset), firstPage + changedFrom / pageBytes)
      changedFrom = offset + pageBytes
      addRun(runs, [...place, page, 1], pageBytes)
    }
    await appendChanged(slice.subarray(changedFrom), firstPage + changedFrom / pageBytes)
  }

  async function appendChanged(changed: Buffer, firstPage: number): Promise<void> {
    if (changed.length === 0) return
    const place = await packs.append(changed)
    addRun(runs, [place.path, place.offset, firstPage, changed.length / pageBytes], pageBytes)
  }
}

interface Piece {
  readonly memory: Buffer
  /** Resolves when what is in it has been written. */
  isFree: () => Promise<void>
}

/**
 * The same memory for all pieces: one is read, one hashed, others written. New memory for each would have V8 collect
 * its garbage every 24 MB, and commits wait for that: 10 ms, in place of the 2 that they take.
 */
class PieceMemory {
  readonly #pieces = Array.from(
    { length: 4 },
    (): Piece => ({ memory: Buffer.allocUnsafeSlow(MAX_PIECE_BYTES), isFree: async () => undefined }),
  )
  #turn = 0

  next(): Piece {
    this.#turn = (this.#turn + 1) % this.#pieces.length
    return this.#pieces[this.#turn] as Piece
  }
}

/** None behind the last one. */
function readPages(
  snapshot: DatabaseSnapshot,
  first: number,
  piece: Piece,
  { pieceBytes }: Pace,
): Promise<{ readonly bytes: Buffer; readonly piece: Piece }> {
  const count = Math.min(pieceBytes / snapshot.pageBytes, snapshot.pages - first + 1)
  const reading = piece.isFree().then(async () => ({ bytes: await snapshot.read(first, count, piece.memory), piece }))
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
