import type { SeriesInfo } from '../../index.ts'
import { byteSize } from '../byte-size.ts'
import { renderTable } from '../table.ts'
import type { Terminal } from '../terminal.ts'
import { visibleText } from '../visible-text.ts'
import { timeText } from './show-series.ts'

export async function printSeriesList(terminal: Terminal, infos: readonly SeriesInfo[]): Promise<void> {
  if (terminal.isJson) return await terminal.writeJson({ series: infos })
  if (infos.length === 0) return terminal.remark('No series.')
  const { text } = renderTable({
    columns: ['kind', 'symbol or name', 'interval', 'points', 'first', 'last', 'size', 'bytes/point'],
    rows: infos.map(({ kind, symbol, interval, count, firstTs, lastTs, bytes }) => [
      { text: kind },
      { text: visibleText(symbol) },
      { text: interval },
      { text: count.toLocaleString('en-US'), isNumber: true },
      { text: firstTs === null ? '' : timeText(firstTs) },
      { text: lastTs === null ? '' : timeText(lastTs) },
      { text: byteSize(bytes), isNumber: true },
      { text: count === 0 ? '' : (bytes / count).toFixed(1), isNumber: true },
    ]),
    width: terminal.width,
    styleHead: (head) => terminal.style('bold', head),
  })
  await terminal.writeLine(text)
}
