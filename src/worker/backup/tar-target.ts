/**
 * A single `.tar` as a target: POSIX ustar (https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html), so that
 * any tar lists and unpacks it. Entries are written one behind the other in constant memory: the header of each is
 * written over once its length is known. The file takes its name when it is complete and durable.
 */
import { type FileHandle, link, mkdir, open, rm, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { fileError, systemErrorCode } from '../../crypto/file-error.ts'
import { syncPath } from '../../crypto/sync-path.ts'
import { StoreError } from '../../protocol/store-error.ts'
import { failpoint } from '../failpoint.ts'
import { DIRECTORY_MODE, FILE_MODE } from '../store-files.ts'
import { damaged } from './manifest.ts'
import { gentlePace, type Pace } from './pace.ts'
import { isS3 } from './s3-location.ts'
import type { BackupTarget, ByteRange, TargetFile, TargetLock } from './target.ts'
import { writePaced, writeWhole } from './write-whole.ts'

const BLOCK_BYTES = 512
const READ_BYTES = 1024 * 1024
const MAX_NAME_BYTES = 100
const CHECKSUM_OFFSET = 148
const SIZE_OFFSET = 124
const USTAR = Buffer.from('ustar\x0000', 'latin1')
const REGULAR_FILE = 0x30

interface TarEntry extends TargetFile {
  /** Of the content. */
  readonly offset: number
}

export function isTar(location: string): boolean {
  return location.endsWith('.tar') && !isS3(location)
}

/** @throws StoreError `BACKUP_NOT_FOUND`, `BACKUP_DAMAGED` when a header is damaged or the end is missing */
export async function openTar(location: string): Promise<BackupTarget> {
  const path = resolve(location)
  const file = await open(path, 'r').catch((error: unknown) => {
    if (systemErrorCode(error) !== 'ENOENT') throw fileError(error, 'read', path)
    throw new StoreError('BACKUP_NOT_FOUND', `There is no ${path}.`, { details: { location: path } })
  })
  try {
    return new TarTarget(path, path, await readEntries(file, basename(path)))
  } finally {
    await file.close()
  }
}

/** @throws StoreError `INVALID_ARGUMENT` when the file exists */
export async function createTar(location: string, pace: Pace = gentlePace): Promise<NewTar> {
  const path = resolve(location)
  if ((await stat(path).catch(() => undefined)) !== undefined) throw exists(path)
  const unfinished = join(dirname(path), `.${basename(path)}.part`)
  try {
    await mkdir(dirname(path), { recursive: true, mode: DIRECTORY_MODE })
    await rm(unfinished, { force: true })
    return new NewTar(path, unfinished, await open(unfinished, 'wx', FILE_MODE), pace)
  } catch (error) {
    throw fileError(error, 'write', path)
  }
}

function exists(path: string): StoreError {
  return new StoreError('INVALID_ARGUMENT', `${path} exists. A .tar holds one backup: choose another name.`, {
    details: { location: path },
  })
}

class TarTarget implements BackupTarget {
  readonly location: string
  readonly #path: string
  protected readonly entries: Map<string, TarEntry>

  constructor(location: string, path: string, entries: readonly TarEntry[]) {
    this.location = location
    this.#path = path
    this.entries = new Map(entries.map((entry) => [entry.path, entry]))
  }

  async *read(path: string, range?: ByteRange): AsyncIterable<Uint8Array> {
    const entry = this.entries.get(path)
    if (entry === undefined) {
      throw new StoreError('TARGET_FILE_MISSING', `${path} is missing in ${this.location}.`, {
        details: { location: this.location, path },
      })
    }
    let offset = Math.min(range?.offset ?? 0, entry.bytes)
    const end = Math.min(entry.bytes, offset + (range?.length ?? entry.bytes))
    const file = await open(this.#path, 'r')
    try {
      while (offset < end) {
        const length = Math.min(READ_BYTES, end - offset)
        const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(length), 0, length, entry.offset + offset)
        if (bytesRead === 0) return
        offset += bytesRead
        yield buffer.subarray(0, bytesRead)
      }
    } catch (error) {
      throw fileError(error, 'read', this.location)
    } finally {
      await file.close()
    }
  }

  async list(prefix: string): Promise<readonly TargetFile[]> {
    return [...this.entries.values()]
      .filter(({ path }) => path.startsWith(prefix))
      .map(({ path, bytes }) => ({ path, bytes }))
      .sort((left, right) => (left.path < right.path ? -1 : 1))
  }

  async write(_path: string, _content: AsyncIterable<Uint8Array> | Uint8Array): Promise<void> {
    throw this.#isComplete()
  }

  async remove(): Promise<void> {
    throw this.#isComplete()
  }

  async lock(): Promise<TargetLock> {
    throw this.#isComplete()
  }

  #isComplete(): StoreError {
    return new StoreError('INVALID_ARGUMENT', `${this.location} is complete: a .tar is written once.`)
  }
}

/** One that is being written, entry by entry. */
export class NewTar extends TarTarget {
  readonly #unfinished: string
  readonly #file: FileHandle
  readonly #pace: Pace
  #end = 0

  constructor(path: string, unfinished: string, file: FileHandle, pace: Pace) {
    super(path, unfinished, [])
    this.#unfinished = unfinished
    this.#file = file
    this.#pace = pace
  }

  override async write(path: string, content: AsyncIterable<Uint8Array> | Uint8Array): Promise<void> {
    const offset = this.#end + BLOCK_BYTES
    let bytes = 0
    try {
      bytes = await writePaced(this.#file, content, offset, this.#pace)
      const padding = Buffer.alloc(padded(bytes) - bytes)
      await writeWhole(this.#file, padding, offset + bytes)
      await writeWhole(this.#file, header(path, bytes, Date.now()), this.#end)
    } catch (error) {
      throw fileError(error, 'write', this.location)
    }
    this.#end = offset + padded(bytes)
    this.entries.set(path, { path, bytes, offset })
  }

  /** Gives the file its name; durable when it resolves. */
  async publish(): Promise<void> {
    try {
      await writeWhole(this.#file, Buffer.alloc(2 * BLOCK_BYTES), this.#end)
      await this.#file.sync()
      await this.#file.close()
      await failpoint('target:before-rename')
      // Not a rename, which would replace what somebody else has put there meanwhile.
      await link(this.#unfinished, this.location).catch((error: unknown) => {
        throw systemErrorCode(error) === 'EEXIST' ? exists(this.location) : error
      })
      await rm(this.#unfinished)
      await syncPath(dirname(this.location))
    } catch (error) {
      throw fileError(error, 'write', this.location)
    }
  }

  async discard(): Promise<void> {
    await this.#file.close().catch(() => undefined)
    await rm(this.#unfinished, { force: true }).catch(() => undefined)
  }
}

function header(path: string, bytes: number, at: number): Buffer {
  const name = Buffer.from(path)
  if (name.length > MAX_NAME_BYTES || bytes >= 8 ** 11) {
    throw new StoreError('INTERNAL', 'A name or a size does not fit into a tar. Please report it.')
  }
  const block = Buffer.alloc(BLOCK_BYTES)
  name.copy(block)
  block.write(octal(FILE_MODE, 7), 100)
  block.write(octal(0, 7), 108)
  block.write(octal(0, 7), 116)
  block.write(octal(bytes, 11), SIZE_OFFSET)
  block.write(octal(Math.floor(at / 1_000), 11), 136)
  block[156] = REGULAR_FILE
  USTAR.copy(block, 257)
  block.write(`${octal(checksum(block), 6)}\0 `, CHECKSUM_OFFSET)
  return block
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, '0')
}

/** Of a header, its own eight bytes counted as spaces. */
function checksum(block: Buffer): number {
  let sum = 0
  for (const [at, byte] of block.entries()) sum += at >= CHECKSUM_OFFSET && at < CHECKSUM_OFFSET + 8 ? 0x20 : byte
  return sum
}

function padded(bytes: number): number {
  return Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES
}

async function readEntries(file: FileHandle, name: string): Promise<TarEntry[]> {
  const entries: TarEntry[] = []
  const block = Buffer.alloc(BLOCK_BYTES)
  for (let at = 0; ; ) {
    const { bytesRead } = await file.read(block, 0, BLOCK_BYTES, at)
    if (bytesRead < BLOCK_BYTES) throw damaged(name, `it ends after ${at + bytesRead} bytes`)
    if (block.every(isZero)) {
      await assertZero(file, name, at + BLOCK_BYTES, BLOCK_BYTES)
      if ((await file.stat()).size !== at + 2 * BLOCK_BYTES) throw damaged(name, 'something stands behind its end')
      return entries
    }
    const bytes = Number.parseInt(block.toString('latin1', SIZE_OFFSET, SIZE_OFFSET + 11), 8)
    const path = block.toString('utf8', 0, block.indexOf(0))
    // What this tar holds has one form of header: any other bit in it is damage.
    const seconds = Number.parseInt(block.toString('latin1', 136, 147), 8)
    if (
      !Number.isSafeInteger(bytes) ||
      !Number.isSafeInteger(seconds) ||
      !header(path, bytes, seconds * 1_000).equals(block)
    ) {
      throw damaged(name, `the header at byte ${at} is none that Holdfast wrote`)
    }
    entries.push({ path, bytes, offset: at + BLOCK_BYTES })
    await assertZero(file, name, at + BLOCK_BYTES + bytes, padded(bytes) - bytes)
    at += BLOCK_BYTES + padded(bytes)
  }
}

async function assertZero(file: FileHandle, name: string, offset: number, length: number): Promise<void> {
  const padding = Buffer.alloc(length)
  const { bytesRead } = await file.read(padding, 0, length, offset)
  if (bytesRead < length) throw damaged(name, `it ends after ${offset + bytesRead} bytes`)
  if (!padding.every(isZero)) throw damaged(name, `there is something between its entries, at byte ${offset}`)
}

function isZero(byte: number): boolean {
  return byte === 0
}
