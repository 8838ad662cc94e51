/** The result, as tables that fit 80 columns. */
import CliTable from 'cli-table3'
import type { RunFigures } from '../run/bot-run.ts'
import type { DemoResult, RunName } from '../run/demo-result.ts'
import { deedsOfReconcile, lastDeed, meanwhile } from './kill-words.ts'
import { byteSize, count, counted, milliseconds, seconds } from './quantities.ts'
import type { Screen } from './screen.ts'

const STYLE = { head: [], border: [] }

export function figuresTable({ figures, documents, kills, idleGapMs }: DemoResult, screen: Screen): string {
  const table = new CliTable({
    head: ['The work', `killed ${counted(kills.length, 'time')}`, 'left alone'].map((text) =>
      screen.style('bold', text),
    ),
    colWidths: [42, 17, 17],
    colAligns: ['left', 'right', 'right'],
    style: STYLE,
  })
  const row = (title: string, figure: (run: RunFigures, name: RunName) => string) => {
    table.push([title, figure(figures.killed, 'killed'), figure(figures.uninterrupted, 'uninterrupted')])
  }
  row('Bars worked through', ({ bars }) => count(bars))
  row('Orders, fills, trades closed', (_, name) => {
    const { orders, fills, trades } = documents[name]
    return [orders, fills, trades].map(count).join(', ')
  })
  row('Processes of the bot', ({ processes }) => count(processes))
  row('Writes accepted ¹', ({ acceptedWrites }) => count(acceptedWrites))
  row('Writes durable ¹', ({ durableWrites }) => count(durableWrites))
  row('From accepted to durable, p50', ({ acks }) => milliseconds(acks.p50Ms))
  row('From accepted to durable, p99', ({ acks }) => milliseconds(acks.p99Ms))
  row('From accepted to durable, p99.9', ({ acks }) => milliseconds(acks.p999Ms))
  row("Longest gap in the bot's event loop", ({ longestGapMs }) => milliseconds(longestGapMs))
  table.push([
    'The same in an idle process beside them',
    { content: milliseconds(idleGapMs), colSpan: 2, hAlign: 'right' },
  ])
  row('Time, restarts included', (run) => seconds(run.seconds))
  return withoutInnerRules(table.toString())
}

export function killsTable({ kills }: DemoResult, screen: Screen): string {
  const table = new CliTable({
    head: ['Killed when', 'Market meanwhile', 'What reconcile did', 'Took'].map((text) => screen.style('bold', text)),
    colWidths: [28, 18, 20, 9],
    colAligns: ['left', 'left', 'left', 'right'],
    wordWrap: true,
    style: STYLE,
  })
  for (const kill of kills) {
    table.push([
      `${kill.symbol}, bar ${count(kill.bar)}:\n${lastDeed(kill)}`,
      meanwhile(kill).replaceAll(', ', ',\n'),
      deedsOfReconcile(kill).join('\n'),
      milliseconds(kill.reconciliation.durationMs),
    ])
  }
  return table.toString()
}

export function checksTable({ checks }: DemoResult, screen: Screen): string {
  const table = new CliTable({
    head: ['', 'Checked', 'Found'].map((text) => screen.style('bold', text)),
    colWidths: [4, 46, 26],
    wordWrap: true,
    style: STYLE,
  })
  for (const { title, isPassed, detail } of checks) {
    const mark = isPassed ? screen.style('green', '✓') : screen.style('red', '✗')
    table.push([mark, title, isPassed ? detail : screen.style('red', detail)])
  }
  return withoutInnerRules(table.toString())
}

export function searchNote({ search }: DemoResult): string {
  const { values, encodings, files, bytes } = search
  return [
    `Searched: ${count(files)} files, ${byteSize(bytes)}, the store's and those each kill has left, for symbols,`,
    `ids, prices, the wallet key, the password: ${count(values)} values, each in ${count(encodings)} encodings.`,
  ].join('\n')
}

/** Single lines read better without a rule between any two. */
function withoutInnerRules(table: string): string {
  const lines = table.split('\n')
  let rules = 0
  return lines.filter((line) => !line.includes('├') || ++rules === 1).join('\n')
}
