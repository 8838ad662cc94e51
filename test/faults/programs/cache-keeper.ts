/** Stores bar after bar of a few symbols, without waiting for the ones before, until it is killed. */
import { openStore } from '../../../src/index.ts'
import { KDF, PASSWORD } from '../store-settings.ts'
import { programArguments, report } from './report.ts'

export interface CacheKeeperArguments {
  readonly dir: string
  readonly round: number
  readonly symbols: readonly string[]
  /** The first time to use, in each symbol. */
  readonly from: number
  readonly compactEveryWrites: number
}

const IN_FLIGHT = 3

const { dir, round, symbols, from, compactEveryWrites } = programArguments<CacheKeeperArguments>()
report('pid', process.pid)
const store = await openStore({
  dir,
  password: PASSWORD,
  kdf: KDF,
  sessionCache: { syncEveryMs: 0, compactEveryWrites, maxRows: 1_000_000 },
})
report('open')
await Promise.all(
  symbols.map(async (symbol, index) => {
    const pending: Promise<void>[] = []
    for (let ts = from; ; ts++) {
      const bar = { ts, open: round, high: ts, low: index, close: ts * 3, volume: 0.1 }
      report('issued', index, ts)
      const stored = store.sessionCache.storeBars(symbol, [bar]).then(() => report('durable', index, ts))
      pending.push(stored)
      if (pending.length >= IN_FLIGHT) await pending.shift()
      // A turn between calls, so that not all of them go together.
      await new Promise((resolve) => setImmediate(resolve))
    }
  }),
)
