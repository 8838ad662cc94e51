import type { Command } from 'commander'
import { StoreError } from '../../index.ts'
import { counted } from '../counted.ts'
import { instantMs } from '../instant.ts'
import { withOwner, withReader } from '../open-session-store.ts'
import type { Session } from '../session.ts'
import { renderTable } from '../table.ts'
import { noSuchSeries } from './no-such-series.ts'
import { BARS } from './series-kind.ts'
import { addShowOptions, printSeries, type ShowOptions, timeText } from './show-series.ts'

interface ResampleOptions extends ShowOptions {
  readonly save?: boolean
}

export function addBarsResample(parent: Command, session: () => Session): void {
  const command = parent
    .command('resample')
    .description('bars of a longer interval: shown, plotted, or stored with --save')
    .argument('<symbol>')
    .argument('<interval>', 'of the bars there are, such as 1m')
    .argument('<target>', 'such as 1h, 1d or 1w')
    .option('--save', 'store them as bars of that interval')
  addShowOptions(command, true).action(
    async (symbol: string, interval: string, target: string, options: ResampleOptions) =>
      await resample(session(), symbol, interval, target, options),
  )
}

async function resample(
  session: Session,
  symbol: string,
  interval: string,
  target: string,
  options: ResampleOptions,
): Promise<void> {
  const { terminal } = session
  const open = options.save === true ? withOwner : withReader
  await open(session, async (store) => {
    if ((await store.bars.info(symbol, interval)) === null) throw noSuchSeries(BARS, [symbol, interval])
    const { from, to } = options
    const range = { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) }
    const bars = await store.bars.resample(symbol, { from: interval, to: target, range })
    if (options.save !== true) {
      const first = Math.max(0, bars.ts.length - (options.last ?? bars.ts.length))
      const shown = Object.fromEntries(
        Object.entries(bars).map(([name, values]) => [name, (values as Float64Array).subarray(first)]),
      )
      await printSeries(terminal, [withRows(shown, bars, first)], options)
      return
    }
    if (from !== undefined || to !== undefined || options.last !== undefined) {
      throw new StoreError(
        'INVALID_ARGUMENT',
        'A span may cut a bar in two, so --save takes none. Leave out --from, --to and --last.',
      )
    }
    const { ts, open: opens, high, low, close, volume } = bars
    const { written } = await store.bars.append(symbol, target, { ts, open: opens, high, low, close, volume })
    if (terminal.isJson) await terminal.writeJson({ bars: ts.length, written })
    else await terminal.writeLine(`${counted(ts.length, 'bar')} of ${target}, ${written.toLocaleString('en-US')} new`)
  })
}

/** For the table; not enumerable, so that it is no column. */
function withRows(shown: object, bars: { toRows(): object[] }, first: number): object {
  return Object.defineProperty(shown, 'toRows', { value: () => bars.toRows().slice(first) })
}

export function addBarsGaps(parent: Command, session: () => Session): void {
  parent
    .command('gaps')
    .description('where bars are missing')
    .argument('<symbol>')
    .argument('<interval>')
    .option('--from <time>', 'a date, a date with a time, or Unix milliseconds', instantMs)
    .option('--to <time>', 'up to there, exclusive', instantMs)
    .action(async (symbol: string, interval: string, { from, to }: ShowOptions) => {
      const { terminal } = session()
      const gaps = await withReader(session(), async (store) => {
        if ((await store.bars.info(symbol, interval)) === null) throw noSuchSeries(BARS, [symbol, interval])
        const span = { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) }
        return await store.bars.gaps(symbol, interval, span)
      })
      if (terminal.isJson) return await terminal.writeJson({ gaps })
      if (gaps.length === 0) return terminal.remark('No gaps.')
      const { text } = renderTable({
        columns: ['after', 'before', 'missing'],
        rows: gaps.map(({ after, before, missing }) => [
          { text: timeText(after) },
          { text: timeText(before) },
          { text: missing.toLocaleString('en-US'), isNumber: true },
        ]),
        width: terminal.width,
        styleHead: (head) => terminal.style('bold', head),
      })
      await terminal.writeLine(text)
    })
}
