/** `store.artifacts`: large files, such as models and data sets, in versions that share what they share. */
import { randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import type {
  ArtifactDamage,
  ArtifactDeletion,
  ArtifactGarbage,
  ArtifactLineage,
  ArtifactReference,
  ArtifactVersion,
  StoredArtifact,
} from '../../protocol/artifacts.ts'
import type { MethodName, RequestOf, ResultOf } from '../../protocol/methods.ts'
import { StoreError } from '../../protocol/store-error.ts'
import type { JsonValue } from '../../schema/json.ts'
import type { StoreCore } from '../store-core.ts'
import { isWorkerLost } from '../worker-supervisor.ts'
import {
  artifactMetrics,
  artifactName,
  artifactTag,
  artifactVersion,
  checked,
  collectOptions,
  listOptions,
  putOptions,
  verifyOptions,
  versionOrTag,
} from './artifact-options.ts'
import { ArtifactStream } from './artifact-stream.ts'
import { ArtifactUpload } from './artifact-upload.ts'

/** Each takes some 120 MiB at most (test/faults/artifact-memory.test.ts). */
const MAX_ACTIVE_PUTS = 2
const MAX_WAITING_PUTS = 100
const LIST_LIMIT = 1_000
const UNFINISHED_AGE_MS = 24 * 3_600_000

/** What can be put: bytes, or a stream of them, such as `createReadStream(path)` or the body of a `fetch`. */
export type ArtifactSource = Uint8Array | AsyncIterable<Uint8Array> | Iterable<Uint8Array>

export interface PutArtifactOptions {
  /** Anything JSON can say; up to 1 MiB. */
  readonly metadata?: Readonly<Record<string, JsonValue>>
  readonly metrics?: Readonly<Record<string, number>>
  /** Move to this version from the one that has them. */
  readonly tags?: readonly string[]
  /** Versions this one was made from. */
  readonly parents?: readonly ArtifactReference[]
  /** Makes a put happen once: under an id that has made a version, `put` resolves to that version and reads nothing. */
  readonly uploadId?: string
  /** Gives the put up. What is stored by then need not be written again by a put of the same content. */
  readonly signal?: AbortSignal
}

export interface ListArtifactsOptions {
  /** Only names that begin with it. */
  readonly prefix?: string
  /** Only artifacts that have this tag, each at the version it is on; default: each at its newest version. */
  readonly tag?: string
  /** Only names behind this one: what to go on with after a full list. */
  readonly after?: string
  /** Default 1,000. */
  readonly limit?: number
}

export interface VerifyArtifactsOptions {
  readonly onProgress?: (progress: { readonly chunks: number; readonly bytes: number }) => void
}

export interface CollectGarbageOptions {
  /** Puts that were broken off and not taken up again for as long; default 24 hours. */
  readonly unfinishedOlderThanMs?: number
}

export interface ArtifactVerification {
  readonly chunks: number
  readonly bytes: number
  /** Empty is good news. */
  readonly damage: readonly ArtifactDamage[]
}

export interface ArtifactStats {
  readonly putsActive: number
  readonly putsWaiting: number
}

/** Artifacts of a store. See `docs/artifacts.md`. */
export interface StoreArtifacts {
  /**
   * Stores a content as the next version of `name`. It is cut into chunks by what is in it; chunks that some version has
   * already are not stored again. Any size at constant memory, and the event loop goes on. Resolves when all of it is
   * durable; until then there is no such version. When it is cut off, put the same content again: chunks that were
   * stored are not written again.
   *
   * Rejects with `INVALID_ARGUMENT`, `NOT_FOUND` (a parent), `ALREADY_EXISTS` (the uploadId is of another name),
   * `QUEUE_FULL`, `DISK_FULL`, `IO_ERROR`, `READ_ONLY`, `WORKER_LOST`, `STORE_CLOSED`, with the reason of the signal, or
   * with what the source throws.
   *
   * @example
   * const { version, newBytes } = await store.artifacts.put('model', createReadStream('model.onnx'), {
   *   metadata: { framework: 'onnx' }, metrics: { sharpe: 1.8 }, tags: ['candidate'],
   *   parents: [{ name: 'features', version: 12 }],
   * })
   */
  put(name: string, source: ArtifactSource, options?: PutArtifactOptions): Promise<StoredArtifact>
  /**
   * The content of a version, by its number or a tag; without either, of the newest one.
   *
   * @example for await (const piece of store.artifacts.get('model', 'production')) load(piece)
   */
  get(name: string, version?: number | string): ArtifactStream
  /** Rejects with `NOT_FOUND`. */
  info(name: string, version?: number | string): Promise<ArtifactVersion>
  /** Newest first; none when there is no such artifact. */
  versions(name: string): Promise<readonly ArtifactVersion[]>
  /** By name. */
  list(options?: ListArtifactsOptions): Promise<readonly ArtifactVersion[]>
  /** Puts a tag on a version, taking it from the one that has it. Rejects with `NOT_FOUND`, `READ_ONLY`. */
  tag(name: string, version: number, tag: string): Promise<void>
  /** No error when there is no such tag. */
  untag(name: string, tag: string): Promise<void>
  /** Adds to the metrics of a version; those of the same names are replaced. Rejects with `NOT_FOUND`, `READ_ONLY`. */
  recordMetrics(name: string, version: number, metrics: Readonly<Record<string, number>>): Promise<void>
  /** What a version was made from, and what was made from it. Rejects with `NOT_FOUND`. */
  lineage(name: string, version?: number | string): Promise<ArtifactLineage>
  /** Reads and authenticates every chunk, of one artifact or of all. Damage is told, never an error. */
  verify(name?: string, options?: VerifyArtifactsOptions): Promise<ArtifactVerification>
  /**
   * Deletes a version, or all. Chunks that no other version has can't be decrypted any more when it resolves: their keys
   * are overwritten. Files that hold nothing else are removed then. Rejects with `NOT_FOUND`, `READ_ONLY`.
   */
  delete(name: string, version?: number): Promise<ArtifactDeletion>
  /**
   * Removes what crashes and puts that were broken off have left, and gives back the room of deleted chunks that share a
   * file with others: a file of which less than half is needed is written anew. Maintenance does it by itself. Rejects with `READ_ONLY`.
   */
  collectGarbage(options?: CollectGarbageOptions): Promise<ArtifactGarbage>
}

export class ArtifactRegistry implements StoreArtifacts {
  readonly #core: StoreCore
  #active = 0
  readonly #waiting: (() => void)[] = []

  constructor(core: StoreCore) {
    this.#core = core
  }

  get stats(): ArtifactStats {
    return { putsActive: this.#active, putsWaiting: this.#waiting.length }
  }

  async put(name: string, source: ArtifactSource, options: PutArtifactOptions = {}): Promise<StoredArtifact> {
    this.#assertWritable()
    const to = checked('put', artifactName, name)
    const { signal, uploadId, ...version } = checked('put', putOptions, options)
    const pieces = iterableOf(source)
    signal?.throwIfAborted()
    await this.#turn()
    try {
      const request = { upload: uploadId ?? randomUUID(), name: to, parents: version.parents ?? [] }
      const upload = new ArtifactUpload(this.#core.supervisor, request)
      const { finished } = await upload.begin()
      if (finished !== null) return finished
      try {
        for await (const piece of untilAborted(pieces, signal)) {
          this.#core.assertOpen()
          if (!(piece instanceof Uint8Array)) throw notBytes()
          await upload.push(piece)
        }
        signal?.throwIfAborted()
        return await upload.finish({
          name: to,
          metadata: version.metadata ?? {},
          metrics: version.metrics ?? {},
          tags: version.tags ?? [],
          parents: version.parents ?? [],
        })
      } catch (error) {
        await upload.abort()
        throw error
      }
    } finally {
      this.#endTurn()
    }
  }

  get(name: string, version?: number | string): ArtifactStream {
    return new ArtifactStream(this.#core, this.#selector('get', name, version))
  }

  async info(name: string, version?: number | string): Promise<ArtifactVersion> {
    return await this.#read('artifactInfo', this.#selector('info', name, version))
  }

  async versions(name: string): Promise<readonly ArtifactVersion[]> {
    return await this.#read('artifactVersions', { name: checked('versions', artifactName, name) })
  }

  async list(options: ListArtifactsOptions = {}): Promise<readonly ArtifactVersion[]> {
    const { prefix = '', tag = null, after = null, limit = LIST_LIMIT } = checked('list', listOptions, options)
    return await this.#read('artifactList', { prefix, tag, after, limit })
  }

  async tag(name: string, version: number, tag: string): Promise<void> {
    const reference = this.#reference('tag', name, version)
    await this.#repeatable('artifactTag', { ...reference, tag: checked('tag', artifactTag, tag) })
  }

  async untag(name: string, tag: string): Promise<void> {
    const request = { name: checked('untag', artifactName, name), tag: checked('untag', artifactTag, tag) }
    await this.#repeatable('artifactUntag', request)
  }

  async recordMetrics(name: string, version: number, metrics: Readonly<Record<string, number>>): Promise<void> {
    const reference = this.#reference('recordMetrics', name, version)
    await this.#repeatable('artifactMetrics', {
      ...reference,
      metrics: checked('recordMetrics', artifactMetrics, metrics),
    })
  }

  async lineage(name: string, version?: number | string): Promise<ArtifactLineage> {
    return await this.#read('artifactLineage', this.#selector('lineage', name, version))
  }

  async verify(name?: string, options: VerifyArtifactsOptions = {}): Promise<ArtifactVerification> {
    const only = name === undefined ? null : checked('verify', artifactName, name)
    const { onProgress } = checked('verify', verifyOptions, options) as VerifyArtifactsOptions
    if (only !== null) await this.info(only)
    let [chunks, bytes] = [0, 0]
    // Chunks that share a file are one damage of a version.
    const damage = new Map<string, ArtifactDamage>()
    for (let after: number | null = 0; after !== null; ) {
      const page: ResultOf<'artifactVerify'> = await this.#read('artifactVerify', { name: only, after })
      chunks += page.chunks
      bytes += page.bytes
      for (const each of page.damage) damage.set(JSON.stringify([each.name, each.version, each.file]), each)
      after = page.last
      onProgress?.({ chunks, bytes })
    }
    return { chunks, bytes, damage: [...damage.values()] }
  }

  async delete(name: string, version?: number): Promise<ArtifactDeletion> {
    this.#assertWritable()
    const request = {
      name: checked('delete', artifactName, name),
      version: version === undefined ? null : checked('delete', artifactVersion, version),
    }
    const { supervisor } = this.#core
    try {
      return await supervisor.callOnce('artifactDelete', { ...request, isRepeated: false })
    } catch (error) {
      if (!isWorkerLost(error) || supervisor.failure !== undefined) throw error
      await supervisor.recovered()
      const deletion = await supervisor.callOnce('artifactDelete', { ...request, isRepeated: true })
      // Chunks that the lost worker had not got to.
      await supervisor.callOnce('artifactCollect', { unfinishedOlderThanMs: UNFINISHED_AGE_MS })
      return deletion
    }
  }

  async collectGarbage(options: CollectGarbageOptions = {}): Promise<ArtifactGarbage> {
    this.#assertWritable()
    const { unfinishedOlderThanMs = UNFINISHED_AGE_MS } = checked('collectGarbage', collectOptions, options)
    return await this.#core.supervisor.read('artifactCollect', { unfinishedOlderThanMs })
  }

  #selector(call: string, name: string, version: number | string | undefined) {
    return {
      name: checked(call, artifactName, name),
      version: checked(call, versionOrTag, version === 'latest' ? undefined : version) ?? null,
    }
  }

  #reference(call: string, name: string, version: number): ArtifactReference {
    this.#assertWritable()
    return { name: checked(call, artifactName, name), version: checked(call, artifactVersion, version) }
  }

  async #read<M extends MethodName>(method: M, ...request: RequestOf<M>): Promise<ResultOf<M>> {
    this.#core.assertOpen()
    return await this.#core.supervisor.read(method, ...request)
  }

  /** A write that may be made twice. */
  async #repeatable<M extends MethodName>(method: M, ...request: RequestOf<M>): Promise<ResultOf<M>> {
    return await this.#core.supervisor.read(method, ...request)
  }

  #assertWritable(): void {
    this.#core.assertOpen()
    if (this.#core.isReadOnly) {
      throw new StoreError('READ_ONLY', 'This store was opened with readOnly: true. Open it as its owner to write.')
    }
  }

  async #turn(): Promise<void> {
    if (this.#active < MAX_ACTIVE_PUTS) {
      this.#active += 1
      return
    }
    if (this.#waiting.length >= MAX_WAITING_PUTS) {
      throw new StoreError('QUEUE_FULL', `${MAX_WAITING_PUTS} puts of artifacts are waiting already. Await some first.`)
    }
    // The turn is handed over, so the number of active puts stays as it is.
    await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  #endTurn(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#active -= 1
    else next()
  }
}

/** Does not wait for a source that has stopped to give anything. */
async function* untilAborted(
  source: AsyncIterable<unknown> | Iterable<unknown>,
  signal: AbortSignal | undefined,
): AsyncGenerator<unknown> {
  if (signal === undefined) return yield* source
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
  aborted.catch(() => undefined)
  const iterator = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]()
  try {
    for (;;) {
      const next = await Promise.race([iterator.next(), aborted])
      if (next.done === true) return
      yield next.value
    }
  } finally {
    // A stream that is being waited for does not hear of its iterator's end.
    if (source instanceof Readable) source.destroy()
    void Promise.resolve(iterator.return?.()).catch(() => undefined)
  }
}

function iterableOf(source: unknown): AsyncIterable<unknown> | Iterable<unknown> {
  if (source instanceof Uint8Array) return [source]
  const isIterable =
    typeof source === 'object' && source !== null && (Symbol.asyncIterator in source || Symbol.iterator in source)
  if (!isIterable) throw notBytes()
  return source as AsyncIterable<unknown> | Iterable<unknown>
}

function notBytes(): StoreError {
  return new StoreError('INVALID_ARGUMENT', 'artifacts.put takes a Uint8Array, or a stream or iterable of Uint8Arrays.')
}
