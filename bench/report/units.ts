export type Unit = 'ns' | 'µs' | 'ms' | '/s' | '×' | 'B' | 'MB' | 'MB/s'

/** Three significant digits: more would be noise. */
export function formatFigure(value: number | undefined, unit: Unit): string {
  if (value === undefined || Number.isNaN(value)) return '–'
  if (unit === 'MB') return `${formatNumber(value / 1e6)} MB`
  if (unit === 'ms' && value >= 10_000) return `${formatNumber(value / 1000)} s`
  return unit === '/s' ? `${formatNumber(value)}/s` : `${formatNumber(value)} ${unit}`
}

export function formatNumber(value: number): string {
  const size = Math.abs(value)
  if (size >= 100) return Number(value.toPrecision(3)).toLocaleString('en-US', { maximumFractionDigits: 0 })
  if (size >= 10) return value.toFixed(1)
  return value.toFixed(2)
}
