/** Packs of a backup: pages one behind the other, in files of bounded size, written while the next pages are read. */
import { createHash, type Hash } from 'node:crypto'
import { PassThrough } from 'node:stream'
import { BACKUP_AREA, type Pack } from './manifest.ts'
import type { BackupTarget } from './target.ts'

const MAX_PACK_BYTES = 256 * 1024 * 1024
const BUFFERED_BYTES = 1024 * 1024

interface OpenPack {
  readonly path: string
  readonly stream: PassThrough
  readonly digest: Hash
  /** Settles when the pack is durable, or could not be written. */
  readonly written: Promise<void>
  bytes: number
}

export class PackWriter {
  readonly packs: Pack[] = []
  readonly #target: BackupTarget
  readonly #backupId: string
  #open: OpenPack | undefined
  #count = 0

  constructor(target: BackupTarget, backupId: string) {
    this.#target = target
    this.#backupId = backupId
  }

  /** Where in which pack `pages` will be, by its path. */
  async append(pages: Buffer): Promise<{ readonly path: string; readonly offset: number }> {
    if (this.#open !== undefined && this.#open.bytes + pages.length > MAX_PACK_BYTES) await this.finish()
    this.#open ??= this.#begin()
    const { path, stream, digest, written, bytes } = this.#open
    this.#open.bytes += pages.length
    digest.update(pages)
    if (!stream.write(pages)) await Promise.race([drained(stream), written])
    return { path, offset: bytes }
  }

  /** Everything appended is durable when it resolves. */
  async finish(): Promise<void> {
    if (this.#open === undefined) return
    const { path, stream, digest, written, bytes } = this.#open
    this.#open = undefined
    stream.end()
    await written
    this.packs.push({ path, bytes, sha256: digest.digest('hex') })
  }

  /** Ends a pack that will not be needed. */
  async abandon(): Promise<void> {
    if (this.#open === undefined) return
    const { stream, written } = this.#open
    this.#open = undefined
    stream.destroy(new Error('the backup has ended'))
    await written.catch(() => undefined)
  }

  #begin(): OpenPack {
    this.#count += 1
    const path = `${BACKUP_AREA}/packs/${this.#backupId}-${this.#count}`
    const stream = new PassThrough({ highWaterMark: BUFFERED_BYTES })
    // What goes wrong is told by `written`.
    stream.on('error', () => undefined)
    const written = this.#target.write(path, stream)
    written.catch(() => undefined)
    return { path, stream, digest: createHash('sha256'), written, bytes: 0 }
  }
}

function drained(stream: PassThrough): Promise<void> {
  return new Promise((resolve) => stream.once('drain', resolve))
}
