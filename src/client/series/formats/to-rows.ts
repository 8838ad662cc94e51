/** One point as an object: its time and one value of each column. */
export type RowOf<C> = {
  [Name in keyof C]: C[Name] extends readonly string[]
    ? string
    : C[Name] extends Float64Array
      ? number
      : number | string
}

/**
 * Columns as an array of objects, for who works point by point. Columns are some ten times smaller and faster.
 *
 * @example
 * toRows(await store.bars.last('BTC/USDT', '1m', 3))   // [{ ts, open, high, low, close, volume }, …]
 */
export function toRows<C extends { readonly ts: Float64Array }>(columns: C): RowOf<C>[] {
  const entries = Object.entries(columns) as [string, Float64Array | readonly string[]][]
  const rows = new Array<RowOf<C>>(columns.ts.length)
  for (let i = 0; i < rows.length; i += 1) {
    const row: Record<string, number | string> = {}
    for (const [name, values] of entries) row[name] = values[i] as number | string
    rows[i] = row as RowOf<C>
  }
  return rows
}
