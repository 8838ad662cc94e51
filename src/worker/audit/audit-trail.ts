/**
 * The owner's side of the trail: what is recorded of the opening and the closing, notes that come in from beside, and
 * the head, which follows the table at some distance. None of it is on the way of a commit.
 */
import type { Durability } from '../../protocol/methods.ts'
import type { BuiltInAuditEvent } from '../../schema/audit-entry.ts'
import type { JsonValue } from '../../schema/json.ts'
import { type BindValue, type Connection, queryOnce, type Row } from '../driver.ts'
import { failpoint } from '../failpoint.ts'
import { type ChainPosition, hex } from './audit-chain.ts'
import { readHead, writeHead } from './audit-head.ts'
import {
  type AuditNote,
  readAuditNotes,
  removeAuditNote,
  removeWrongPasswords,
  takeWrongPasswords,
  type WrongPasswords,
} from './audit-inbox.ts'
import type { AuditKeys } from './audit-keys.ts'
import { AuditWriter, type NewAuditEntry, readPosition } from './audit-writer.ts'

const INTERVAL_MS = 1_000
/** Wrong passwords prove nothing: an entry for all of them, and not too often, or they would fill the trail. */
const WRONG_PASSWORDS_INTERVAL_MS = 10 * 60_000
const CARRY_OVER_ROWS = 500
/** What Holdfast records on its own behalf. */
const SELF = 'holdfast'
/** Notes that tell why the trail may be older than its head. */
const RESTORING: ReadonlySet<string> = new Set<BuiltInAuditEvent>(['store.restored'])

export interface AuditTrailOptions {
  readonly dir: string
  readonly keys: AuditKeys
  readonly durability: Durability
}

export interface Opening {
  readonly created: boolean
  /** A worker takes over from one that died. */
  readonly isRestart: boolean
  /** Of the file of market data; those of state record themselves. */
  readonly marketMigrations: readonly string[]
  /** Of a standby that becomes the store with this open: how far it had followed. Its head stayed with the source. */
  readonly promoted: Readonly<Record<string, JsonValue>> | undefined
}

/** The writer of the file of state, as far as the trail needs it. */
export interface AuditCommitter {
  /** Appends in a transaction of its own; durable when it resolves. */
  appendAudit(entries: readonly NewAuditEntry[]): Promise<void>
  exclusively<T>(work: () => Promise<T>): Promise<T>
}

export class AuditTrail {
  readonly writer: AuditWriter
  readonly #options: AuditTrailOptions
  #committer: AuditCommitter | undefined
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> = Promise.resolve()
  #headEntries = -1
  #wrongPasswordsAt = Number.NEGATIVE_INFINITY

  private constructor(options: AuditTrailOptions, position: ChainPosition) {
    this.#options = options
    this.writer = new AuditWriter(options.keys.chainKey, position)
  }

  /** Reads where the chain ends and records the opening, over the connection that is to become the writer. */
  static async open(connection: Connection, options: AuditTrailOptions, opening: Opening): Promise<AuditTrail> {
    const statements = {
      run: (sql: string, parameters: readonly BindValue[]) => queryOnce(connection, sql, parameters),
      all: (sql: string, parameters: readonly BindValue[]) => queryOnce(connection, sql, parameters),
    }
    const position = await readPosition((sql) => statements.all(sql, []))
    const trail = new AuditTrail(options, position)
    const inbox = await trail.#readInbox()
    const alarm = await trail.#compareWithHead(statements.all, inbox, opening.promoted !== undefined)
    // A chain never begins before its head does: without one, whoever takes both away is found out.
    if (position.id === 0) await trail.#writeHead(position)
    await connection.exec('BEGIN IMMEDIATE')
    try {
      const { writer } = trail
      if (opening.created) await writer.append([trail.#own('store.created', {})], statements)
      await carryOver(connection, writer, statements)
      await writer.append(
        [
          ...opening.marketMigrations.map((name) => trail.#own('migration.applied', { file: 'market', name })),
          trail.#own(opening.isRestart ? 'worker.restarted' : 'store.opened', { pid: process.pid }),
          ...(opening.promoted === undefined ? [] : [trail.#own('standby.promoted', opening.promoted)]),
          ...(alarm === undefined ? [] : [trail.#own('audit.alarm', alarm)]),
          ...inbox.entries,
        ],
        statements,
      )
      await connection.exec('COMMIT')
    } catch (error) {
      await connection.exec('ROLLBACK').catch(() => undefined)
      throw error
    }
    await failpoint('audit:notes-taken')
    await trail.#emptyInbox(inbox)
    return trail
  }

  start(committer: AuditCommitter): void {
    this.#committer = committer
    this.#timer = setInterval(() => {
      this.#running = this.#running.then(() => this.#tick())
    }, INTERVAL_MS)
    this.#timer.unref()
  }

  /** Takes in what waits, now: before the key of notes changes. */
  async takeIn(): Promise<void> {
    const committer = this.#committer
    if (committer === undefined) return
    const inbox = await this.#readInbox()
    if (inbox.entries.length === 0) return
    await committer.appendAudit(inbox.entries)
    await failpoint('audit:notes-taken')
    await this.#emptyInbox(inbox)
  }

  /** The last entry of this owner. Where a full disk has no room for it, its absence tells of an end out of order. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#running
    await this.takeIn().catch(() => undefined)
    await this.#committer?.appendAudit([this.#own('store.closed', { pid: process.pid })]).catch(() => undefined)
  }

  /** The last head, once the database is closed and all of it is durable. One that can't be written lags behind. */
  async finish(): Promise<void> {
    await this.#writeHead(this.writer.position).catch(() => undefined)
  }

  /** What fails here fails again a second later; the trail is none the worse, and a full disk shows in the commits. */
  async #tick(): Promise<void> {
    await this.takeIn().catch(() => undefined)
    // Without an fsync in each commit a power cut may take back what the head knows.
    if (this.#options.durability === 'full') await this.#followTable().catch(() => undefined)
  }

  async #followTable(): Promise<void> {
    if (this.writer.position.id === this.#headEntries) return
    const position = await this.#committer?.exclusively(async () => this.writer.position)
    if (position !== undefined) await this.#writeHead(position)
  }

  async #writeHead(position: ChainPosition): Promise<void> {
    const { dir, keys } = this.#options
    await writeHead(dir, keys.chainKey, keys.storeId, position)
    this.#headEntries = position.id
  }

  async #readInbox(): Promise<Inbox> {
    const { dir, keys } = this.#options
    const { notes } = await keys.withNoteKey((key) => readAuditNotes(dir, key))
    const isDue = performance.now() - this.#wrongPasswordsAt >= WRONG_PASSWORDS_INTERVAL_MS
    const wrongPasswords = isDue ? await takeWrongPasswords(dir) : undefined
    const entries: NewAuditEntry[] = notes.map(({ id, ...note }) => ({ ...note, note: id }))
    if (wrongPasswords !== undefined) entries.push(wrongPasswordsEntry(wrongPasswords))
    return { notes, wrongPasswords, entries }
  }

  async #emptyInbox({ notes, wrongPasswords }: Inbox): Promise<void> {
    const { dir } = this.#options
    for (const note of notes) await removeAuditNote(dir, note)
    if (wrongPasswords === undefined) return
    await removeWrongPasswords(dir)
    this.#wrongPasswordsAt = performance.now()
  }

  /** What is to be recorded when the head does not go with the table, which after this open it will again. */
  async #compareWithHead(
    query: (sql: string, parameters: readonly BindValue[]) => Promise<Row[]>,
    { notes }: Inbox,
    isPromoted: boolean,
  ): Promise<Readonly<Record<string, JsonValue>> | undefined> {
    const { dir, keys } = this.#options
    const { id } = this.writer.position
    const found = await readHead(dir, keys.chainKey, keys.storeId)
    const isRestored = isPromoted || notes.some(({ event }) => RESTORING.has(event))
    if (found.state !== 'valid') {
      if (id === 0 || isRestored) return undefined
      return { reason: `audit-head.json was ${found.state}, so a cut at the end would not have shown`, entries: id }
    }
    const { entries, macPrefix } = found.head
    if (entries > id) {
      if (isRestored) return undefined
      return { reason: `entries ${id + 1} to ${entries} were missing at the end`, entries: id, headEntries: entries }
    }
    if (entries === 0) return undefined
    const [row] = await query('SELECT "mac" FROM "_audit" WHERE "id" = ?', [entries])
    if (row !== undefined && hex(row.mac as Uint8Array).startsWith(macPrefix)) return undefined
    return { reason: `entry ${entries} was not the one the head was taken of`, entries: id, headEntries: entries }
  }

  #own(event: BuiltInAuditEvent, data: Readonly<Record<string, JsonValue>>): NewAuditEntry {
    return { at: Date.now(), actor: SELF, event, data, causationId: null, note: null }
  }
}

interface Inbox {
  readonly notes: readonly AuditNote[]
  readonly wrongPasswords: WrongPasswords | undefined
  readonly entries: readonly NewAuditEntry[]
}

function wrongPasswordsEntry({ id, attempts, firstAt, lastAt, isComplete }: WrongPasswords): NewAuditEntry {
  const data = { attempts, isComplete, firstAt, lastAt, verified: false }
  return { at: Date.now(), actor: 'unknown', event: 'password.wrong', data, causationId: null, note: `wrong-${id}` }
}

/** Chains what SQL has left: entries of a version without a chain, and migrations. */
async function carryOver(
  connection: Connection,
  writer: AuditWriter,
  statements: Parameters<AuditWriter['append']>[1],
): Promise<void> {
  const sql = `SELECT "id", "at", "actor", "event", "data" FROM "_auditWaiting" WHERE "id" > ? ORDER BY "id" LIMIT ${CARRY_OVER_ROWS}`
  let last = Number.MIN_SAFE_INTEGER
  let entries = 0
  for (;;) {
    const rows = await statements.all(sql, [last])
    if (rows.length === 0) break
    last = Number(rows.at(-1)?.id)
    entries += rows.filter(({ event }) => event !== 'migration.applied').length
    await writer.append(rows.map(waitingEntry), statements)
  }
  if (last !== Number.MIN_SAFE_INTEGER) await connection.exec('DELETE FROM "_auditWaiting"')
  if (entries === 0) return
  const event: BuiltInAuditEvent = 'audit.carried-over'
  const carried = { at: Date.now(), actor: SELF, event, data: { entries }, causationId: null, note: null }
  await writer.append([carried], statements)
}

function waitingEntry({ at, actor, event, data }: Row): NewAuditEntry {
  return {
    at: Number(at),
    actor: String(actor),
    event: String(event),
    data: JSON.parse(String(data)) as Readonly<Record<string, JsonValue>>,
    causationId: null,
    note: null,
  }
}
