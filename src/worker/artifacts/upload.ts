/**
 * One put under way in the worker. Pieces come in order and are cut into chunks; those that are new are sealed one after
 * the other into the file of their group, straight from the memory in which they came. A group is made durable and then recorded in
 * one transaction, so that what a crash leaves is whole chunks of the beginning, or files that no row names.
 */
import { StoreError } from '../../protocol/store-error.ts'
import { failpoint } from '../failpoint.ts'
import type { BlobFiles, BlobWriter } from './blob-files.ts'
import { type ChunkCipher, SEAL_BYTES } from './chunk-cipher.ts'
import type { ChunkRow, NewChunk, Part } from './chunk-rows.ts'
import { type Chunk, ContentChunker, MAX_CHUNK_BYTES } from './content-chunker.ts'

const GROUP_BYTES = 8 * 1024 * 1024
const MAX_CHUNKS_UNDER_WAY = 3
const MAX_SEALED_BYTES = MAX_CHUNK_BYTES + SEAL_BYTES

/** What of an upload is to be recorded in one transaction. */
export interface ChunkGroup {
  readonly chunks: readonly NewChunk[]
  readonly parts: readonly Part[]
}

export interface UploadPlace {
  readonly files: BlobFiles
  readonly cipher: ChunkCipher
  readonly gears: Int32Array
  /** Looks a chunk up by its address and keeps its row from being deleted until `unpin`. */
  readonly pin: (address: Buffer) => Promise<ChunkRow | undefined>
  readonly unpin: (addresses: readonly Uint8Array[]) => void
  /** Keeps files without a row from being taken for garbage. */
  readonly unrecorded: Set<string>
  /** Removes the file if no row names it. */
  readonly removeUnrecorded: (file: Uint8Array) => Promise<void>
  readonly record: (upload: string, group: ChunkGroup) => Promise<void>
  readonly giveWay: () => Promise<void>
  /** Commits come meanwhile. */
  readonly isGentle: () => boolean
}

interface Group {
  blob: BlobWriter | undefined
  readonly chunks: NewChunk[]
  readonly parts: Part[]
  readonly addresses: Set<string>
  readonly pinned: Buffer[]
  bytes: number
}

interface FoundChunk {
  readonly address: Buffer
  readonly isStored: boolean
}

interface SealedMemory {
  readonly memory: Buffer
  isFree: Promise<void>
}

export class Upload {
  readonly id: string
  readonly #place: UploadPlace
  readonly #chunker: ContentChunker
  /** Where the next piece, and the next chunk, begin. */
  #position: number
  #chunkAt: number
  #storedBytes: number
  #group: Group
  /** Chunks in their order, of which the first is next to be sealed. */
  #underWay: Promise<void>[] = []
  /** One is filled while the other is written. */
  readonly #sealed = [0, 1].map(
    (): SealedMemory => ({ memory: Buffer.allocUnsafeSlow(MAX_SEALED_BYTES), isFree: Promise.resolve() }),
  )
  #filled = 0
  /** Pieces one after the other, and groups likewise behind them. */
  #pieces: Promise<unknown> = Promise.resolve()
  #groups: Promise<void> = Promise.resolve()
  #failure: { readonly error: unknown } | undefined

  constructor(id: string, storedBytes: number, place: UploadPlace) {
    this.id = id
    this.#place = place
    this.#chunker = new ContentChunker(place.gears)
    this.#position = storedBytes
    this.#chunkAt = storedBytes
    this.#storedBytes = storedBytes
    this.#group = this.#newGroup()
  }

  /** Bytes of the content, from its beginning, that are durable and recorded. */
  get storedBytes(): number {
    return this.#storedBytes
  }

  get bytes(): number {
    return this.#position
  }

  /** `bytes` must stay as they are until `storedBytes` tells that they are durable. */
  write(at: number, bytes: Uint8Array): Promise<void> {
    return this.#inOrder(() => this.#write(at, bytes))
  }

  /** Resolves when everything that makes whole chunks is recorded. */
  flush(): Promise<void> {
    return this.#inOrder(async () => {
      await this.#endGroup()
      await this.#groups
      this.#assertSound()
    })
  }

  /** The last of the content: durable, and for the caller to record. */
  finish<T>(record: (group: ChunkGroup) => Promise<T>): Promise<T> {
    return this.#inOrder(async () => {
      const rest = this.#chunker.rest()
      if (rest !== undefined) await this.#take(rest)
      await this.#settle(this.#underWay)
      await this.#groups
      this.#assertSound()
      const group = this.#group
      this.#group = this.#newGroup()
      return await this.#store(group, record)
    })
  }

  /** Lets go of what is not recorded. */
  async discard(): Promise<void> {
    this.#failure ??= { error: new StoreError('STORE_CLOSED', 'The put was given up.') }
    await this.#pieces
    await this.#settle(this.#underWay)
    await this.#groups
    await this.#dropGroup(this.#group)
  }

  #inOrder<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#pieces.then(async () => {
      this.#assertSound()
      try {
        return await work()
      } catch (error) {
        this.#failure ??= { error }
        throw error
      }
    })
    this.#pieces = result.catch(() => undefined)
    return result
  }

  async #write(at: number, bytes: Uint8Array): Promise<void> {
    if (at > this.#position) throw new StoreError('INTERNAL', 'A piece of an artifact is missing. Please report it.')
    let rest = bytes.subarray(Math.min(bytes.length, this.#position - at))
    while (rest.length > 0) {
      const { taken, chunk } = this.#chunker.push(rest)
      this.#position += taken
      rest = rest.subarray(taken)
      if (chunk !== undefined) {
        await this.#take(chunk)
        await this.#place.giveWay()
      }
    }
    this.#assertSound()
  }

  /** Begins work on a chunk as soon as there is a place for it. */
  async #take(chunk: Chunk): Promise<void> {
    const at = this.#chunkAt
    this.#chunkAt += chunk.length
    if (this.#group.bytes >= GROUP_BYTES) await this.#endGroup()
    while (this.#underWay.length >= MAX_CHUNKS_UNDER_WAY) await this.#underWay[0]
    this.#assertSound()
    const group = this.#group
    group.bytes += chunk.length
    const before = this.#underWay.at(-1)
    const found = this.#find(group, chunk)
    const work = Promise.all([found, before])
      .then(([{ address, isStored }]) => this.#storeChunk(group, { at, address, chunk, isStored }))
      .catch((error: unknown) => {
        this.#failure ??= { error }
      })
      .then(() => {
        this.#underWay = this.#underWay.filter((each) => each !== work)
      })
    this.#underWay.push(work)
  }

  async #find(group: Group, chunk: Chunk): Promise<FoundChunk> {
    const address = this.#place.cipher.address(chunk)
    group.pinned.push(address)
    const known = await this.#place.pin(address)
    return { address, isStored: known !== undefined && !known.isDamaged }
  }

  async #storeChunk(
    group: Group,
    { at, address, chunk, isStored }: FoundChunk & { readonly at: number; readonly chunk: Chunk },
  ): Promise<void> {
    this.#assertSound()
    const { cipher } = this.#place
    group.parts.push({ at, address })
    const key = address.toString('hex')
    if (isStored || group.addresses.has(key)) return
    group.addresses.add(key)
    const blob = group.blob ?? this.#newBlob(group)
    const into = this.#sealed[this.#filled] as SealedMemory
    this.#filled = 1 - this.#filled
    await into.isFree
    const wrappedKey = cipher.seal(chunk, { file: blob.file, address }, into.memory)
    group.chunks.push({ address, file: blob.file, offset: blob.bytes, wrappedKey, bytes: chunk.length })
    into.isFree = blob
      .append(into.memory.subarray(0, chunk.length + SEAL_BYTES))
      .then(() => failpoint('artifacts:chunk-written'))
      .catch((error: unknown) => {
        this.#failure ??= { error }
      })
  }

  #newBlob(group: Group): BlobWriter {
    const blob = this.#place.files.create(this.#place.isGentle)
    this.#place.unrecorded.add(blob.file.toString('hex'))
    group.blob = blob
    return blob
  }

  async #endGroup(): Promise<void> {
    const group = this.#group
    if (group.bytes === 0) return
    this.#group = this.#newGroup()
    const work = [...this.#underWay]
    // One group may be under way beside the one that is being filled.
    await this.#groups
    this.#groups = this.#settle(work)
      .then(async () => {
        if (this.#failure === undefined) await this.#store(group, (whole) => this.#place.record(this.id, whole))
        else await this.#dropGroup(group)
      })
      .catch((error: unknown) => {
        this.#failure ??= { error }
      })
  }

  async #store<T>(group: Group, record: (group: ChunkGroup) => Promise<T>): Promise<T> {
    try {
      const { chunks, parts } = group
      await group.blob?.finish()
      await failpoint('artifacts:group-durable')
      const result = await record({ chunks, parts })
      this.#storedBytes += group.bytes
      this.#letGo(group)
      return result
    } catch (error) {
      await this.#dropGroup(group)
      throw error
    }
  }

  async #dropGroup(group: Group): Promise<void> {
    if (group.blob !== undefined) {
      await group.blob.abandon().catch(() => undefined)
      // What was asked to be recorded may have been, whatever the answer was: the rows tell.
      await this.#place.removeUnrecorded(group.blob.file).catch(() => undefined)
    }
    this.#letGo(group)
  }

  #letGo({ blob, pinned }: Group): void {
    if (blob !== undefined) this.#place.unrecorded.delete(blob.file.toString('hex'))
    this.#place.unpin(pinned)
  }

  async #settle(work: readonly Promise<void>[]): Promise<void> {
    await Promise.all(work)
  }

  #assertSound(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }

  #newGroup(): Group {
    return { blob: undefined, chunks: [], parts: [], addresses: new Set(), pinned: [], bytes: 0 }
  }
}
