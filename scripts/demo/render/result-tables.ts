/** The result, as tables that fit 80 columns. */
import CliTable from 'cli-table3'
import type { RunFigures } from '../run/bot-run.ts'
import type { DemoResult } from '../run/demo-result.ts'
import { deedsOfReconcile, lastDeed, meanwhile } from './kill-words.ts'
import { byteSize, count, milliseconds, seconds } from './quantities.ts'
import type { Screen } from './screen.ts'

const STYLE = { head: [], border: [] }

export function figuresTable({ killed, uninterrupted, kills, idleGapMs }: DemoResult, screen: Screen): string {
  const table = new CliTable({
    head: ['The work', `killed ${count(kills.length)} ×`, 'left alone'].map((text) => screen.style('bold', text)),
    colWidths: [45, 16, 16],
    colAligns: ['left', 'right', 'right'],
    style: STYLE,
  })
  const row = (title: string, figure: (run: RunFigures) => string) => {
    table.push([title, figure(killed), figure(uninterrupted)])
  }
  row('Bars worked through', ({ bars }) => count(bars))
  row('Processes of the bot, one after the other', ({ processes }) => count(processes))
  row('Writes accepted ¹', ({ acceptedWrites }) => count(acceptedWrites))
  row('Writes durable ¹', ({ durableWrites }) => count(durableWrites))
  row('Accepted to durable, p50', ({ acks }) => milliseconds(acks.p50Ms))
  row('Accepted to durable, p99', ({ acks }) => milliseconds(acks.p99Ms))
  row('Accepted to durable, p99.9', ({ acks }) => milliseconds(acks.p999Ms))
  row('Longest gap in the event loop of the bot', ({ longestGapMs }) => milliseconds(longestGapMs))
  const idle = `${milliseconds(idleGapMs)}`
  table.push(['Longest gap in that of an idle process beside', { content: idle, colSpan: 2, hAlign: 'right' }])
  row('Time, restarts included', (run) => seconds(run.seconds))
  return withoutInnerRules(table.toString())
}

export function killsTable({ kills }: DemoResult, screen: Screen): string {
  const table = new CliTable({
    head: ['Killed at', 'While it was dead', 'What reconcile did', 'In'].map((text) => screen.style('bold', text)),
    colWidths: [29, 20, 19, 9],
    colAligns: ['left', 'left', 'left', 'right'],
    wordWrap: true,
    style: STYLE,
  })
  for (const kill of kills) {
    table.push([
      `${kill.symbol}, bar ${count(kill.bar)}\n${lastDeed(kill)}`,
      meanwhile(kill).replace(': ', ':\n'),
      deedsOfReconcile(kill).join('\n'),
      milliseconds(kill.reconciliation.durationMs),
    ])
  }
  return table.toString()
}

export function checksTable({ checks }: DemoResult, screen: Screen): string {
  const table = new CliTable({
    head: ['', 'Checked', 'Found'].map((text) => screen.style('bold', text)),
    colWidths: [4, 45, 28],
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
    `Searched: ${count(files)} files, ${byteSize(bytes)}, those each kill has left among them, for symbols,`,
    `ids, prices, the wallet key and the password, ${count(values)} values in ${count(encodings)} encodings.`,
  ].join('\n')
}

/** Single lines read better without a rule between any two. */
function withoutInnerRules(table: string): string {
  const lines = table.split('\n')
  let rules = 0
  return lines.filter((line) => !line.includes('├') || ++rules === 1).join('\n')
}
