/** The optional package `apache-arrow`, loaded when it is first needed. */
import { StoreError } from '../../../protocol/store-error.ts'
import { decompressLz4Frame } from './lz4-frame.ts'

export type ApacheArrow = typeof import('apache-arrow')

let loading: Promise<ApacheArrow> | undefined

/** @throws StoreError `INVALID_ARGUMENT` when the package is not installed */
export async function apacheArrow(): Promise<ApacheArrow> {
  loading ??= load()
  return await loading
}

async function load(): Promise<ApacheArrow> {
  const arrow = await import('apache-arrow').catch((error: unknown) => {
    throw new StoreError('INVALID_ARGUMENT', 'Arrow needs the package apache-arrow: npm install apache-arrow', {
      cause: error,
    })
  })
  if (arrow.compressionRegistry?.get(arrow.CompressionType.LZ4_FRAME)?.decode === undefined) {
    arrow.compressionRegistry?.set(arrow.CompressionType.LZ4_FRAME, { decode: decompressLz4Frame })
  }
  return arrow
}
