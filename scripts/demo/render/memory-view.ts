/** What the store remembers besides: candles of a resampled series, and figures. */
import { renderCandles } from '../../../src/cli/series/candle-plot.ts'
import type { TradingMemory } from '../run/trading-memory.ts'
import { byteSize, count } from './quantities.ts'
import type { Screen } from './screen.ts'

const WIDTH = 78
const HEIGHT = 12

export function memoryLines(memory: TradingMemory, screen: Screen): string[] {
  const { bars, barsPerSecond, bytesPerBar, candles, candlesInterval, search, found, modelBytes, newModelBytes } =
    memory
  const plot = renderCandles(candles, {
    width: WIDTH,
    height: HEIGHT,
    rising: (text) => screen.style('green', text),
    falling: (text) => screen.style('red', text),
    hasColors: screen.hasColors,
  })
  const [best] = found
  return [
    screen.style('bold', `The last of ${count(bars)} bars of a minute, as bars of ${candlesInterval}`),
    ...plot,
    `Appended durably at ${count(Math.round(barsPerSecond))} bars/s; ${bytesPerBar.toFixed(1)} bytes a bar.`,
    `Skill found for "${search}": ${best === undefined ? 'none' : `${best.name} (${best.snippet})`}`,
    `Model of ${byteSize(modelBytes)} restored; its next version took ${byteSize(newModelBytes)} more.`,
  ]
}
