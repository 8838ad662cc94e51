/**
 * The one writer of a database file. A batch is one transaction and one fsync. The fast path groups documents into
 * multi-row statements; when anything in it fails the transaction is rolled back whole and the same operations come
 * again unit by unit, each inside a savepoint.
 *
 * A batch that is a single statement commits by itself: three round trips through libuv's pool less.
 */

import { AUDIT_COLLECTION } from '../protocol/audit.ts'
import type {
  Batch,
  CommitResult,
  Segment,
  UnitBatch,
  UnitCommitResult,
  UnitFailure,
  WireOperation,
  Witness,
} from '../protocol/batch.ts'
import { type LatencyCounts, LatencyHistogram } from '../protocol/latency-histogram.ts'
import type { AppliedRequest, AppliedResult } from '../protocol/methods.ts'
import { deserializeError, type SerializedError, StoreError, serializeError } from '../protocol/store-error.ts'
import type { BuiltInAuditEvent } from '../schema/audit-entry.ts'
import type { DatabaseFile } from '../schema/database-file.ts'
import type { CollectionSpec } from '../schema/define-collection.ts'
import type { JsonValue } from '../schema/json.ts'
import type { ChainPosition } from './audit/audit-chain.ts'
import { AUDIT_CHUNK_ROWS, type AuditStatements, type AuditWriter, type NewAuditEntry } from './audit/audit-writer.ts'
import { type BindValue, type Connection, DriverError, type queryOnce } from './driver.ts'
import { failpoint } from './failpoint.ts'
import { toStoreError } from './io-error.ts'
import { quoteName, quoteText } from './quote.ts'
import type { SealedFields } from './sealed-fields.ts'
import { StatementCache } from './statement-cache.ts'
import { databasePath } from './store-files.ts'
import { eraseWalTail } from './wal-tail.ts'
import { deleteSql, insertSql, putSql, statementRows } from './write-sql.ts'

/** More than can be under way at once. */
const REMEMBERED_OUTCOMES = 8

export interface CommitterOptions {
  readonly connection: Connection
  readonly collections: ReadonlyMap<string, CollectionSpec>
  readonly sealedFields: SealedFields
  readonly dir: string
  readonly file: DatabaseFile
  /** Null for a file without a trail. */
  readonly audit: AuditWriter | null
  /** Hears of every transaction, on both sides of it and synchronously; null without continuous archiving. */
  readonly observer: CommitObserver | null
}

/** Statements that stay prepared, on the connection of a transaction. */
export interface TransactionStatements extends AuditStatements {
  /** Appends to the audit trail: durable with the transaction, or absent with it. */
  audit(records: readonly AuditRecord[]): Promise<void>
}

export interface CommitObserver {
  committing(sequence: number | null, atMs: number): void
  committed(): void
  /** After what was committed between two transactions, such as pages that upkeep has moved or encrypted anew. */
  committedAside(): void
}

export interface ReplacedConnection {
  readonly connection: Connection
  readonly failure?: unknown
}

export interface CommitterStatus {
  readonly commits: number
  readonly commitMs: number
  readonly commitLatency: LatencyCounts
}

/** What the store itself records: one of the events in `src/schema/audit-entry.ts`. */
export interface AuditRecord {
  readonly actor: string
  readonly event: BuiltInAuditEvent
  readonly data: Readonly<Record<string, JsonValue>>
}

export class Committer {
  #connection: Connection
  #statements: StatementCache
  readonly #collections: ReadonlyMap<string, CollectionSpec>
  readonly #sealedFields: SealedFields
  readonly #dir: string
  readonly #walPath: string
  readonly #audit: AuditWriter | null
  readonly #auditStatements: AuditStatements = {
    run: (sql, parameters) => this.#run(sql, parameters),
    all: (sql, parameters) => this.#query(sql, parameters),
  }
  readonly #transactionStatements: TransactionStatements = {
    ...this.#auditStatements,
    audit: async (records) => {
      await this.#trail().append(records.map(auditEntry), this.#auditStatements)
    },
  }
  readonly #observer: CommitObserver | null
  #tail: Promise<unknown> = Promise.resolve()
  #waiting = 0
  #onWaiting: (() => void) | undefined
  #lastSequence = 0
  /** A connection that has met a damaged page fails in other words from then on; the first answer stays the answer. */
  #damage: StoreError | undefined
  /**
   * What became of the last batches, for a client that asks because it could not wait for the answer. What the tables
   * say tells less: a later batch may have written the same document, or deleted it.
   */
  readonly #outcomes = new Map<number, AppliedResult>()
  /** The batch that met a conflict and comes again unit by unit; later ones must not overtake it. */
  #awaitedUnits: number | null = null
  /** True after a transaction that the disk failed, until its frames are erased. */
  #hasRefusedFrames = false
  #commits = 0
  #commitMs = 0
  readonly #latency = new LatencyHistogram()

  constructor(options: CommitterOptions) {
    this.#connection = options.connection
    this.#statements = new StatementCache(options.connection)
    this.#collections = options.collections
    this.#sealedFields = options.sealedFields
    this.#dir = options.dir
    this.#audit = options.audit
    this.#observer = options.observer
    this.#walPath = `${databasePath(options.dir, options.file)}-wal`
  }

  get status(): CommitterStatus {
    return { commits: this.#commits, commitMs: this.#commitMs, commitLatency: this.#latency.counted }
  }

  /** Of the last batch that was applied here; null before there was one. */
  get lastSequence(): number | null {
    return this.#lastSequence === 0 ? null : this.#lastSequence
  }

  commit(batch: Batch): Promise<CommitResult> {
    return this.exclusively(() => this.#remembering(batch.sequence, () => this.#commitFast(batch)))
  }

  commitUnits(batch: UnitBatch): Promise<UnitCommitResult> {
    return this.exclusively(() => this.#remembering(batch.sequence, () => this.#commitByUnit(batch)))
  }

  wasApplied(request: AppliedRequest): Promise<AppliedResult> {
    return this.exclusively(() => this.#wasApplied(request))
  }

  /** Appends an entry to the audit trail in a transaction of its own; durable when it resolves. */
  async audit(record: AuditRecord): Promise<void> {
    await this.appendAudit([auditEntry(record)])
  }

  /** Appends entries in a transaction of their own, those apart that were made from a note already taken in. */
  appendAudit(entries: readonly NewAuditEntry[]): Promise<void> {
    return this.exclusively(async () => {
      try {
        if (this.#damage !== undefined) throw this.#damage
        await this.#inTransaction(null, async () => {
          await this.#trail().append(entries, this.#auditStatements)
        })
        this.#commits += 1
      } catch (error) {
        throw await toStoreError(error, this.#dir)
      }
    })
  }

  /** True while anything uses the connection or waits for it. */
  get isBusy(): boolean {
    return this.#waiting > 0
  }

  /**
   * Runs work of the store's upkeep on the writer's connection, while no commit is under way. `onWaiting` is called when
   * something comes to wait for it.
   */
  maintain<T>(work: (connection: Connection) => Promise<T>, onWaiting?: () => void): Promise<T> {
    return this.exclusively(async () => {
      this.#onWaiting = onWaiting
      if (this.#waiting > 1) onWaiting?.()
      try {
        const result = await work(this.#connection)
        this.#observer?.committedAside()
        return result
      } finally {
        this.#onWaiting = undefined
      }
    })
  }

  /** Runs `work` as one transaction of the store's upkeep on the writer's connection, between commits. */
  transact<T>(work: (connection: Connection, statements: TransactionStatements) => Promise<T>): Promise<T> {
    return this.exclusively(async () => {
      if (this.#damage !== undefined) throw this.#damage
      try {
        if (this.#hasRefusedFrames) await this.#eraseRefusedFrames()
        let result: T | undefined
        await this.#inTransaction(null, async () => {
          result = await work(this.#connection, this.#transactionStatements)
        })
        this.#commits += 1
        return result as T
      } catch (error) {
        throw await toStoreError(error, this.#dir)
      }
    })
  }

  /**
   * Runs `work` on the writer's connection while no commit is under way, and goes on with the connection it gives back;
   * `failure` is what came of the work. Without a connection nothing can be written any more.
   */
  async replaceConnection(work: (connection: Connection) => Promise<ReplacedConnection>): Promise<void> {
    await this.exclusively(async () => {
      await this.#statements.clear()
      try {
        const { connection, failure } = await work(this.#connection)
        this.#connection = connection
        this.#statements = new StatementCache(connection)
        if (failure === undefined) {
          this.#observer?.committedAside()
          return
        }
        this.#hasRefusedFrames = true
        throw failure
      } catch (error) {
        const reason = await toStoreError(error, this.#dir)
        if (!this.#hasRefusedFrames) this.#damage = reason
        throw reason
      }
    })
  }

  /** Runs `work` while no commit is under way; commits that arrive meanwhile wait in order. */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    this.#waiting += 1
    this.#onWaiting?.()
    const result = this.#tail.then(work).finally(() => {
      this.#waiting -= 1
    })
    this.#tail = result.catch(() => undefined)
    return result
  }

  async close(): Promise<void> {
    await this.exclusively(async () => {
      await this.#statements.clear()
      await this.#connection.close().catch((error: unknown) => {
        // One that could not be replaced is closed already.
        if (this.#damage === undefined) throw error
      })
    })
  }

  async #remembering<T>(sequence: number, work: () => Promise<T>): Promise<T> {
    if (this.#damage !== undefined) throw this.#damage
    try {
      if (this.#hasRefusedFrames) await this.#eraseRefusedFrames()
      return await work()
    } catch (error) {
      if (error instanceof StoreError && error.code === 'STORE_CORRUPT') this.#damage = error
      if (!this.#outcomes.has(sequence)) this.#remember(sequence, { applied: false, error: serializeError(error) })
      throw error
    }
  }

  #remember(sequence: number, outcome: AppliedResult): void {
    this.#outcomes.set(sequence, outcome)
    if (this.#outcomes.size <= REMEMBERED_OUTCOMES) return
    for (const oldest of this.#outcomes.keys()) {
      this.#outcomes.delete(oldest)
      return
    }
  }

  async #commitFast(batch: Batch): Promise<CommitResult> {
    if (this.#awaitedUnits !== null && batch.sequence > this.#awaitedUnits) return { outcome: 'deferred' }
    this.#assertNext(batch.sequence)
    const startedAt = performance.now()
    const now = Date.now()
    try {
      const [only, second] = batch.segments
      if (only !== undefined && second === undefined && batch.witness !== null && this.#isOneStatement(only)) {
        const mark = this.#audit?.mark()
        this.#observer?.committing(batch.sequence, now)
        await this.#writeSegment(only, batch.sequence, now).catch((error) => this.#withdraw(error, mark))
        this.#observer?.committed()
      } else {
        await this.#inTransaction(batch.sequence, async () => {
          await failpoint('commit:begun')
          for (const segment of batch.segments) await this.#writeSegment(segment, batch.sequence, now)
          if (batch.witness === null) await this.#recordBatch(batch.sequence, [], null)
          await failpoint('commit:before-commit')
        })
      }
    } catch (error) {
      if (isConflict(error)) {
        this.#awaitedUnits = batch.sequence
        return { outcome: 'conflict' }
      }
      throw await toStoreError(error, this.#dir)
    }
    this.#applied(batch.sequence, startedAt, [])
    await failpoint('commit:after-commit')
    return { outcome: 'committed' }
  }

  #isOneStatement(segment: Segment): boolean {
    if (segment.collection === AUDIT_COLLECTION) {
      return (AUDIT_CHUNK_ROWS as readonly number[]).includes(segment.keys.length)
    }
    const spec = this.#spec(segment.collection)
    return statementRows(segment.keys.length) === segment.keys.length && spec.sealed.length === 0
  }

  async #commitByUnit(batch: UnitBatch): Promise<UnitCommitResult> {
    this.#assertNext(batch.sequence)
    if (this.#awaitedUnits === batch.sequence) this.#awaitedUnits = null
    const startedAt = performance.now()
    const resumed = await this.#unitProgress(batch.sequence)
    if (resumed !== null) return await this.#commitEachUnitAlone(batch, resumed, startedAt)
    const failures: UnitFailure[] = []
    try {
      await this.#inTransaction(batch.sequence, async () => {
        for (const [index, unit] of batch.units.entries()) {
          const error = await this.#tryUnit(unit, batch.sequence)
          if (error !== null) failures.push({ unit: index, error })
        }
        await this.#recordBatch(batch.sequence, failures, null)
        await failpoint('units:before-commit')
      })
    } catch (error) {
      if (!(error instanceof DriverError) || error.code !== 'CONSTRAINT') throw await toStoreError(error, this.#dir)
      return await this.#commitEachUnitAlone(batch, { unitsDone: 0, failures: [] }, startedAt)
    }
    this.#applied(batch.sequence, startedAt, failures)
    await failpoint('units:after-commit')
    return { failures }
  }

  /**
   * A deferred constraint this module knows nothing of, such as one from a user's migration, shows up only at COMMIT.
   * A transaction for each unit finds the one at fault. Each records how far the batch has come, so that the same
   * batch sent again after a crash goes on behind it.
   */
  async #commitEachUnitAlone(batch: UnitBatch, from: UnitProgress, startedAt: number): Promise<UnitCommitResult> {
    const failures = [...from.failures]
    for (let index = from.unitsDone; index < batch.units.length; index++) {
      const unit = batch.units[index] as readonly WireOperation[]
      try {
        if (index > from.unitsDone) await failpoint('units:between')
        const refusal = await this.#commitUnitAlone(unit, batch.sequence, { unitsDone: index + 1, failures })
        if (refusal !== null) failures.push({ unit: index, error: refusal })
      } catch (error) {
        // Units before this one are durable and must not be reported as failed; those behind it have not been tried.
        const serialized = serializeError(error)
        for (let rest = index; rest < batch.units.length; rest++) failures.push({ unit: rest, error: serialized })
        break
      }
    }
    this.#applied(batch.sequence, startedAt, failures)
    await this.#inTransaction(batch.sequence, () => this.#recordBatch(batch.sequence, failures, null)).catch(
      ignoreDriverError,
    )
    return { failures }
  }

  async #commitUnitAlone(
    unit: readonly WireOperation[],
    sequence: number,
    progress: UnitProgress,
  ): Promise<SerializedError | null> {
    try {
      await this.#inTransaction(sequence, async () => {
        const error = await this.#tryUnit(unit, sequence)
        if (error !== null) throw deserializeError(error)
        await this.#recordBatch(sequence, progress.failures, progress.unitsDone)
      })
      return null
    } catch (error) {
      if (!isConflict(error)) throw await toStoreError(error, this.#dir)
      return serializeError(await toStoreError(error, this.#dir))
    }
  }

  /** How far a batch sent before a crash had come, or null when it was not begun unit by unit. */
  async #unitProgress(sequence: number): Promise<UnitProgress | null> {
    const recorded = await this.#recordedBatch()
    if (recorded.sequence !== sequence || recorded.unitsDone === null) return null
    return { unitsDone: recorded.unitsDone, failures: recorded.failures }
  }

  /** Null when the unit is written; otherwise its error, with nothing of it left. */
  async #tryUnit(unit: readonly WireOperation[], sequence: number): Promise<SerializedError | null> {
    const now = Date.now()
    const mark = this.#audit?.mark()
    await this.#run('SAVEPOINT unit')
    try {
      for (const operation of unit) await this.#writeOperation(operation, sequence, now)
      for (const operation of unit) await this.#assertReferences(operation)
      await this.#run('RELEASE unit')
      return null
    } catch (error) {
      if (!(error instanceof StoreError) && !isConflict(error)) throw error
      if (mark !== undefined) this.#audit?.reset(mark)
      await this.#run('ROLLBACK TO unit')
      await this.#run('RELEASE unit')
      return serializeError(await toStoreError(error, this.#dir))
    }
  }

  async #wasApplied({ sequence, witness, later }: AppliedRequest): Promise<AppliedResult> {
    const known = this.#outcomes.get(sequence)
    if (known !== undefined) return known
    const recorded = await this.#recordedBatch()
    if (recorded.sequence === sequence && recorded.unitsDone === null)
      return { applied: true, failures: recorded.failures }
    if (recorded.sequence > sequence) return { applied: true, failures: [] }
    const witnesses = witness === null ? later : [{ sequence, witness }, ...later]
    for (const each of witnesses) {
      if (await this.#isProven(each.sequence, each.witness)) return { applied: true, failures: [] }
    }
    return { applied: false }
  }

  async #isProven(sequence: number, { collection, key }: Witness): Promise<boolean> {
    if (collection === AUDIT_COLLECTION) return await this.#trail().hasAppended(sequence, this.#auditStatements)
    const table = quoteName(this.#spec(collection).name)
    const [row] = await this.#query(`SELECT "_sequence" AS "sequence" FROM ${table} WHERE "_key" = ?`, [key])
    return row !== undefined && Number(row.sequence) >= sequence
  }

  #assertNext(sequence: number): void {
    if (sequence <= this.#lastSequence) {
      throw new StoreError('INTERNAL', 'A batch came out of order. Please report it.', {
        details: { sequence, lastSequence: this.#lastSequence },
      })
    }
  }

  #applied(sequence: number, startedAt: number, failures: readonly UnitFailure[]): void {
    this.#remember(sequence, { applied: true, failures })
    this.#lastSequence = sequence
    this.#commits += 1
    const durationMs = performance.now() - startedAt
    this.#commitMs += durationMs
    this.#latency.record(durationMs)
  }

  /** `sequence` is null for what is no batch. */
  async #inTransaction(sequence: number | null, work: () => Promise<void>): Promise<void> {
    if (this.#hasRefusedFrames) await this.#eraseRefusedFrames()
    this.#observer?.committing(sequence, Date.now())
    const mark = this.#audit?.mark()
    await this.#run('BEGIN IMMEDIATE')
    try {
      await work()
      await this.#run('COMMIT')
      this.#observer?.committed()
    } catch (error) {
      await this.#rollBack()
      await this.#withdraw(error, mark)
    }
  }

  /** Throws `error` on, once what a failed disk has left of its transaction can't come back. */
  async #withdraw(error: unknown, mark: ChainPosition | undefined): Promise<never> {
    if (mark !== undefined) this.#audit?.reset(mark)
    if (error instanceof DriverError && error.code !== 'CONSTRAINT') {
      this.#audit?.doubt()
      this.#hasRefusedFrames = true
      // When this fails too it is tried again before the next commit.
      await this.#eraseRefusedFrames().catch(() => undefined)
    }
    throw error
  }

  async #eraseRefusedFrames(): Promise<void> {
    try {
      const [row] = await this.#query('PRAGMA wal_checkpoint(NOOP)', [])
      await eraseWalTail(this.#walPath, Number(row?.log))
      this.#hasRefusedFrames = false
    } catch (error) {
      throw await toStoreError(error, this.#dir)
    }
  }

  /** SQLite has already rolled back after a full disk or an I/O error; a second ROLLBACK is then an error of no interest. */
  async #rollBack(): Promise<void> {
    await this.#run('ROLLBACK').catch(ignoreDriverError)
  }

  async #writeSegment(segment: Segment, sequence: number, now: number): Promise<void> {
    if (segment.collection === AUDIT_COLLECTION) {
      await this.#trail().appendBatch(segment.documents, sequence, this.#auditStatements)
      return
    }
    const spec = this.#spec(segment.collection)
    if (segment.ifVersion !== null || spec.sealed.length > 0) {
      for (let index = 0; index < segment.keys.length; index++) {
        const operation: WireOperation = {
          collection: segment.collection,
          kind: segment.kind,
          key: segment.keys[index] as string,
          json: segment.documents[index] ?? null,
          ifVersion: segment.ifVersion,
        }
        await this.#writeOperation(operation, sequence, now)
      }
      return
    }
    let offset = 0
    while (offset < segment.keys.length) {
      const rows = statementRows(segment.keys.length - offset)
      if (segment.kind === 'delete') {
        await this.#run(deleteSql(spec, rows), segment.keys.slice(offset, offset + rows))
      } else {
        const parameters: BindValue[] = [now, sequence]
        for (let index = offset; index < offset + rows; index++) {
          parameters.push(segment.keys[index] as string, segment.documents[index] as string)
        }
        await this.#run(segment.kind === 'put' ? putSql(spec, rows) : insertSql(spec, rows), parameters)
      }
      offset += rows
    }
  }

  /** One operation by itself, with its own precise error. */
  async #writeOperation(operation: WireOperation, sequence: number, now: number): Promise<void> {
    if (operation.collection === AUDIT_COLLECTION) {
      await this.#trail().appendBatch([operation.json as string], sequence, this.#auditStatements)
      return
    }
    const spec = this.#spec(operation.collection)
    const { kind, key, ifVersion } = operation
    if (kind === 'insert' || ifVersion !== null) {
      const version = await this.#storedVersion(spec, key)
      if (kind === 'insert' && version !== 0) throw alreadyExists(spec, key)
      if (ifVersion !== null && version !== ifVersion) throw versionConflict(spec, key, ifVersion, version)
    }
    if (kind === 'delete') {
      await this.#run(deleteSql(spec, 1), [key])
      return
    }
    const json =
      spec.sealed.length === 0
        ? (operation.json as string)
        : this.#sealedFields.seal(spec, key, operation.json as string, await this.#storedDocument(spec, key))
    try {
      await this.#run(putSql(spec, 1), [now, sequence, key, json])
    } catch (error) {
      if (error instanceof DriverError && error.code === 'CONSTRAINT') throw await this.#explain(spec, key, json, error)
      throw error
    }
  }

  async #storedVersion(spec: CollectionSpec, key: string): Promise<number> {
    const sql = `SELECT "_version" AS "version" FROM ${quoteName(spec.name)} WHERE "_key" = ?`
    const [row] = await this.#query(sql, [key])
    return row === undefined ? 0 : Number(row.version)
  }

  async #storedDocument(spec: CollectionSpec, key: string): Promise<string | null> {
    const [row] = await this.#query(`SELECT "_doc" AS "doc" FROM ${quoteName(spec.name)} WHERE "_key" = ?`, [key])
    return row === undefined ? null : String(row.doc)
  }

  /** Which unique field another document already has. */
  async #explain(spec: CollectionSpec, key: string, json: string, cause: DriverError): Promise<StoreError> {
    for (const field of spec.unique) {
      const sql = `SELECT 1 FROM ${quoteName(spec.name)} WHERE ${quoteName(field)} = (? ->> ${quoteText(`$.${field}`)}) AND "_key" <> ?`
      const rows = await this.#query(sql, [json, key])
      if (rows.length > 0) {
        return new StoreError('CONSTRAINT', `Another document in "${spec.name}" already has this "${field}".`, {
          details: { collection: spec.name, key, field },
          cause,
        })
      }
    }
    return new StoreError('CONSTRAINT', `A constraint of "${spec.name}" refused the document.`, {
      details: { collection: spec.name, key },
      cause,
    })
  }

  /** Foreign keys are checked by SQLite at COMMIT; inside a savepoint this finds the unit that breaks them. */
  async #assertReferences(operation: WireOperation): Promise<void> {
    if (operation.collection === AUDIT_COLLECTION) return
    const spec = this.#spec(operation.collection)
    const table = quoteName(spec.name)
    if (operation.kind !== 'delete') {
      for (const [field, parent] of Object.entries(spec.references)) {
        const column = `${table}.${quoteName(field)}`
        const sql = `SELECT 1 FROM ${table} WHERE "_key" = ? AND ${column} IS NOT NULL AND NOT EXISTS (SELECT 1 FROM ${quoteName(parent)} p WHERE p."_key" = ${column})`
        if ((await this.#query(sql, [operation.key])).length > 0) {
          throw new StoreError(
            'CONSTRAINT',
            `"${field}" of this document in "${spec.name}" names nothing in "${parent}". Write that document first, or in the same transaction.`,
            { details: { collection: spec.name, key: operation.key, field, references: parent } },
          )
        }
      }
      return
    }
    for (const child of this.#collections.values()) {
      for (const [field, parent] of Object.entries(child.references)) {
        if (parent !== spec.name) continue
        const sql = `SELECT 1 FROM ${quoteName(child.name)} WHERE ${quoteName(field)} = ?1 AND NOT EXISTS (SELECT 1 FROM ${table} WHERE "_key" = ?1) LIMIT 1`
        if ((await this.#query(sql, [operation.key])).length > 0) {
          throw new StoreError(
            'CONSTRAINT',
            `Documents in "${child.name}" still refer to this one in "${spec.name}" by "${field}". Delete them first, or in the same transaction.`,
            { details: { collection: spec.name, key: operation.key, field, referencedBy: child.name } },
          )
        }
      }
    }
  }

  async #recordBatch(sequence: number, failures: readonly UnitFailure[], unitsDone: number | null): Promise<void> {
    const sql = 'UPDATE "_session" SET "sequence" = ?, "failures" = ?, "unitsDone" = ?'
    await this.#run(sql, [sequence, JSON.stringify(failures), unitsDone])
  }

  async #recordedBatch(): Promise<RecordedBatch> {
    const [row] = await this.#query('SELECT "sequence", "failures", "unitsDone" FROM "_session"', [])
    if (row === undefined) throw new StoreError('INTERNAL', 'The session row is missing. Please report it.')
    return {
      sequence: Number(row.sequence),
      failures: JSON.parse(String(row.failures)) as UnitFailure[],
      unitsDone: row.unitsDone === null ? null : Number(row.unitsDone),
    }
  }

  #trail(): AuditWriter {
    if (this.#audit === null) throw new StoreError('INTERNAL', 'This file has no audit trail. Please report it.')
    return this.#audit
  }

  #spec(collection: string): CollectionSpec {
    const spec = this.#collections.get(collection)
    if (spec === undefined) throw new StoreError('UNKNOWN_COLLECTION', `There is no collection "${collection}".`)
    return spec
  }

  async #run(sql: string, parameters: readonly BindValue[] = []): Promise<number> {
    const statement = await this.#statements.prepare(sql)
    return await statement.run(parameters)
  }

  #query(sql: string, parameters: readonly BindValue[]): ReturnType<typeof queryOnce> {
    return this.#statements.prepare(sql).then((statement) => statement.all(parameters))
  }
}

function auditEntry({ actor, event, data }: AuditRecord): NewAuditEntry {
  return { at: Date.now(), actor, event, data, causationId: null, note: null }
}

interface UnitProgress {
  readonly unitsDone: number
  readonly failures: readonly UnitFailure[]
}

interface RecordedBatch {
  readonly sequence: number
  readonly failures: readonly UnitFailure[]
  /** Null once the batch is done. */
  readonly unitsDone: number | null
}

const CONFLICT_CODES: ReadonlySet<string> = new Set([
  'CONSTRAINT',
  'ALREADY_EXISTS',
  'VERSION_CONFLICT',
  'INVALID_DOCUMENT',
] as const)

/** True for what one unit can be blamed for; a full disk or a damaged file is nobody's. */
function isConflict(error: unknown): boolean {
  return (error instanceof DriverError || error instanceof StoreError) && CONFLICT_CODES.has(error.code)
}

function ignoreDriverError(error: unknown): void {
  if (!(error instanceof DriverError)) throw error
}

function alreadyExists(spec: CollectionSpec, key: string): StoreError {
  return new StoreError(
    'ALREADY_EXISTS',
    `"${spec.name}" already has a document with this key. Use put to replace it.`,
    {
      details: { collection: spec.name, key },
    },
  )
}

function versionConflict(spec: CollectionSpec, key: string, expected: number, actual: number): StoreError {
  return new StoreError(
    'VERSION_CONFLICT',
    `The document in "${spec.name}" is at version ${actual}, not ${expected}. Read it again and decide anew.`,
    { details: { collection: spec.name, key, expected, actual } },
  )
}
