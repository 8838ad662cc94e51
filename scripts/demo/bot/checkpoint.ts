/** How far the bot has come with a market: the last bar it has decided on, in `kv`. */
import type { DemoStore } from './demo-store.ts'

export function checkpointDocument(symbol: string, index: number) {
  return { key: checkpointKey(symbol), value: { bar: index } }
}

/** -1 before the first bar. */
export function readCheckpoint(store: DemoStore, symbol: string): number {
  const value = store.kv.value(checkpointKey(symbol))
  if (typeof value !== 'object' || value === null || !('bar' in value)) return -1
  return Number(value.bar)
}

function checkpointKey(symbol: string): string {
  return `checkpoint:${symbol}`
}
