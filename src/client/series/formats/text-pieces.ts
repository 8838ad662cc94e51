/**
 * A source as decoded text in pieces of bounded size. Between pieces the event loop gets its turn, also when the source
 * is one large string, so that reading a file never holds up trading.
 */
import { StoreError } from '../../../protocol/store-error.ts'
import { eventLoopTurn } from './event-loop-turn.ts'
import type { SeriesSource } from './series-columns.ts'

const PIECE_LENGTH = 64 * 1024

export async function* textPieces(source: SeriesSource): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  const chunks = typeof source === 'string' || source instanceof Uint8Array ? [source] : source
  for await (const chunk of chunks) {
    for (let start = 0; start < chunk.length; start += PIECE_LENGTH) {
      const piece =
        typeof chunk === 'string'
          ? chunk.slice(start, start + PIECE_LENGTH)
          : decoded(decoder, chunk.subarray(start, start + PIECE_LENGTH), true)
      yield piece
      await eventLoopTurn()
    }
  }
  yield decoded(decoder, new Uint8Array(0), false)
}

function decoded(decoder: InstanceType<typeof TextDecoder>, bytes: Uint8Array, stream: boolean): string {
  try {
    return decoder.decode(bytes, { stream })
  } catch {
    throw new StoreError(
      'INVALID_DOCUMENT',
      'The file is not UTF-8 text. If it is compressed, decompress it first; if it is Arrow or Parquet, say so by its format.',
    )
  }
}
