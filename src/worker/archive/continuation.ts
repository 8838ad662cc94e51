/**
 * Can a generation go on after a restart? Only when it is proven that nothing was committed between its last segment
 * and what is in the log now:
 *
 * - the log is the same one, and the frame that the segment ends with stands in it, checksum and all; or
 * - the log has started over once since (its salt counts up by one), and no owner has let it go unarchived; or
 * - the log was emptied after that very segment, and no owner has let it go unarchived.
 */
import { open } from 'node:fs/promises'
import { StoreError } from '../../protocol/store-error.ts'
import { DATABASE_FILES, type DatabaseFile } from '../../schema/database-file.ts'
import type { BackupTarget } from '../backup/target.ts'
import { databasePath } from '../store-files.ts'
import { keyringPrefix, type Manifest, numberOf, segmentNumbers, segmentPath } from './archive-files.ts'
import { linkedGeneration, readLogEnd } from './archive-link.ts'
import type { LastShipped, SpooledPart } from './file-archiver.ts'
import { type ReadSegment, readSegment } from './segment.ts'
import type { Spool } from './spool.ts'
import type { WalPosition } from './wal-follower.ts'
import { FRAME_HEADER_BYTES, frameOffset } from './wal-frames.ts'

export interface ContinuedChain {
  readonly number: number
  readonly sha256: string
  readonly spooled: SpooledPart[]
  readonly last: LastShipped
  readonly after: { readonly salt: Buffer; readonly frame: number }
}

export interface ContinuationOptions {
  readonly target: BackupTarget
  readonly manifest: Manifest
  readonly dir: string
  readonly spool: Spool
  readonly macKey: Uint8Array
  readonly positionOf: (file: DatabaseFile) => WalPosition
}

export type ContinuedChains = Record<DatabaseFile, ContinuedChain> & { readonly keyrings: number }

/** Undefined when something may be missing. @throws StoreError when the archive can't be read */
export async function continuedChains(options: ContinuationOptions): Promise<ContinuedChains | undefined> {
  const { target, manifest } = options
  const isLinked = (await linkedGeneration(options.dir)) === manifest.generation
  const chains: Partial<Record<DatabaseFile, ContinuedChain>> = {}
  for (const file of DATABASE_FILES) {
    const chain = await continuedChain(options, file, isLinked)
    if (chain === undefined) return undefined
    chains[file] = chain
  }
  const keyrings = (await target.list(keyringPrefix(manifest.generation))).map(({ path }) => numberOf(path) ?? 0)
  return { ...(chains as Record<DatabaseFile, ContinuedChain>), keyrings: Math.max(0, ...keyrings) }
}

async function continuedChain(
  { target, manifest, dir, spool, macKey, positionOf }: ContinuationOptions,
  file: DatabaseFile,
  isLinked: boolean,
): Promise<ContinuedChain | undefined> {
  const { generation } = manifest
  const number = (await segmentNumbers(target, generation, file)).at(-1) ?? 0
  const path = segmentPath(generation, file, number)
  const shipped = number === 0 ? undefined : await ifWhole(readSegment(target.read(path), path, macKey))
  if (number > 0 && shipped === undefined) return undefined
  const sha256 = shipped?.sha256 ?? manifest.files[file].sha256
  const spooled: ContinuedChain['spooled'] = []
  let end = shipped
  for (const segment of await spool.list()) {
    if (segment.generation !== generation || segment.file !== file) continue
    if (segment.number <= number) {
      await spool.remove(segment)
      continue
    }
    const read = await ifWhole(readSegment(spool.read(segment), segment.path, macKey))
    if (read === undefined || read.header.number !== (end?.header.number ?? 0) + 1) break
    if (read.header.previous !== (end?.sha256 ?? sha256)) break
    spooled.push({
      segment,
      sha256: read.sha256,
      bytes: read.header.frames * (FRAME_HEADER_BYTES + read.header.pageBytes),
      sinceMs: read.commits[0]?.timeMs ?? Date.now(),
    })
    end = read
  }
  const position = positionOf(file)
  const after = await placeAfter(end, position, dir, file, isLinked, {
    generation,
    number: end?.header.number ?? 0,
    sha256: end?.sha256 ?? sha256,
  })
  if (after === undefined) return undefined
  return { number, sha256, spooled, last: lastOf(shipped, manifest), after }
}

async function placeAfter(
  end: ReadSegment | undefined,
  { header, frame }: WalPosition,
  dir: string,
  file: DatabaseFile,
  isLinked: boolean,
  expected: { readonly generation: string; readonly number: number; readonly sha256: string },
): Promise<ContinuedChain['after'] | undefined> {
  const salt = end === undefined ? Buffer.alloc(8) : Buffer.from(end.header.salt, 'hex')
  const last = end === undefined ? 0 : end.header.firstFrame + end.header.frames - 1
  const after = { salt, frame: last }
  if (end && header?.salt.equals(salt)) {
    if (last > frame) return undefined
    const stated = await frameHeaderAt(`${databasePath(dir, file)}-wal`, frameOffset(last, header.pageBytes))
    return stated?.subarray(16, 24).equals(end.lastChecksum) ? after : undefined
  }
  if (!isLinked) return undefined
  if (end !== undefined && header !== undefined && hasStartedOverOnce(salt, header.salt)) return after
  const emptied = await readLogEnd(dir, file)
  const isEmptied =
    emptied?.generation === expected.generation &&
    emptied.number === expected.number &&
    emptied.sha256 === expected.sha256
  return isEmptied ? after : undefined
}

/** See https://sqlite.org/fileformat2.html#walformat: the first half of the salt counts, the second is random. */
function hasStartedOverOnce(before: Buffer, now: Buffer): boolean {
  return (before.readUInt32BE(0) + 1) >>> 0 === now.readUInt32BE(0)
}

async function frameHeaderAt(path: string, offset: number): Promise<Buffer | undefined> {
  const bytes = Buffer.alloc(FRAME_HEADER_BYTES)
  const file = await open(path, 'r')
  try {
    const { bytesRead } = await file.read(bytes, 0, bytes.length, offset)
    return bytesRead === bytes.length ? bytes : undefined
  } finally {
    await file.close()
  }
}

function lastOf(segment: ReadSegment | undefined, manifest: Manifest): LastShipped {
  const named = segment?.commits.findLast(({ sequence }) => sequence !== null)
  return {
    sequence: named?.sequence ?? null,
    timeMs: segment?.commits.at(-1)?.timeMs ?? manifest.createdAtMs,
  }
}

async function ifWhole(reading: Promise<ReadSegment>): Promise<ReadSegment | undefined> {
  try {
    return await reading
  } catch (error) {
    if (error instanceof StoreError && error.code === 'ARCHIVE_DAMAGED') return undefined
    throw error
  }
}
