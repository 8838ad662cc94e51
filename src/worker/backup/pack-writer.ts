/** Packs of a backup: pages one behind the other, in files of bounded size, written while the next pages are read. */
import { createHash, type Hash } from 'node:crypto'
import { ChunkQueue } from './chunk-queue.ts'
import { BACKUP_AREA, type Pack } from './manifest.ts'
import type { BackupTarget } from './target.ts'

const MAX_PACK_BYTES = 256 * 1024 * 1024
const BUFFERED_BYTES = 2 * 1024 * 1024

interface OpenPack {
  readonly path: string
  readonly chunks: ChunkQueue
  /** Of what was appended; null while that is what the twin has hashed. */
  digest: Hash | null
  /** Settles when the pack is durable, or could not be written. */
  readonly written: Promise<void>
  bytes: number
}

export class PackWriter {
  readonly packs: Pack[] = []
  readonly #target: BackupTarget
  readonly #backupId: string
  #open: OpenPack | undefined
  #twin: Hash | undefined
  #count = 0

  constructor(target: BackupTarget, backupId: string) {
    this.#target = target
    this.#backupId = backupId
  }

  /**
   * Hashing is what a backup spends most of its time with. A digest that has seen nothing and is about to get, after each
   * `append`, the same bytes, is that of the pack as well. To be ended by `untwin` before it gets anything else.
   */
  twin(digest: Hash): void {
    if (this.#open === undefined) this.#twin = digest
  }

  untwin(): void {
    if (this.#open?.digest === null) this.#open.digest = (this.#twin as Hash).copy()
    this.#twin = undefined
  }

  /** Where in which pack `pages` will be, by its path. */
  async append(pages: Buffer): Promise<{ readonly path: string; readonly offset: number }> {
    if (this.#open !== undefined && this.#open.bytes + pages.length > MAX_PACK_BYTES) await this.finish()
    this.#open ??= this.#begin()
    const { path, chunks, digest, written, bytes } = this.#open
    this.#open.bytes += pages.length
    digest?.update(pages)
    await Promise.race([chunks.push(pages), written])
    return { path, offset: bytes }
  }

  /** To be awaited before the memory of what was appended until now is used again. */
  taken(): () => Promise<void> {
    const open = this.#open
    if (open === undefined) return async () => undefined
    const { chunks, written } = open
    const { pushedBytes } = chunks
    return async () => {
      await Promise.race([chunks.taken(pushedBytes), written])
    }
  }

  /** Everything appended is durable when it resolves. */
  async finish(): Promise<void> {
    this.untwin()
    if (this.#open === undefined) return
    const { path, chunks, digest, written, bytes } = this.#open
    this.#open = undefined
    chunks.end()
    await written
    this.packs.push({ path, bytes, sha256: (digest as Hash).digest('hex') })
  }

  /** Ends a pack that will not be needed. */
  async abandon(): Promise<void> {
    if (this.#open === undefined) return
    const { chunks, written } = this.#open
    this.#open = undefined
    chunks.fail(new Error('the backup has ended'))
    await written.catch(() => undefined)
  }

  #begin(): OpenPack {
    this.#count += 1
    const path = `${BACKUP_AREA}/packs/${this.#backupId}-${this.#count}`
    const chunks = new ChunkQueue(BUFFERED_BYTES)
    const written = this.#target.write(path, chunks)
    // What goes wrong is told to the one who appends or finishes.
    written.catch(() => undefined)
    return { path, chunks, digest: this.#twin === undefined ? createHash('sha256') : null, written, bytes: 0 }
  }
}
