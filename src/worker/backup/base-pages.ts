/**
 * What the backup before has of a database: a truncated SHA-256 of each page and where the page is. A page that has not
 * changed keeps its ciphertext, so it is not stored again. The hashes are in memory: 4 MiB for each GiB of database.
 *
 * Pages of packs that are mostly obsolete, or of the smallest ones when there are many, are stored again all the same:
 * otherwise a few old pages would keep every pack for ever, and a restore would have to gather them from all over.
 */
import { createHash } from 'node:crypto'
import { StoreError } from '../../protocol/store-error.ts'
import { type BackedUpDatabase, type ManifestBody, type PageRun, readSmallFile } from './manifest.ts'
import type { BackupTarget } from './target.ts'

/** Bytes of a page's SHA-256 that are kept: 128 bits. */
export const PAGE_HASH_BYTES = 16

const MIN_LIVE_SHARE = 0.3
const MAX_REUSED_PACKS = 100

/** The packs of `base` whose pages a new backup may refer to: paths by index. */
function reusablePacks(base: ManifestBody): Map<number, string> {
  const liveBytes = new Map<number, number>()
  for (const { runs, pageBytes } of base.databases) {
    for (const [pack, , , count] of runs) liveBytes.set(pack, (liveBytes.get(pack) ?? 0) + count * pageBytes)
  }
  const worthwhile = [...liveBytes].filter(([pack, live]) => live >= MIN_LIVE_SHARE * (base.packs[pack]?.bytes ?? 0))
  const largestFirst = worthwhile.sort(([, a], [, b]) => b - a)
  return new Map(largestFirst.slice(0, MAX_REUSED_PACKS).map(([pack]) => [pack, base.packs[pack]?.path as string]))
}

export class BasePages {
  readonly #database: BackedUpDatabase
  readonly #usable: ReadonlyMap<number, string>
  readonly #hashes: Buffer
  #runIndex = 0

  private constructor(database: BackedUpDatabase, usable: ReadonlyMap<number, string>, hashes: Buffer) {
    this.#database = database
    this.#usable = usable
    this.#hashes = hashes
  }

  /**
   * Undefined when `base` has no such database, or when its hashes are lost or not what the manifest says: then every
   * page is stored again.
   */
  static async open(
    target: BackupTarget,
    base: ManifestBody,
    databasePath: string,
    pageBytes: number,
  ): Promise<BasePages | undefined> {
    const database = base.databases.find((each) => each.path === databasePath && each.pageBytes === pageBytes)
    if (database === undefined) return undefined
    const { path, sha256 } = database.pageHashes
    try {
      const hashes = await readSmallFile(target, path, database.pages * PAGE_HASH_BYTES)
      const isWhole = hashes.length === database.pages * PAGE_HASH_BYTES
      if (!isWhole || createHash('sha256').update(hashes).digest('hex') !== sha256) return undefined
      return new BasePages(database, reusablePacks(base), hashes)
    } catch (error) {
      if (error instanceof StoreError && ['TARGET_FILE_MISSING', 'BACKUP_DAMAGED'].includes(error.code))
        return undefined
      throw error
    }
  }

  /**
   * Where a page of this content is: path of a pack and offset in bytes. To be asked in order of the pages.
   *
   * @param hashes of the database as it is now, as far as this page
   */
  placeOf(page: number, hashes: Uint8Array): readonly [path: string, offset: number] | undefined {
    if (page > this.#database.pages) return undefined
    const at = (page - 1) * PAGE_HASH_BYTES
    const end = at + PAGE_HASH_BYTES
    if (this.#hashes.compare(hashes, at, end, at, end) !== 0) return undefined
    const [pack, offset, firstPage] = this.#runOf(page)
    const path = this.#usable.get(pack)
    return path === undefined ? undefined : [path, offset + (page - firstPage) * this.#database.pageBytes]
  }

  #runOf(page: number): PageRun {
    let run = this.#database.runs[this.#runIndex] as PageRun
    while (page >= run[2] + run[3]) {
      this.#runIndex += 1
      run = this.#database.runs[this.#runIndex] as PageRun
    }
    return run
  }
}
