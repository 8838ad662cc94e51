import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'

export interface BarColumns {
  readonly ts: Float64Array
  readonly open: Float64Array
  readonly high: Float64Array
  readonly low: Float64Array
  readonly close: Float64Array
  readonly volume: Float64Array
}

/** The real bars of `btc-perp-1m.csv.gz` as columns; time stamps in milliseconds. */
export function btcBars(): BarColumns {
  const text = gunzipSync(readFileSync(new URL('./btc-perp-1m.csv.gz', import.meta.url))).toString('utf8')
  const rows = text
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => line.split(','))
  const column = (index: number) => Float64Array.from(rows, (row) => Number(row[index]))
  return {
    ts: Float64Array.from(rows, (row) => Date.parse(`${(row[0] as string).slice(0, 23).replace(' ', 'T')}Z`)),
    open: column(1),
    high: column(2),
    low: column(3),
    close: column(4),
    volume: column(5),
  }
}
