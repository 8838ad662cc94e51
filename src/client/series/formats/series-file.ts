/** Files that are read here and there instead of from front to back, as Parquet wants it: its index is at its end. */
import type { Blob as FileBlob } from 'node:buffer'
import { StoreError } from '../../../protocol/store-error.ts'
import type { SeriesSource } from './series-columns.ts'

/** What hyparquet's `asyncBufferFromFile` and `asyncBufferFromUrl` give; an ArrayBuffer is one, too. */
export interface RandomAccessFile {
  readonly byteLength: number
  slice(start: number, end?: number): ArrayBuffer | Promise<ArrayBuffer>
}

/** A file with random access, or a Blob, such as `fs.openAsBlob(path)` gives. */
export type SeriesFile = RandomAccessFile | FileBlob

/** @throws StoreError `INVALID_ARGUMENT` for a stream */
export function randomAccess(source: SeriesSource | SeriesFile): RandomAccessFile {
  if (source instanceof Uint8Array) {
    const { buffer, byteOffset, byteLength } = source
    return {
      byteLength,
      slice: (start, end = byteLength) => buffer.slice(byteOffset + start, byteOffset + end) as ArrayBuffer,
    }
  }
  if (source instanceof Blob) {
    return { byteLength: source.size, slice: async (start, end) => await source.slice(start, end).arrayBuffer() }
  }
  if (isRandomAccess(source)) return source
  throw new StoreError(
    'INVALID_ARGUMENT',
    "Parquet has its index at its end and can't be read from a stream. Give its bytes, a Blob (fs.openAsBlob), or an AsyncBuffer (asyncBufferFromFile of hyparquet).",
  )
}

export function isSeriesFile(source: SeriesSource | SeriesFile): source is SeriesFile {
  return source instanceof Blob || isRandomAccess(source)
}

function isRandomAccess(source: unknown): source is RandomAccessFile {
  if (typeof source !== 'object' || source === null || ArrayBuffer.isView(source)) return false
  const { byteLength, slice } = source as Partial<RandomAccessFile>
  return typeof byteLength === 'number' && typeof slice === 'function'
}
