/** Reads the trail: for its owner and for whoever looks beside it. */
import type {
  AuditFilter,
  AuditNoteRequest,
  AuditPage,
  AuditPageRequest,
  AuditStatus,
  AuditVerification,
} from '../../protocol/audit.ts'
import type { BindValue, Row } from '../driver.ts'
import { hex } from './audit-chain.ts'
import { headText, parseHead, readHead } from './audit-head.ts'
import { type AuditNoteEntry, leaveAuditNote, readAuditNotes } from './audit-inbox.ts'
import type { AuditKeys } from './audit-keys.ts'
import { verifyTrail } from './audit-verification.ts'
import { AUDIT_COLUMNS, readPosition } from './audit-writer.ts'

export interface AuditReaderOptions {
  readonly dir: string
  readonly keys: AuditKeys
  /** Asks the file of state. */
  readonly query: (sql: string, parameters: readonly BindValue[]) => Promise<Row[]>
}

export class AuditReader {
  readonly #options: AuditReaderOptions

  constructor(options: AuditReaderOptions) {
    this.#options = options
  }

  async status(): Promise<AuditStatus> {
    const { dir, keys, query } = this.#options
    const position = await readPosition((sql) => query(sql, []))
    const { notes, refused } = await keys.withNoteKey((key) => readAuditNotes(dir, key))
    return {
      entries: position.id,
      head: headText(position),
      waitingNotes: notes.length,
      refusedNotes: refused.length,
    }
  }

  async page({ filter, order, afterId, maxRows }: AuditPageRequest): Promise<AuditPage> {
    const { conditions, parameters } = filterSql(filter)
    if (afterId !== null) {
      conditions.push(order === 'asc' ? '"id" > ?' : '"id" < ?')
      parameters.push(afterId)
    }
    const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`
    const sql = `SELECT ${AUDIT_COLUMNS} FROM "_audit" ${where} ORDER BY "id" ${order === 'asc' ? 'ASC' : 'DESC'} LIMIT ?`
    const rows = await this.#options.query(sql, [...parameters, maxRows])
    return {
      json: `[${rows.map(entryJson).join(',')}]`,
      count: rows.length,
      lastId: rows.length < maxRows ? null : Number(rows.at(-1)?.id),
    }
  }

  async verify(noted: string | null): Promise<AuditVerification> {
    const { dir, keys, query } = this.#options
    const { chainKey, storeId } = keys
    const head = noted === null ? null : parseHead(noted, chainKey, storeId)
    // The head first: what is appended meanwhile makes the table longer than it, never shorter.
    const found = await readHead(dir, chainKey, storeId)
    return await verifyTrail({ key: chainKey, query }, found, head)
  }

  async leaveNote({ actor, event, data, causationId }: AuditNoteRequest): Promise<void> {
    const entry = { actor, event, data, causationId: causationId ?? undefined } as AuditNoteEntry
    await this.#options.keys.withNoteKey((key) => leaveAuditNote(this.#options.dir, key, entry))
  }
}

function filterSql({ from, to, actor, event }: AuditFilter): { conditions: string[]; parameters: BindValue[] } {
  const conditions: string[] = []
  const parameters: BindValue[] = []
  const add = (condition: string, ...values: BindValue[]) => {
    conditions.push(condition)
    parameters.push(...values)
  }
  if (from !== undefined) add('"at" >= ?', from)
  if (to !== undefined) add('"at" < ?', to)
  if (actor !== undefined) add('"actor" = ?', actor)
  if (event?.endsWith('*') === true) {
    const prefix = event.slice(0, -1)
    add('substr("event", 1, ?) = ?', prefix.length, prefix)
  } else if (event !== undefined) add('"event" = ?', event)
  return { conditions, parameters }
}

/** `data` is JSON already. */
function entryJson({ id, at, actor, event, data, causationId, note, sequence, previous, mac }: Row): string {
  const head = JSON.stringify({ id, at, actor, event }).slice(0, -1)
  const tail = JSON.stringify({
    causationId,
    note,
    sequence,
    previous: hex(previous as Uint8Array),
    mac: hex(mac as Uint8Array),
  })
  return `${head},"data":${String(data)},${tail.slice(1)}`
}
