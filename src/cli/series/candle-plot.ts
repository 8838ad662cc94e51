/**
 * Bars as candles of block characters, a column a bar, with a scale of prices at the right, volume below and the first and last time
 * under it. Each cell shows two half rows, so that bodies end on half a character. Without colours falling bodies are full
 * and rising ones shaded.
 */
export interface CandleColumns {
  readonly ts: ArrayLike<number> & Iterable<number>
  readonly open: ArrayLike<number> & Iterable<number>
  readonly high: ArrayLike<number> & Iterable<number>
  readonly low: ArrayLike<number> & Iterable<number>
  readonly close: ArrayLike<number> & Iterable<number>
  readonly volume: ArrayLike<number> & Iterable<number>
}

export interface CandlePlotOptions {
  /** Characters, with the scale. */
  readonly width: number
  /** Lines of candles; volume and time take two more. */
  readonly height: number
  readonly rising: (text: string) => string
  readonly falling: (text: string) => string
  readonly hasColors: boolean
}

const VOLUME_LEVELS = ' ▁▂▃▄▅▆▇█'
const LABEL_EVERY = 4
const EMPTY = 0
const WICK = 1
const BODY = 2

export function renderCandles(bars: CandleColumns, options: CandlePlotOptions): string[] {
  const digits = decimalsOf(bars)
  const range = rangeOf(bars, 0, bars.ts.length)
  if (range === undefined) return ['No bars.']
  const scaleWidth = Math.max(range.max.toFixed(digits).length, range.min.toFixed(digits).length) + 2
  const room = Math.max(1, options.width - scaleWidth)
  const first = Math.max(0, bars.ts.length - room)
  const shown = rangeOf(bars, first, bars.ts.length)
  if (shown === undefined) return ['No bars.']
  const { min, max } = shown
  const lines: string[] = []
  for (let row = 0; row < options.height; row += 1) {
    let line = ''
    for (let i = first; i < bars.ts.length; i += 1) line += cellOf(bars, i, row, min, max, options)
    lines.push(line + scaleAt(row, min, max, digits, options.height))
  }
  lines.push(volumeLine(bars, first, options))
  lines.push(timeLine(bars, first))
  return lines
}

function cellOf(
  bars: CandleColumns,
  i: number,
  row: number,
  min: number,
  max: number,
  { height, rising, falling, hasColors }: CandlePlotOptions,
): string {
  const open = bars.open[i] as number
  const close = bars.close[i] as number
  const halves = [0, 1].map((half) => {
    const level = row * 2 + half
    const at = (price: number) => halfRowOf(price, min, max, height * 2)
    if (level >= at(Math.max(open, close)) && level <= at(Math.min(open, close))) return BODY
    if (level >= at(bars.high[i] as number) && level <= at(bars.low[i] as number)) return WICK
    return EMPTY
  })
  const [upper = EMPTY, lower = EMPTY] = halves
  const isRising = close >= open
  const character = characterOf(upper, lower, isRising && !hasColors)
  return character === ' ' ? ' ' : (isRising ? rising : falling)(character)
}

function characterOf(upper: number, lower: number, isShaded: boolean): string {
  if (upper === BODY || lower === BODY) {
    if (isShaded) return '▒'
    return upper === lower ? '█' : upper === BODY ? '▀' : '▄'
  }
  if (upper === EMPTY && lower === EMPTY) return ' '
  return upper === lower ? '│' : upper === WICK ? '╵' : '╷'
}

/** 0 at the top. NaN lies nowhere. */
function halfRowOf(price: number, min: number, max: number, halfRows: number): number {
  if (max === min) return halfRows >> 1
  return Math.round(((max - price) / (max - min)) * (halfRows - 1))
}

function rangeOf(bars: CandleColumns, from: number, to: number): { min: number; max: number } | undefined {
  let min = Number.POSITIVE_INFINITY
  let max = Number.NEGATIVE_INFINITY
  for (let i = from; i < to; i += 1) {
    if ((bars.low[i] as number) < min) min = bars.low[i] as number
    if ((bars.high[i] as number) > max) max = bars.high[i] as number
  }
  return Number.isFinite(min) && Number.isFinite(max) ? { min, max } : undefined
}

function scaleAt(row: number, min: number, max: number, digits: number, height: number): string {
  if (row % LABEL_EVERY !== 0 && row !== height - 1) return ' │'
  const price = height === 1 ? max : max - ((max - min) * row) / (height - 1)
  return ` ┤${price.toFixed(digits)}`
}

function volumeLine(bars: CandleColumns, first: number, { rising, falling }: CandlePlotOptions): string {
  let most = 0
  for (let i = first; i < bars.ts.length; i += 1) most = Math.max(most, (bars.volume[i] as number) || 0)
  let line = ''
  for (let i = first; i < bars.ts.length; i += 1) {
    const share = most === 0 ? 0 : ((bars.volume[i] as number) || 0) / most
    const character = VOLUME_LEVELS[Math.ceil(share * (VOLUME_LEVELS.length - 1))] ?? ' '
    const style = (bars.close[i] as number) >= (bars.open[i] as number) ? rising : falling
    line += character === ' ' ? ' ' : style(character)
  }
  return `${line} volume`
}

function timeLine(bars: CandleColumns, first: number): string {
  const label = (i: number) => new Date(bars.ts[i] as number).toISOString().replace('T', ' ').slice(0, 16)
  const from = label(first)
  const to = label(bars.ts.length - 1)
  const room = bars.ts.length - first - from.length - to.length
  return room < 1 ? `${from} – ${to}` : from + ' '.repeat(room) + to
}

/** As many decimals as the prices have, within reason. */
function decimalsOf({ close, open }: CandleColumns): number {
  let most = 0
  for (const column of [close, open]) {
    for (let i = Math.max(0, column.length - 50); i < column.length; i += 1) {
      const fraction = String(column[i]).split('.')[1] ?? ''
      if (!fraction.includes('e')) most = Math.max(most, fraction.length)
    }
  }
  return Math.min(most, 8)
}
