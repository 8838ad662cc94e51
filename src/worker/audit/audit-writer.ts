/**
 * Appends to the trail inside whatever transaction its caller has begun. It keeps in memory where the chain ends; a
 * transaction that fails puts it back to its mark, and after a failure of the disk the table is asked.
 */
import { canonicalJson } from '../../crypto/canonical-json.ts'
import { StoreError } from '../../protocol/store-error.ts'
import { MAX_AUDIT_ENTRY_BYTES } from '../../schema/audit-entry.ts'
import type { JsonValue } from '../../schema/json.ts'
import type { BindValue, Row } from '../driver.ts'
import { CHAIN_START, type ChainedEntry, type ChainPosition, chainEntry } from './audit-chain.ts'

/** An entry that has no place in the chain yet. */
export interface NewAuditEntry {
  readonly at: number
  readonly actor: string
  readonly event: string
  readonly data: Readonly<Record<string, JsonValue>>
  readonly causationId: string | null
  readonly note: string | null
}

/** The connection of the one who writes, with its prepared statements. */
export interface AuditStatements {
  run(sql: string, parameters: readonly BindValue[]): Promise<unknown>
  all(sql: string, parameters: readonly BindValue[]): Promise<Row[]>
}

/** Rows per statement, largest first. */
export const AUDIT_CHUNK_ROWS = [64, 16, 4, 1] as const

export class AuditWriter {
  readonly #key: Uint8Array
  #position: ChainPosition
  #isUncertain = false

  /** `key` stays the caller's, who zeroes it when nothing more is written. */
  constructor(key: Uint8Array, position: ChainPosition) {
    this.#key = key
    this.#position = position
  }

  get position(): ChainPosition {
    return this.#position
  }

  /** To be given back to `reset` when what is appended from now on is rolled back. */
  mark(): ChainPosition {
    return this.#position
  }

  reset(mark: ChainPosition): void {
    this.#position = mark
  }

  /** The disk failed while the transaction was committed: only the table knows where the chain ends. */
  doubt(): void {
    this.#isUncertain = true
  }

  /** True when the batch of this sequence, or a later one, has appended. */
  async hasAppended(sequence: number, statements: AuditStatements): Promise<boolean> {
    await this.#settle(statements)
    return this.#position.sequence >= sequence
  }

  /** Appends the entries of one batch, as they came over the wire. */
  async appendBatch(documents: readonly string[], sequence: number, statements: AuditStatements): Promise<void> {
    await this.#append(documents.map(fromWire), sequence, statements)
  }

  /** Appends entries that are no part of a batch; returns how many, leaving out notes that are in the trail already. */
  async append(entries: readonly NewAuditEntry[], statements: AuditStatements): Promise<number> {
    const missing: NewAuditEntry[] = []
    for (const entry of entries) if (!(await this.#isTaken(entry, missing, statements))) missing.push(entry)
    await this.#append(missing, null, statements)
    return missing.length
  }

  async #isTaken({ note }: NewAuditEntry, before: readonly NewAuditEntry[], statements: AuditStatements) {
    if (note === null) return false
    if (before.some((each) => each.note === note)) return true
    return (await statements.all('SELECT 1 FROM "_audit" WHERE "note" = ?', [note])).length > 0
  }

  async #append(
    entries: readonly NewAuditEntry[],
    sequence: number | null,
    statements: AuditStatements,
  ): Promise<void> {
    await this.#settle(statements)
    let offset = 0
    while (offset < entries.length) {
      const rows = AUDIT_CHUNK_ROWS.find((size) => size <= entries.length - offset) as number
      const parameters: BindValue[] = []
      let position = this.#position
      for (const entry of entries.slice(offset, offset + rows)) {
        const data = canonicalText(entry)
        const chained = chainEntry(this.#key, position, { ...entry, data, sequence: sequence ?? position.sequence })
        position = chained
        parameters.push(...rowOf(chained))
      }
      await statements.run(insertSql(rows), parameters)
      this.#position = { id: position.id, mac: position.mac, sequence: position.sequence }
      offset += rows
    }
  }

  async #settle(statements: AuditStatements): Promise<void> {
    if (!this.#isUncertain) return
    this.#position = await readPosition((sql) => statements.all(sql, []))
    this.#isUncertain = false
  }
}

/** Where the chain in the table ends. */
export async function readPosition(query: (sql: string) => Promise<Row[]>): Promise<ChainPosition> {
  const [row] = await query('SELECT "id", "mac", "sequence" FROM "_audit" ORDER BY "id" DESC LIMIT 1')
  if (row === undefined) return CHAIN_START
  return { id: Number(row.id), mac: row.mac as Uint8Array, sequence: Number(row.sequence) }
}

type WireEntry = Omit<NewAuditEntry, 'note'>

function fromWire(document: string): NewAuditEntry {
  const { at, actor, event, data, causationId } = JSON.parse(document) as WireEntry
  return { at, actor, event, data, causationId, note: null }
}

/** @throws StoreError `INVALID_DOCUMENT` for one that is too large; whatever it explains is then not done either. */
function canonicalText({ actor, event, data, causationId }: NewAuditEntry): string {
  const text = canonicalJson(data)
  if (text.length + actor.length + event.length + (causationId?.length ?? 0) > MAX_AUDIT_ENTRY_BYTES) {
    throw new StoreError('INVALID_DOCUMENT', `An audit entry takes up to ${MAX_AUDIT_ENTRY_BYTES} bytes.`, {
      details: { event, bytes: text.length },
    })
  }
  return text.toString('utf8')
}

const COLUMNS = [
  'id',
  'at',
  'actor',
  'event',
  'data',
  'causationId',
  'note',
  'sequence',
  'previous',
  'mac',
] as const satisfies readonly (keyof ChainedEntry)[]

export const AUDIT_COLUMNS: string = COLUMNS.map((name) => `"${name}"`).join(', ')

function rowOf(entry: ChainedEntry): BindValue[] {
  return COLUMNS.map((name) => entry[name])
}

const INSERT_SQL = new Map(
  AUDIT_CHUNK_ROWS.map((rows) => {
    const values = Array(rows).fill(`(${COLUMNS.map(() => '?').join(', ')})`)
    return [rows as number, `INSERT INTO "_audit" (${AUDIT_COLUMNS}) VALUES ${values.join(', ')}`]
  }),
)

function insertSql(rows: number): string {
  return INSERT_SQL.get(rows) as string
}
