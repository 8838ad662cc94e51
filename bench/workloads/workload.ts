/** The workloads, one per module in this folder; each module exports `run`. */
import type { Contender, ContenderName } from '../contenders/contender.ts'
import type { FixtureName } from '../fixtures.ts'
import type { MeasureJob, Metrics } from '../job.ts'

export const WORKLOAD_NAMES = [
  'terms',
  'pipelined',
  'steady',
  'burst',
  'awaited',
  'hot-get',
  'mixed',
  'bulk-load',
  'store-size',
  'open',
  'bytes',
  'memory',
  'backup',
  'beside-operations',
  'rotate-password',
  'skill-search',
  'series',
  'series-feed',
  'artifact',
] as const
export type WorkloadName = (typeof WORKLOAD_NAMES)[number]

export interface WorkloadFacts {
  /** What the report calls it, and one line on how it is measured. */
  readonly title: string
  /** The store it begins with, copied for each job; none: a new one. */
  readonly copies?: FixtureName
  /** Stores used where they lie. */
  readonly shares?: readonly FixtureName[]
  readonly isRunOnSlowDisk?: boolean
  readonly needsGc?: boolean
  /** Figures that hardly vary need no more rounds than this. */
  readonly maxRounds?: number
  readonly contenders: readonly ContenderName[]
}

const STORES = ['holdfast', 'bs3mc', 'hand-worker', 'driver', 'lmdb'] as const
const STORES_AND_IDLE = [...STORES, 'idle'] as const

export const WORKLOADS: Readonly<Record<WorkloadName, WorkloadFacts>> = {
  terms: {
    title: 'equal terms: with 20 ms more per sync no ack comes sooner; no plaintext in the files',
    contenders: STORES,
    maxRounds: 1,
  },
  pipelined: {
    title: 'up to 1,000 puts under way; main-thread busy time per put, less that of the same loop around nothing',
    copies: 'ring',
    contenders: STORES_AND_IDLE,
    isRunOnSlowDisk: true,
  },
  steady: {
    title: '1,000 puts a second, one by one; main-thread busy time per put, less that of the same loop around nothing',
    copies: 'ring',
    contenders: STORES_AND_IDLE,
    isRunOnSlowDisk: true,
  },
  burst: {
    title: '20,000 puts issued in one turn until all are durable; median of several bursts',
    copies: 'ring',
    contenders: STORES,
    isRunOnSlowDisk: true,
  },
  awaited: {
    title: 'one put after the other, each awaited until durable',
    copies: 'ring',
    contenders: STORES,
    isRunOnSlowDisk: true,
  },
  'hot-get': { title: 'get by id, in random order, of 10,000 documents', copies: 'hot', contenders: STORES },
  mixed: {
    title:
      '1,000 puts a second while 100,000 bars are loaded and 1 M bars aggregated, as each keeps bars; latency from when a put was due',
    copies: 'market',
    contenders: STORES_AND_IDLE,
    isRunOnSlowDisk: true,
  },
  'bulk-load': { title: '100,000 bars, an array of objects, a row each, until all are durable', contenders: STORES },
  'store-size': {
    title: 'awaited puts to random documents of a cold table with many rows, and of one with 10,000',
    shares: ['smallArchive', 'bigArchive'],
    contenders: STORES,
  },
  open: { title: 'open and read one document, files in the page cache', shares: ['open'], contenders: STORES },
  bytes: {
    title:
      'bytes on the disk per put against the bytes of its JSON, pipelined; opening and the closing checkpoint apart',
    copies: 'ring',
    contenders: STORES,
    maxRounds: 2,
  },
  memory: {
    title: 'heap of the main isolate for 10,000 hot documents against the bytes of their JSON',
    copies: 'hot',
    contenders: ['holdfast'],
    needsGc: true,
    maxRounds: 3,
  },
  backup: {
    title: 'a first backup of a 200 MB store and its restore, beside cp with sync of the same file and VACUUM INTO',
    shares: ['open'],
    contenders: ['holdfast', 'bs3mc'],
    maxRounds: 3,
  },
  'beside-operations': {
    title: '1,000 puts a second, calm and while the store of 200 MB is backed up, archived, maintained, rekeyed',
    copies: 'open',
    contenders: ['holdfast'],
    maxRounds: 3,
  },
  'rotate-password': {
    title: 'rotatePassword of a store of 1 MB and of one of 100 MB (--megabytes), by turns',
    shares: ['megabyte', 'megabytes'],
    contenders: ['holdfast'],
    maxRounds: 2,
  },
  'skill-search': {
    title: '2,000 searches one after the other over 10,000 skills of 120 words: words, phrases, prefixes, filters',
    contenders: ['holdfast', 'bs3mc'],
    maxRounds: 3,
  },
  series: {
    title: 'real one-minute bars as columns: appended until durable, a million read, resampled to hours, the last 200',
    contenders: ['holdfast', 'bs3mc'],
  },
  'series-feed': {
    title: '20,000 ticks a second of four symbols beside 1,000 puts a second, and the same puts before and after it',
    copies: 'ring',
    contenders: ['holdfast'],
    maxRounds: 3,
  },
  artifact: {
    title:
      '128 MiB of random content in memory as an artifact and back, beside AES-256-GCM of node:crypto and a plain write',
    contenders: ['holdfast'],
    maxRounds: 3,
  },
}

export interface WorkloadContext {
  readonly contender: Contender
  readonly job: MeasureJob
}

export async function loadWorkload(name: WorkloadName): Promise<(context: WorkloadContext) => Promise<Metrics>> {
  const module = (await import(new URL(`./${name}.js`, import.meta.url).href)) as {
    run: (context: WorkloadContext) => Promise<Metrics>
  }
  return module.run
}
