/**
 * A bucket of an S3-compatible server as a target. An object appears when its last byte has arrived and replaces the one
 * before as a whole, so nothing has to be staged. Content longer than one part goes up in parts, in constant memory.
 */
import { fileError } from '../../crypto/file-error.ts'
import { StoreError } from '../../protocol/store-error.ts'
import { DriverError } from '../driver.ts'
import { S3Bucket } from './s3-bucket.ts'
import { isPlainPath, parseS3Location } from './s3-location.ts'
import { S3Lock } from './s3-lock.ts'
import type { BackupTarget, ByteRange, TargetFile, TargetLock } from './target.ts'

/** A server takes 10,000 parts: files of up to 156 GiB. */
const PART_BYTES = 16 * 1024 * 1024
const REQUEST_BYTES = 8 * 1024 * 1024
const READ_BYTES = 1024 * 1024
const LOCK_FILE = 'lock'
/** What servers and policies answer that don't let unfinished uploads be listed. */
const NO_UPLOADS_LISTED: readonly unknown[] = [403, 405, 501]

/** @throws StoreError `INVALID_ARGUMENT`; the server is reached by the first request only */
export async function openS3Target(location: string): Promise<BackupTarget> {
  return new S3Target(await S3Bucket.open(parseS3Location(location)))
}

class S3Target implements BackupTarget {
  readonly location: string
  readonly #bucket: S3Bucket
  readonly #locks = new Map<string, S3Lock>()

  constructor(bucket: S3Bucket) {
    this.#bucket = bucket
    this.location = bucket.location.text
  }

  async write(path: string, content: AsyncIterable<Uint8Array> | Uint8Array): Promise<void> {
    this.#assertPlain(path)
    let upload: string | undefined
    try {
      const etags: string[] = []
      for await (const part of partsOf(content)) {
        this.#assertLocked(path)
        if (upload === undefined && part.length < PART_BYTES) return await this.#bucket.put(path, part)
        upload ??= await this.#bucket.beginUpload(path)
        if (part.length > 0) etags.push(await this.#bucket.uploadPart(path, upload, etags.length + 1, part))
      }
      this.#assertLocked(path)
      if (upload !== undefined) await this.#bucket.completeUpload(path, upload, etags)
    } catch (error) {
      // What stays behind is no file; the next lock clears it.
      if (upload !== undefined) await this.#bucket.abortUpload(path, upload).catch(() => undefined)
      throw error instanceof DriverError ? error : fileError(error, 'write', `${path} in ${this.location}`)
    }
  }

  async *read(path: string, range?: ByteRange): AsyncIterable<Uint8Array> {
    this.#assertPlain(path)
    let offset = range?.offset ?? 0
    const end = offset + (range?.length ?? Number.POSITIVE_INFINITY)
    let etag: string | undefined
    while (offset < end) {
      const piece = await this.#bucket.getPiece(path, offset, Math.min(REQUEST_BYTES, end - offset), etag)
      if (piece === undefined) return
      etag = piece.etag
      for (let at = 0; at < piece.bytes.length; at += READ_BYTES) yield piece.bytes.subarray(at, at + READ_BYTES)
      offset += piece.bytes.length
      if (piece.bytes.length === 0 || offset >= piece.totalBytes) return
    }
  }

  async list(prefix: string): Promise<readonly TargetFile[]> {
    const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1)
    if (folder !== '') this.#assertPlain(folder.slice(0, -1))
    const files = await this.#bucket.list(prefix)
    return files
      .filter(({ path }) => isPlainPath(path) && path.split('/').at(-1) !== LOCK_FILE)
      .sort((left, right) => (left.path < right.path ? -1 : 1))
  }

  async remove(path: string): Promise<void> {
    this.#assertPlain(path)
    this.#assertLocked(path)
    await this.#bucket.remove(path)
  }

  async lock(area: string): Promise<TargetLock> {
    this.#assertPlain(area)
    const lock = await S3Lock.acquire(this.#bucket, `${area}/${LOCK_FILE}`)
    const release = async () => {
      this.#locks.delete(area)
      await lock.release()
    }
    try {
      await this.#bucket.abortUploads(`${area}/`)
    } catch (error) {
      if (!(error instanceof StoreError && NO_UPLOADS_LISTED.includes(error.details.status))) {
        await release()
        throw error
      }
    }
    this.#locks.set(area, lock)
    return { release }
  }

  #assertPlain(path: string): void {
    if (isPlainPath(path)) return
    throw new StoreError('INVALID_ARGUMENT', 'A path in a target is relative and has plain names.', {
      details: { location: this.location },
    })
  }

  #assertLocked(path: string): void {
    for (const [area, lock] of this.#locks) if (path.startsWith(`${area}/`)) lock.assertHeld()
  }
}

/** Full parts, and at the end one that is shorter, if need be empty. A source may use its buffers again. */
async function* partsOf(content: AsyncIterable<Uint8Array> | Uint8Array): AsyncIterable<Uint8Array> {
  let part = Buffer.allocUnsafe(PART_BYTES)
  let filled = 0
  for await (const chunk of content instanceof Uint8Array ? [content] : content) {
    for (let at = 0; at < chunk.length; ) {
      const taken = chunk.subarray(at, at + PART_BYTES - filled)
      part.set(taken, filled)
      at += taken.length
      filled += taken.length
      if (filled < PART_BYTES) continue
      yield part
      part = Buffer.allocUnsafe(PART_BYTES)
      filled = 0
    }
  }
  yield part.subarray(0, filled)
}
