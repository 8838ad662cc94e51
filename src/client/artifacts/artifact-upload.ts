/**
 * The main thread's side of a put: copies what comes in into segments of shared memory and tells the worker where they
 * are. A segment is used again once what it holds is durable, so that a worker which dies takes nothing along: the next
 * one is told from where the last one's records end. That bounds both memory and how far the source runs ahead.
 */
import type {
  ArtifactBegun,
  ArtifactFinishRequest,
  ArtifactReference,
  StoredArtifact,
} from '../../protocol/artifacts.ts'
import { StoreError } from '../../protocol/store-error.ts'
import { isWorkerLost, type WorkerSupervisor } from '../worker-supervisor.ts'

const SEGMENT_BYTES = 512 * 1024
/** Two groups of chunks and the chunks under way (upload.ts of the worker), and some more. */
const MAX_SEGMENTS = 56
const MAX_IN_FLIGHT = 3

interface Segment {
  readonly memory: Uint8Array
  readonly at: number
  length: number
}

export interface UploadRequest {
  readonly upload: string
  readonly name: string
  readonly parents: readonly ArtifactReference[]
}

export class ArtifactUpload {
  readonly #supervisor: WorkerSupervisor
  readonly #request: UploadRequest
  readonly #free: Uint8Array[] = []
  /** Sent, or about to be, and not known to be durable; by position. */
  #retained: Segment[] = []
  readonly #inFlight = new Set<Promise<void>>()
  #filling: Segment | undefined
  #position = 0
  #storedBytes = 0
  /** What an answer was: the worker was lost, or is another one by now. */
  #isLost = false
  #failure: { readonly error: unknown } | undefined

  constructor(supervisor: WorkerSupervisor, request: UploadRequest) {
    this.#supervisor = supervisor
    this.#request = request
  }

  /** @returns what an earlier put under this id has made, if there was one */
  async begin(): Promise<ArtifactBegun> {
    return await this.#supervisor.read('artifactBegin', { ...this.#request, isResumed: false })
  }

  /** Takes all of `bytes`; resolves when there is room for more. */
  async push(bytes: Uint8Array): Promise<void> {
    let taken = 0
    while (taken < bytes.length) {
      const segment = this.#filling ?? (await this.#nextSegment())
      this.#filling = segment
      const length = Math.min(bytes.length - taken, SEGMENT_BYTES - segment.length)
      segment.memory.set(bytes.subarray(taken, taken + length), segment.length)
      segment.length += length
      this.#position += length
      taken += length
      if (segment.length === SEGMENT_BYTES) await this.#sendFilled()
    }
  }

  async finish(version: Omit<ArtifactFinishRequest, 'upload' | 'bytes'>): Promise<StoredArtifact> {
    if (this.#filling !== undefined) await this.#sendFilled()
    for (;;) {
      await this.#allAnswered()
      const request = { ...version, upload: this.#request.upload, bytes: this.#position }
      try {
        const stored = await this.#supervisor.callOnce('artifactFinish', request)
        if (stored !== null) return stored
      } catch (error) {
        if (!isWorkerLost(error)) throw error
      }
      // The next worker is asked first: the one that was lost may have finished.
      const finished = await this.#takeUpAgain()
      if (finished !== null) return finished
    }
  }

  async abort(): Promise<void> {
    await Promise.all(this.#inFlight)
    await this.#supervisor.callOnce('artifactAbort', { upload: this.#request.upload }).catch(() => undefined)
  }

  async #sendFilled(): Promise<void> {
    const segment = this.#filling as Segment
    this.#filling = undefined
    this.#retained.push(segment)
    this.#send(segment)
    while (this.#inFlight.size >= MAX_IN_FLIGHT) await Promise.race(this.#inFlight)
    await this.#goOn()
  }

  #send({ at, memory, length }: Segment): void {
    const request = { upload: this.#request.upload, at, bytes: memory.subarray(0, length) }
    const answered = this.#supervisor
      .callOnce('artifactWrite', request)
      .then(
        ({ storedBytes }) => this.#answered(storedBytes),
        (error: unknown) => {
          if (isWorkerLost(error)) this.#isLost = true
          else this.#failure ??= { error }
        },
      )
      .finally(() => this.#inFlight.delete(answered))
    this.#inFlight.add(answered)
  }

  #answered(storedBytes: number | null): void {
    if (storedBytes === null) {
      this.#isLost = true
      return
    }
    this.#storedBytes = Math.max(this.#storedBytes, storedBytes)
    const isStored = ({ at, length }: Segment) => at + length <= this.#storedBytes
    for (const { memory } of this.#retained.filter(isStored)) this.#free.push(memory)
    this.#retained = this.#retained.filter((segment) => !isStored(segment))
  }

  async #goOn(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure.error
    if (this.#isLost) await this.#takeUpAgain()
  }

  async #allAnswered(): Promise<void> {
    while (this.#inFlight.size > 0) await Promise.all(this.#inFlight)
    await this.#goOn()
  }

  async #nextSegment(): Promise<Segment> {
    while (this.#free.length === 0 && this.#retained.length >= MAX_SEGMENTS) {
      await this.#allAnswered()
      try {
        const { storedBytes } = await this.#supervisor.callOnce('artifactFlush', { upload: this.#request.upload })
        this.#answered(storedBytes)
      } catch (error) {
        if (!isWorkerLost(error)) throw error
        this.#isLost = true
      }
      await this.#goOn()
    }
    const memory = this.#free.pop() ?? new Uint8Array(new SharedArrayBuffer(SEGMENT_BYTES))
    return { memory, at: this.#position, length: 0 }
  }

  /**
   * Gives a new worker what the last one had not recorded.
   *
   * @returns what the last worker had finished
   * @throws StoreError `WORKER_LOST` when there is no worker any more
   */
  async #takeUpAgain(): Promise<StoredArtifact | null> {
    for (;;) {
      await Promise.all(this.#inFlight)
      await this.#supervisor.recovered()
      this.#isLost = false
      try {
        const { storedBytes, finished } = await this.#supervisor.callOnce('artifactBegin', {
          ...this.#request,
          isResumed: true,
        })
        if (finished !== null) return finished
        if (storedBytes < this.#storedBytes) {
          throw new StoreError(
            'TIMEOUT',
            'What was stored of this put has been collected as garbage meanwhile. Put it again.',
          )
        }
        this.#answered(storedBytes)
        for (const segment of this.#retained) {
          this.#send(segment)
          while (this.#inFlight.size >= MAX_IN_FLIGHT) await Promise.race(this.#inFlight)
        }
        await Promise.all(this.#inFlight)
        if (this.#failure !== undefined) throw this.#failure.error
        if (!this.#isLost) return null
      } catch (error) {
        if (!isWorkerLost(error)) throw error
      }
    }
  }
}
