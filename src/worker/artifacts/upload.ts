/**
 * One put under way in the worker. Pieces come in order and are cut into chunks; each chunk is addressed and, when it is
 * new, sealed, written and synced, three at a time. Groups of chunks are made durable and then recorded in one transaction, so
 * that what a crash leaves is whole chunks of the beginning, or files that no row names.
 */
import { StoreError } from '../../protocol/store-error.ts'
import { failpoint } from '../failpoint.ts'
import type { BlobFiles } from './blob-files.ts'
import type { ChunkCipher } from './chunk-cipher.ts'
import type { ChunkRow, NewChunk, Part } from './chunk-rows.ts'
import { ContentChunker } from './content-chunker.ts'

const GROUP_BYTES = 8 * 1024 * 1024
const MAX_CHUNKS_UNDER_WAY = 3

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
  /** Removes those of the files that no row names. */
  readonly removeUnrecorded: (files: readonly Uint8Array[]) => Promise<void>
  readonly record: (upload: string, group: ChunkGroup) => Promise<void>
  readonly giveWay: () => Promise<void>
}

interface Group {
  readonly newName: () => Buffer
  readonly chunks: NewChunk[]
  readonly parts: Part[]
  readonly addresses: Map<string, Promise<void>>
  readonly pinned: Buffer[]
  bytes: number
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
  #underWay: Promise<void>[] = []
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

  /** Resolves when `bytes` may be given up to what `storedBytes` tells by then. */
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
  async #take(chunk: Buffer): Promise<void> {
    const at = this.#chunkAt
    this.#chunkAt += chunk.length
    if (this.#group.bytes >= GROUP_BYTES) await this.#endGroup()
    while (this.#underWay.length >= MAX_CHUNKS_UNDER_WAY) await Promise.race(this.#underWay)
    this.#assertSound()
    const group = this.#group
    group.bytes += chunk.length
    const work = this.#storeChunk(group, at, chunk)
      .catch((error: unknown) => {
        this.#failure ??= { error }
      })
      .then(() => {
        this.#chunker.giveBack(chunk)
        this.#underWay = this.#underWay.filter((each) => each !== work)
      })
    this.#underWay.push(work)
  }

  async #storeChunk(group: Group, at: number, chunk: Buffer): Promise<void> {
    const { cipher } = this.#place
    const address = await cipher.address(chunk)
    group.parts.push({ at, address })
    const key = address.toString('hex')
    const sameContent = group.addresses.get(key)
    if (sameContent !== undefined) return await sameContent
    const stored = this.#storeContent(group, address, chunk)
    group.addresses.set(key, stored)
    await stored
  }

  async #storeContent(group: Group, address: Buffer, chunk: Buffer): Promise<void> {
    const { cipher, files, pin, unrecorded } = this.#place
    group.pinned.push(address)
    const known = await pin(address)
    if (known !== undefined && !known.isDamaged) return
    const file = group.newName()
    const { parts, wrappedKey } = cipher.seal(chunk, { file, address })
    unrecorded.add(file.toString('hex'))
    group.chunks.push({ address, file, wrappedKey, bytes: chunk.length })
    await files.write(file, parts)
    await failpoint('artifacts:chunk-written')
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
      const { chunks } = group
      const parts = group.parts.sort((a, b) => a.at - b.at)
      await this.#place.files.publish(chunks.map(({ file }) => file))
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
    // What was asked to be recorded may have been, whatever the answer was: the rows tell.
    await this.#place.removeUnrecorded(group.chunks.map(({ file }) => file)).catch(() => undefined)
    this.#letGo(group)
  }

  #letGo(group: Group): void {
    for (const { file } of group.chunks) this.#place.unrecorded.delete(Buffer.from(file).toString('hex'))
    this.#place.unpin(group.pinned)
  }

  async #settle(work: readonly Promise<void>[]): Promise<void> {
    await Promise.all(work)
  }

  #assertSound(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }

  #newGroup(): Group {
    return {
      newName: this.#place.files.newNames(),
      chunks: [],
      parts: [],
      addresses: new Map(),
      pinned: [],
      bytes: 0,
    }
  }
}
