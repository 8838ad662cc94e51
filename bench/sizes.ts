/** How much of everything a run does: enough to be steady, little enough that a full run takes a quarter of an hour. */

export interface Sizes {
  /** Documents that the put workloads write over and over. */
  readonly ringDocuments: number
  readonly hotDocuments: number
  /** The same work unmeasured beforehand, in workloads that speak of single microseconds: a trading process runs for days. */
  readonly warmUpMs: number
  readonly pipelinedMaxPuts: number
  readonly pipelinedMaxMs: number
  readonly burstPuts: number
  readonly burstMaxMs: number
  readonly maxBursts: number
  readonly awaitedMaxPuts: number
  readonly awaitedMaxMs: number
  readonly steadyPerSecond: number
  readonly steadyMs: number
  readonly hotGetMs: number
  readonly mixedMs: number
  readonly mixedStoredBars: number
  readonly loadedBars: number
  readonly bulkLoadMaxMs: number
  readonly smallArchive: number
  readonly storeSizePuts: number
  readonly openArchive: number
  readonly bytesPuts: number
  readonly feedMs: number
}

const FULL: Sizes = {
  ringDocuments: 20_000,
  hotDocuments: 10_000,
  warmUpMs: 3_000,
  pipelinedMaxPuts: 100_000,
  pipelinedMaxMs: 1_200,
  burstPuts: 20_000,
  burstMaxMs: 1_500,
  maxBursts: 5,
  awaitedMaxPuts: 3_000,
  awaitedMaxMs: 1_500,
  steadyPerSecond: 1_000,
  steadyMs: 2_000,
  hotGetMs: 300,
  mixedMs: 3_000,
  mixedStoredBars: 1_000_000,
  loadedBars: 100_000,
  bulkLoadMaxMs: 1_500,
  smallArchive: 10_000,
  storeSizePuts: 2_000,
  // At some 320 bytes a document with its key and page overhead: 200 MB.
  openArchive: 600_000,
  bytesPuts: 5_000,
  feedMs: 20_000,
}

const QUICK: Sizes = {
  ...FULL,
  warmUpMs: 400,
  pipelinedMaxPuts: 20_000,
  pipelinedMaxMs: 500,
  burstMaxMs: 1,
  maxBursts: 2,
  awaitedMaxPuts: 1_000,
  awaitedMaxMs: 500,
  steadyMs: 1_000,
  hotGetMs: 100,
  mixedMs: 2_000,
  mixedStoredBars: 200_000,
  bulkLoadMaxMs: 1,
  storeSizePuts: 600,
  openArchive: 60_000,
  bytesPuts: 2_000,
  feedMs: 4_000,
}

/** `feedSeconds`: how long the live feed lasts; the goal speaks of 60. */
export function sizesOf(options: { readonly isQuick: boolean; readonly feedSeconds: number | undefined }): Sizes {
  const sizes = options.isQuick ? QUICK : FULL
  return options.feedSeconds === undefined ? sizes : { ...sizes, feedMs: options.feedSeconds * 1_000 }
}

/** Puts of one burst. Where each put waits for a slow disk by itself, the rate shows in a tenth as well. */
export function burstPutsOf(sizes: Sizes, conditions: { readonly isSlow: boolean; readonly commitsPerPut: boolean }) {
  return conditions.isSlow && conditions.commitsPerPut ? sizes.burstPuts / 10 : sizes.burstPuts
}
