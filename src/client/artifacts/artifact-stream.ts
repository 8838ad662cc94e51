/** Reads a version chunk by chunk, a few ahead. A chunk is given out once it has proven to be what was stored. */
import { Readable } from 'node:stream'
import type { ArtifactSelector, ArtifactVersion, OpenedArtifact } from '../../protocol/artifacts.ts'
import type { StoreCore } from '../store-core.ts'

const CHUNKS_AHEAD = 3
const HIGH_WATER_MARK_BYTES = 1024 * 1024

/**
 * The content of a version, as a stream of buffers: a Node.js `Readable`, so it can be piped and iterated. It is opened
 * by the first read. Ends with an error, and with nothing unverified before it: `NOT_FOUND`, `ARTIFACT_DAMAGED`,
 * `STORE_CLOSED`, `WORKER_LOST`, `IO_ERROR`.
 *
 * @example
 * await pipeline(store.artifacts.get('model', 3), createWriteStream('model.onnx'))
 */
export class ArtifactStream extends Readable {
  readonly #core: StoreCore
  readonly #selector: ArtifactSelector
  #opened: Promise<OpenedArtifact> | undefined
  #ahead: Promise<Uint8Array>[] = []
  #next = 0

  constructor(core: StoreCore, selector: ArtifactSelector) {
    super({ highWaterMark: HIGH_WATER_MARK_BYTES })
    this.#core = core
    this.#selector = selector
  }

  /** Which version this is, and what is known of it. Rejects with `NOT_FOUND`. */
  async info(): Promise<ArtifactVersion> {
    return (await this.#open()).info
  }

  /** All of it in one buffer: for what fits in memory. */
  async bytes(): Promise<Buffer> {
    const pieces: Buffer[] = []
    for await (const piece of this) pieces.push(piece as Buffer)
    return Buffer.concat(pieces)
  }

  override _read(): void {
    this.#readNext().then(
      (chunk) => this.push(chunk),
      (error: Error) => this.destroy(error),
    )
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    for (const each of this.#ahead) each.catch(() => undefined)
    this.#ahead = []
    callback(error)
  }

  async #readNext(): Promise<Buffer | null> {
    const { info, content, starts } = await this.#open()
    const { name, version } = info
    while (this.#ahead.length < CHUNKS_AHEAD && this.#next < starts.length) {
      this.#core.assertOpen()
      const at = starts[this.#next] as number
      this.#next += 1
      const chunk = this.#core.supervisor.read('artifactChunk', { content, name, version, at })
      // Who waits for it hears of its failure; until then it is nobody's.
      chunk.catch(() => undefined)
      this.#ahead.push(chunk)
    }
    const chunk = await this.#ahead.shift()
    return chunk === undefined ? null : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
  }

  #open(): Promise<OpenedArtifact> {
    this.#opened ??= (async () => {
      this.#core.assertOpen()
      return await this.#core.supervisor.read('artifactOpen', this.#selector)
    })()
    return this.#opened
  }
}
