/** Bars by symbol, and how they get from the demo, which has read the records, to the exchanges that play them. */
import { readFile, writeFile } from 'node:fs/promises'
import type { Bar } from './bar.ts'

export type MarketData = ReadonlyMap<string, readonly Bar[]>

export async function writeMarketData(path: string, data: MarketData): Promise<void> {
  await writeFile(path, JSON.stringify([...data]))
}

export async function readMarketData(path: string): Promise<MarketData> {
  return new Map(JSON.parse(await readFile(path, 'utf8')) as [string, readonly Bar[]][])
}
