/** The real one-minute bars of the tests as columns, and any number of them one after the other. */
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'

export const REAL_BARS_FILE = 'test/data/btc-perp-1m.csv.gz'

const NAMES = ['ts', 'open', 'high', 'low', 'close', 'volume'] as const
export type BarColumns = Record<(typeof NAMES)[number], Float64Array>

const MINUTE_MS = 60_000
const START_MS = 1_577_836_800_000

export function realBars(): BarColumns {
  const text = gunzipSync(readFileSync(new URL(`../${REAL_BARS_FILE}`, import.meta.url))).toString('utf8')
  const [, ...lines] = text.trim().split('\n')
  const columns = newColumns(lines.length)
  for (const [index, line] of lines.entries()) {
    const fields = line.split(',')
    columns.ts[index] = Date.parse(`${(fields[0] as string).slice(0, 23).replace(' ', 'T')}Z`)
    for (const [column, name] of NAMES.entries()) if (column > 0) columns[name][index] = Number(fields[column])
  }
  return columns
}

/** Without a gap in time. */
export function repeatedBars(count: number): BarColumns {
  const real = realBars()
  const columns = newColumns(count)
  for (let index = 0; index < count; index++) {
    const from = index % real.ts.length
    for (const name of NAMES) columns[name][index] = real[name][from] as number
    columns.ts[index] = START_MS + index * MINUTE_MS
  }
  return columns
}

function newColumns(count: number): BarColumns {
  return Object.fromEntries(NAMES.map((name) => [name, new Float64Array(count)])) as BarColumns
}
