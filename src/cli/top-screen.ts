/** A frame as lines that fit a window: what is most urgent first, and as much of the collections as there is room for. */
import { byteSize } from './byte-size.ts'
import { counted } from './counted.ts'
import { displayWidth } from './display-width.ts'
import type { StoreOwner } from './store-owner.ts'
import { renderTable } from './table.ts'
import { tableCell } from './table-cell.ts'
import type { Terminal } from './terminal.ts'
import type { TopFrame } from './top-frame.ts'
import type { OwnerFigures } from './top-owner-figures.ts'
import { visibleText } from './visible-text.ts'

export interface Window {
  readonly columns: number
  readonly rows: number
}

type Tone = 'plain' | 'warning' | 'error'
type Style = Terminal['style']

interface Fact {
  readonly name: string
  readonly text: string
  readonly tone?: Tone
}

const NAME_WIDTH = 11
const LEAST_TABLE_COLUMNS = 20
const LARGE_LOG_BYTES = 64 * 1_024 * 1_024
const MANY_DAYS = 14
const LONG_WAIT_MS = 5_000
const LONG_LAG_MS = 60_000

export function topScreen(frame: TopFrame, { columns, rows }: Window, style: Style): string[] {
  const facts = factsOf(frame).map((fact) => factLine(fact, columns, style))
  const lines = [titleLine(frame, columns, style), ...facts]
  if (columns >= LEAST_TABLE_COLUMNS) {
    lines.push('', ...fileTable(frame, columns, style))
    if (frame.collections.length > 0) lines.push('', ...collectionTable(frame, columns, style))
  }
  return lines.slice(0, rows)
}

function titleLine({ dir, at }: TopFrame, columns: number, style: Style): string {
  const time = `${at.slice(0, 10)} ${at.slice(11, 19)}Z`
  const room = columns - time.length - 2
  if (room < 12) return style('bold', cut(`holdfast ${visibleText(dir)}`, columns))
  const title = cut(`holdfast ${visibleText(dir)}`, room)
  const gap = Number.isFinite(columns) ? ' '.repeat(columns - displayWidth(title) - time.length) : '  '
  return style('bold', `${title}${gap}${time}`)
}

function factsOf(frame: TopFrame): Fact[] {
  const { owner, disk, growth, audit, migrations, lastBackupAtMs, ownerFigures, metricsProblem } = frame
  const now = Date.parse(frame.at)
  const { bytesPerDay, daysUntilDiskFull } = growth
  const log = Math.max(...frame.files.map(({ walBytes }) => walBytes))
  return [
    { name: 'owner', text: ownerText(owner, now), tone: owner?.state === 'running' ? 'plain' : 'warning' },
    ...(ownerFigures === null ? [unknownFact(metricsProblem)] : ownerFacts(ownerFigures, frame.perSecond, now)),
    {
      name: 'disk',
      text: `${byteSize(disk.freeBytes)} free of ${byteSize(disk.totalBytes)}${
        daysUntilDiskFull === null ? '' : `, ${Math.floor(daysUntilDiskFull).toLocaleString('en-US')} days until full`
      }`,
      tone: daysUntilDiskFull !== null && daysUntilDiskFull < MANY_DAYS ? 'warning' : 'plain',
    },
    { name: 'growth', text: bytesPerDay === null ? 'not known yet' : `${signed(bytesPerDay)} a day` },
    ...(log > LARGE_LOG_BYTES
      ? [{ name: 'log', text: `${byteSize(log)}: a reader that never ends?`, tone: 'warning' as const }]
      : []),
    {
      name: 'keys',
      text: `data key ${span(now - frame.keys.dataKeyCreatedAtMs)} old, ${counted(frame.keys.slots, 'slot')}${frame.keys.isRotating ? ', being rotated' : ''}`,
    },
    {
      name: 'backup',
      text: lastBackupAtMs === null ? 'none recorded' : `${span(now - lastBackupAtMs)} ago`,
      tone: lastBackupAtMs === null ? 'warning' : 'plain',
    },
    {
      name: 'audit',
      text: `${audit.entries.toLocaleString('en-US')} entries, ${audit.waitingNotes} notes wait${
        audit.refusedNotes === 0 ? '' : `, ${audit.refusedNotes} are not authentic`
      }`,
      tone: audit.refusedNotes === 0 ? 'plain' : 'error',
    },
    { name: 'migrations', text: `${migrations.applied}, last ${visibleText(migrations.last ?? 'none')}` },
  ]
}

function unknownFact(problem: string | null): Fact {
  if (problem !== null) return { name: 'queue', text: `not known: ${visibleText(problem)}`, tone: 'warning' }
  return { name: 'queue', text: 'known to the owner alone: --metrics http://127.0.0.1:9477' }
}

function ownerFacts(figures: OwnerFigures, perSecond: TopFrame['perSecond'], now: number): Fact[] {
  const { queues, failedOperations, workerRestarts, archive, lastCheck } = figures
  const bytes = queues.state.bytes + queues.market.bytes
  const oldestMs = Math.max(queues.state.oldestAgeMs, queues.market.oldestAgeMs)
  const facts: Fact[] = [
    {
      name: 'queue',
      text: `state ${queues.state.operations}, market ${queues.market.operations}, ${byteSize(bytes)}, oldest ${span(oldestMs)}`,
      tone: oldestMs > LONG_WAIT_MS ? 'error' : 'plain',
    },
    {
      name: 'writes',
      text: `${
        perSecond === null
          ? `${figures.durableOperations.toLocaleString('en-US')} durable`
          : `${rate(perSecond.durableOperations)} durable/s in ${rate(perSecond.commits)} commits/s`
      }, ${failedOperations} failed, ${workerRestarts} worker restarts`,
      tone: workerRestarts > 0 ? 'warning' : 'plain',
    },
    { name: 'readers', text: `${figures.readsActive} at work, ${figures.readsWaiting} wait` },
  ]
  if (archive !== null) {
    facts.push({
      name: 'archive',
      text: `${archive.isFailing ? 'can not be written, ' : ''}${span(archive.lagMs)} and ${byteSize(archive.lagBytes)} behind`,
      tone: archive.isFailing ? 'error' : archive.lagMs > LONG_LAG_MS ? 'warning' : 'plain',
    })
  }
  if (lastCheck !== null) {
    const { atMs, errors, warnings } = lastCheck
    facts.push({
      name: 'check',
      text: `${errors} errors, ${warnings} warnings, ${span(now - atMs)} ago`,
      tone: errors > 0 ? 'error' : warnings > 0 ? 'warning' : 'plain',
    })
  }
  return facts
}

function ownerText(owner: StoreOwner | null, now: number): string {
  if (owner === null) return 'none so far'
  const { pid, hostname, since, state } = owner
  const who = `process ${pid} on ${visibleText(hostname)}`
  if (state === 'stopped') return `none now; last was ${who}`
  return `${who} for ${span(now - Date.parse(since))}${state === 'running' ? '' : ', perhaps'}`
}

function factLine({ name, text, tone = 'plain' }: Fact, columns: number, style: Style): string {
  const label = cut(name.padEnd(NAME_WIDTH), columns)
  const value = cut(text, Math.max(0, columns - NAME_WIDTH))
  const toned = tone === 'plain' ? value : style(tone === 'error' ? 'red' : 'yellow', value)
  return `${style('dim', label)}${toned}`
}

function fileTable({ files }: TopFrame, columns: number, style: Style): string[] {
  return tableLines(
    ['file', 'size', 'free in it', 'log'],
    files.map(({ name, databaseBytes, freeBytes, walBytes }) => [
      name,
      byteSize(databaseBytes),
      freeBytes === null ? '' : byteSize(freeBytes),
      byteSize(walBytes),
    ]),
    columns,
    style,
  )
}

function collectionTable({ collections }: TopFrame, columns: number, style: Style): string[] {
  return tableLines(
    ['collection', 'size', 'a day', 'file'],
    collections.map(({ name, file, bytes, bytesPerDay }) => [
      name,
      byteSize(bytes),
      bytesPerDay === null ? '' : signed(bytesPerDay),
      `${file}.db`,
    ]),
    columns,
    style,
  )
}

function tableLines(columns: string[], rows: string[][], width: number, style: Style): string[] {
  const { text } = renderTable({
    columns,
    rows: rows.map((row) => row.map((value) => tableCell(value))),
    width: Number.isFinite(width) ? width : undefined,
    styleHead: (head) => style('bold', head),
  })
  return text.split('\n')
}

function cut(text: string, columns: number): string {
  if (displayWidth(text) <= columns) return text
  let kept = ''
  for (const character of text) {
    if (displayWidth(kept + character) >= columns) break
    kept += character
  }
  return columns < 1 ? '' : `${kept}…`
}

function signed(bytes: number): string {
  return bytes < 0 ? `-${byteSize(-bytes)}` : byteSize(bytes)
}

function rate(perSecond: number): string {
  return perSecond >= 10 ? Math.round(perSecond).toLocaleString('en-US') : perSecond.toFixed(1)
}

const SPANS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
] as const

/** A clock that was set back makes none negative. */
function span(ms: number): string {
  for (const [unit, unitMs] of SPANS) if (ms >= 2 * unitMs) return `${Math.floor(ms / unitMs)} ${unit}`
  return `${(Math.max(0, ms) / 1_000).toFixed(ms < 10_000 ? 1 : 0)} s`
}
