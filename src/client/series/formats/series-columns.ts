/** Points of a series as columns: `ts` in Unix milliseconds, the others numbers or texts, all of one length. */
export interface SeriesColumns {
  readonly ts: Float64Array
  readonly [column: string]: Float64Array | readonly string[]
}

/** What a file is read from: `createReadStream(path)`, the body of a response, or texts and bytes at hand. */
export type SeriesSource = AsyncIterable<Uint8Array | string> | Iterable<Uint8Array | string> | string | Uint8Array
