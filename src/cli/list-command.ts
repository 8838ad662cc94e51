import { type Command, InvalidArgumentError } from 'commander'
import type { CollectionSpec } from '../index.ts'
import { collectionSpec } from './collection-specs.ts'
import { counted } from './counted.ts'
import { formatDocuments } from './document-format.ts'
import { withReader } from './open-session-store.ts'
import type { Session } from './session.ts'
import { leftOffRemark } from './sql-result.ts'
import {
  type DocumentQuery,
  type StoredCollection,
  type StoredDocument,
  storedCollection,
} from './stored-collection.ts'
import { renderTable } from './table.ts'
import { tableCell } from './table-cell.ts'
import type { Terminal } from './terminal.ts'
import { parseWhere } from './where-option.ts'
import { wholeNumber } from './whole-number.ts'

/** What a table shows unless told otherwise: a screen or two. JSON is for programs, which want everything. */
const TABLE_LIMIT = 100

interface ListOptions {
  readonly where?: readonly string[]
  readonly orderBy?: string
  readonly desc?: boolean
  readonly limit?: number | 'all'
  readonly columns?: readonly string[]
  readonly includeArchived?: boolean
}

export function addListCommand(program: Command, session: () => Session): void {
  program
    .command('list')
    .description('list documents as a table, or with --json as an array with one document a line')
    .argument('<collection>')
    .option('--where <condition>', 'such as "state=open"; may be repeated, all must hold', gather)
    .option('--order-by <field>', 'default: in the order they were written')
    .option('--desc', 'the other way round')
    .option('--limit <n>', `how many, or "all"; default ${TABLE_LIMIT} for a table, all for --json`, limit)
    .option('--include-archived', 'trades, orders and fills: also those in yearly files')
    .option('--columns <fields>', 'the fields of the table, separated by commas', fieldNames)
    .addHelpText(
      'after',
      `
Conditions: a field, one of = != > >= < <= in, and a value. Only the key and indexed fields can be asked for
(holdfast collections lists them); for everything else there is holdfast sql. Where a field holds times, a date such
as 2025-01-31 or 2025-01-31T12:00 (UTC) will do. In collections of your own a number is compared as a number by
everything but = and in, which match text too; "double quotes" make it text. null matches a missing field.

Examples:
  holdfast list orders --where state=open --where symbol=BTC/USDT
  holdfast list orders --where "state in open,partially_filled" --columns id,symbol,price
  holdfast list fills --where "filledAt>=2025-01-31" --order-by filledAt --desc --limit 20
  holdfast list trades --json | jq '.[].pnl'`,
    )
    .action(async (collection: string, options: ListOptions) => await list(session(), collection, options))
}

async function list(session: Session, name: string, options: ListOptions): Promise<void> {
  const { terminal } = session
  await withReader(session, async (store) => {
    const spec = await collectionSpec(store, name)
    const collection = storedCollection(store, name)
    const limit = options.limit ?? (terminal.isJson ? 'all' : TABLE_LIMIT)
    const query: DocumentQuery = {
      where: parseWhere(options.where ?? [], spec),
      ...(options.orderBy === undefined ? {} : { orderBy: options.orderBy }),
      order: options.desc === true ? 'desc' : 'asc',
      ...(limit === 'all' ? {} : { limit }),
      ...(options.includeArchived === true ? { includeArchived: true } : {}),
    }
    if (terminal.isJson) {
      for await (const text of formatDocuments(collection.stream(query), 'json')) await terminal.write(text)
    } else await listAsTable(collection, spec, query, options.columns, terminal)
  })
}

async function listAsTable(
  collection: StoredCollection,
  spec: CollectionSpec,
  query: DocumentQuery,
  columns: readonly string[] | undefined,
  terminal: Terminal,
): Promise<void> {
  const documents: StoredDocument[] = []
  for await (const document of collection.stream(query)) documents.push(document)
  if (documents.length > 0) await writeTable(documents, columns ?? columnsOf(documents, spec), terminal)
  const total =
    documents.length === query.limit
      ? await collection.count(query.where, { includeArchived: query.includeArchived === true })
      : documents.length
  const shown = documents.length.toLocaleString('en-US')
  if (total > documents.length) terminal.notice(`${shown} of ${counted(total, 'document')}; --limit all for all.`)
  else terminal.remark(counted(documents.length, 'document'))
}

async function writeTable(
  documents: readonly StoredDocument[],
  columns: readonly string[],
  terminal: Terminal,
): Promise<void> {
  const table = renderTable({
    columns,
    rows: documents.map((document) => columns.map((column) => tableCell(document[column]))),
    width: terminal.width,
    styleHead: (text) => terminal.style('bold', text),
  })
  await terminal.writeLine(table.text)
  if (table.leftOff.length > 0) terminal.remark(leftOffRemark(table.leftOff))
}

/** The key first, then what is asked for most, then the rest; fields that no document has take no room. */
function columnsOf(documents: readonly StoredDocument[], { key, indexes, fields }: CollectionSpec): string[] {
  const present = new Set(documents.flatMap((document) => Object.keys(document)))
  return [...new Set([key, ...indexes, ...fields, ...present])].filter((field) => present.has(field))
}

function gather(condition: string, before: readonly string[] = []): readonly string[] {
  return [...before, condition]
}

function limit(text: string): number | 'all' {
  return text === 'all' ? 'all' : wholeNumber(text)
}

function fieldNames(text: string): string[] {
  const names = text.split(',').map((name) => name.trim())
  if (names.every((name) => name !== '')) return names
  throw new InvalidArgumentError('Give names of fields, separated by commas.')
}
