import { StoreError } from '../../index.ts'
import type { SeriesKindCommands } from './series-kind.ts'

export function noSuchSeries(kind: SeriesKindCommands, key: readonly string[]): StoreError {
  return new StoreError(
    'NOT_FOUND',
    `There are no ${kind.name === 'series' ? 'values' : kind.name} ${key.join(' ')}. holdfast series list shows what there is.`,
    { details: { key: [...key] } },
  )
}

export function noSuchBook(symbol: string): StoreError {
  return new StoreError('NOT_FOUND', `There is no order book ${symbol}. holdfast books list shows what there is.`, {
    details: { symbol },
  })
}
