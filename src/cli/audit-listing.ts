/** Entries of the audit trail as lines and tables. */
import type { AuditEntry } from '../index.ts'
import { renderTable } from './table.ts'
import { tableCell } from './table-cell.ts'
import type { Terminal } from './terminal.ts'
import { jsonText, visibleText } from './visible-text.ts'

export async function writeAuditTable(entries: readonly AuditEntry[], terminal: Terminal): Promise<void> {
  if (entries.length === 0) return
  const { text } = renderTable({
    columns: ['id', 'at', 'actor', 'event', 'cause', 'data'],
    rows: entries.map((entry) => cellsOf(entry).map(tableCell)),
    width: terminal.width,
    styleHead: (head) => terminal.style('bold', head),
  })
  await terminal.writeLine(text)
}

/** One entry a line, for those that come one by one. */
export async function writeAuditLine(entry: AuditEntry, terminal: Terminal): Promise<void> {
  if (terminal.isJson) {
    await terminal.writeJson(entry)
    return
  }
  const [id, at, actor, event, cause, data] = cellsOf(entry)
  const causeText = cause === null ? '' : ` (${cause})`
  const line = `${id}  ${at}  ${actor}  ${event}${causeText}  ${data}`
  await terminal.writeLine(visibleText(line))
}

function cellsOf({ id, at, actor, event, causationId, data }: AuditEntry) {
  return [id, new Date(at).toISOString(), actor, event, causationId, jsonText(data)] as const
}
