/**
 * Hands chunks from one that makes them to one that takes them, a bounded number of bytes ahead. What a stream would do,
 * without its cost for each chunk.
 */
export class ChunkQueue implements AsyncIterable<Uint8Array> {
  readonly #maxBytes: number
  readonly #chunks: Uint8Array[] = []
  #bytes = 0
  #pushedBytes = 0
  #isEnded = false
  /** Nobody takes any more: there is no use for what is left. */
  #isLeft = false
  #failure: Error | undefined
  #wakeTaker: (() => void) | undefined
  readonly #makers: (() => void)[] = []

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** Resolves when there is room for more, or when nobody takes any more. */
  async push(chunk: Uint8Array): Promise<void> {
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    this.#pushedBytes += chunk.length
    this.#wakeTaker?.()
    await this.#until(() => this.#bytes < this.#maxBytes)
  }

  /** Bytes that were pushed so far. */
  get pushedBytes(): number {
    return this.#pushedBytes
  }

  /** Resolves when the first `bytes` that were pushed are done with, so that their memory may be used again. */
  async taken(bytes: number): Promise<void> {
    await this.#until(() => this.#pushedBytes - this.#bytes >= bytes)
  }

  async #until(isSo: () => boolean): Promise<void> {
    while (!isSo() && !this.#isLeft) {
      await new Promise<void>((resolve) => {
        this.#makers.push(resolve)
      })
    }
  }

  #wakeMakers(): void {
    for (const wake of this.#makers.splice(0)) wake()
  }

  end(): void {
    this.#isEnded = true
    this.#wakeTaker?.()
  }

  /** The one who takes gets `error` instead of what is left. */
  fail(error: Error): void {
    this.#failure = error
    this.#wakeTaker?.()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        if (this.#failure !== undefined) throw this.#failure
        const chunk = this.#chunks.shift()
        if (chunk !== undefined) {
          yield chunk
          this.#bytes -= chunk.length
          this.#wakeMakers()
          continue
        }
        if (this.#isEnded) return
        await new Promise<void>((resolve) => {
          this.#wakeTaker = resolve
        })
      }
    } finally {
      // Also when the taker has given up: nobody is to wait for it.
      this.#isLeft = true
      this.#wakeMakers()
    }
  }
}

/** What `source` gives, taken from it while the chunk before is still at work. */
export async function* takenAhead(source: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<Uint8Array> {
  const queue = new ChunkQueue(maxBytes)
  let isOver = false
  const filling = fill().catch((error: Error) => queue.fail(error))
  try {
    yield* queue
  } finally {
    isOver = true
    await filling
  }

  async function fill(): Promise<void> {
    for await (const chunk of source) {
      if (isOver) return
      await queue.push(chunk)
    }
    queue.end()
  }
}
