/** What every contender can do. The workloads know nothing else about them. */
import type { NewBars, OrderDocument } from '../documents.ts'

export const CONTENDER_NAMES = ['holdfast', 'bs3mc', 'hand-worker', 'driver', 'lmdb', 'idle'] as const
export type ContenderName = (typeof CONTENDER_NAMES)[number]

/** What a fixture is filled with. */
export interface SeedContent {
  readonly hotDocuments: number
  readonly archivedDocuments: number
  readonly bars: number
  /** In large documents, which fill a store fast; for what only Holdfast does. */
  readonly megabytes: number
}

export interface Secrets {
  /** 64 hexadecimal digits. */
  readonly rawKey: string
  readonly password: string
}

/** What resolves once the write is on disk; `undefined` says that it already is, from those who block until then. */
export type Durable = Promise<void> | undefined

export interface StoreUnderTest {
  put(document: OrderDocument): Durable
  get(id: string): OrderDocument | undefined | Promise<OrderDocument | undefined>
  /** Writes to a table of documents that nobody keeps in memory. */
  putArchived(document: OrderDocument): Durable
  /** Resolves to the number of bars once all are on disk. */
  loadBars(bars: NewBars): Promise<number>
  /** The same as documents, a row each, where `loadBars` does it otherwise. */
  loadBarRows?(bars: NewBars): Promise<number>
  /** Count, extremes, mean and sum per symbol over all bars; resolves to the number of bars seen. */
  aggregateBars(): Promise<number>
  close(): Promise<void>
}

/** One module in this folder per contender exports this as `contender`. */
export interface Contender {
  open(dir: string, secrets: Secrets): Promise<StoreUnderTest>
  /** Fills a new store, as fast as it can; never measured. Missing where `fixturesOf` names another contender. */
  seed?(dir: string, secrets: Secrets, content: SeedContent): Promise<void>
}

export interface ContenderFacts {
  readonly label: string
  /** One line for the report: what exactly is being measured. */
  readonly description: string
  /** Whose seeded stores it opens: the three on SQLCipher share a file format and a schema. */
  readonly fixturesOf: ContenderName
  /** Commits each put by itself, so its rate does not depend on how many are issued at once. */
  readonly commitsPerPut: boolean
}

export const CONTENDERS: Readonly<Record<ContenderName, ContenderFacts>> = {
  holdfast: {
    label: 'Holdfast',
    description: 'the built package as a user gets it, default options',
    fixturesOf: 'holdfast',
    commitsPerPut: false,
  },
  bs3mc: {
    label: 'bs3mc',
    description: 'better-sqlite3-multiple-ciphers on the main thread, SQLCipher 4 format, a transaction per put',
    fixturesOf: 'bs3mc',
    commitsPerPut: true,
  },
  'hand-worker': {
    label: 'hand worker',
    description: 'the same in a worker thread behind postMessage, one message per put and per ack',
    fixturesOf: 'bs3mc',
    commitsPerPut: true,
  },
  driver: {
    label: 'driver raw',
    description: '@journeyapps/sqlcipher used directly from the main thread, one prepared run per put',
    fixturesOf: 'bs3mc',
    commitsPerPut: true,
  },
  lmdb: {
    label: 'lmdb',
    description: 'lmdb-js, encrypted (ChaCha8, unauthenticated), its own batching, put resolves after the sync',
    fixturesOf: 'lmdb',
    commitsPerPut: false,
  },
  idle: {
    label: 'idle',
    description: 'the same loops around a put that does nothing: the noise floor and the cost of the loop itself',
    fixturesOf: 'idle',
    commitsPerPut: false,
  },
}

export async function loadContender(name: ContenderName): Promise<Contender> {
  const module = (await import(new URL(`./${name}.js`, import.meta.url).href)) as { contender: Contender }
  return module.contender
}
