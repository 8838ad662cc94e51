/** The audit trail as a program sees it: append, read, verify. Its entries travel with the writes they explain. */
import * as z from 'zod'
import type { AuditEntry, AuditFilter, AuditPageRequest, AuditVerification } from '../../protocol/audit.ts'
import { StoreError } from '../../protocol/store-error.ts'
import type { AuditEntryInput } from '../../schema/audit-entry.ts'
import type { CollectionState } from '../collection-state.ts'
import { freezeParsed } from '../document.ts'
import type { Operation } from '../operation.ts'
import type { StoreCore } from '../store-core.ts'
import { type AppendedAuditEntry, createTrailState, parseAuditEntry, prepareAuditEntry } from './audit-entry-input.ts'

/** Which entries, and in what order. Times are Unix milliseconds, `from` included, `to` not. */
export interface AuditQuery extends AuditFilter {
  /** `asc`, the default: oldest first. */
  readonly order?: 'asc' | 'desc' | undefined
  /** Only entries behind this one, in that order. */
  readonly afterId?: number | undefined
  readonly limit?: number | undefined
}

export type AuditListener = (entry: AppendedAuditEntry) => void

/** What can be done with the trail beside appending to it inside a transaction. */
export interface StoreAudit {
  /**
   * Appends an entry; durable when it resolves. Rejects with `INVALID_DOCUMENT` for one that is none or larger than
   * 16 KiB, `QUEUE_FULL`, `DISK_FULL`, `READ_ONLY`. `event` has a namespace of your own (`orders.approved`).
   *
   * @example
   * await store.audit.append({ actor: 'ada', event: 'risk.limit-raised', data: { symbol: 'BTC/USDT', to: '2.5' } })
   * await store.transaction((tx) => {
   *   tx.orders.put({ ...order, state: 'canceled' })
   *   tx.audit.append({ actor: 'ada', event: 'orders.canceled', data: { id: order.id }, causationId: 'ticket-7' })
   * })
   */
  append(entry: AuditEntryInput): Promise<void>
  /**
   * Leaves an entry for the owner of the store, also from beside it (`readOnly: true`). Durable when it resolves, in the
   * trail when the owner takes it in, a second later or at its next open. Rejects with `INVALID_DOCUMENT`, `QUEUE_FULL`
   * when 1,000 wait, `DISK_FULL`, `PERMISSION_DENIED`.
   */
  note(entry: AuditEntryInput): Promise<void>
  list(query?: AuditQuery): Promise<AuditEntry[]>
  /** Entries one by one, in pages: bounded memory at any size. */
  stream(query?: AuditQuery): AsyncIterable<AuditEntry>
  /**
   * Goes through the whole trail and names the first entry that was changed, removed or put elsewhere, or what was cut
   * off at the end. `head` is one that was noted elsewhere (`holdfast status` prints it): only it shows that the whole
   * directory was put back. Rejects with `INVALID_ARGUMENT` for a head that is none.
   */
  verify(options?: { readonly head?: string | undefined }): Promise<AuditVerification>
  /** Calls `listener` with every entry this process appends, once it is durable. Returns a function that ends it. */
  on(event: 'append', listener: AuditListener): () => void
}

/** The trail inside a transaction. */
export interface TransactionAudit {
  /** Adds an entry; throws `INVALID_DOCUMENT`, which ends the transaction with nothing written. */
  append(entry: AuditEntryInput): void
}

const PAGE_ROWS = 200

const querySchema = z.strictObject({
  from: z.number().optional(),
  to: z.number().optional(),
  actor: z.string().optional(),
  event: z.string().optional(),
  order: z.enum(['asc', 'desc']).optional(),
  afterId: z.int().nonnegative().optional(),
  limit: z.int().nonnegative().optional(),
})
const verifySchema = z.strictObject({ head: z.string().optional() })

export class StoreAuditTrail implements StoreAudit {
  /** What stands for the trail in the commit queue. */
  readonly state: CollectionState = createTrailState()
  readonly #core: StoreCore
  readonly #listeners = new Set<AuditListener>()

  constructor(core: StoreCore) {
    this.#core = core
  }

  async append(entry: AuditEntryInput): Promise<void> {
    const operations = [prepareAuditEntry(this.state, entry)]
    await this.#core.acceptUnit(operations)
    this.announce(operations)
  }

  async note(entry: AuditEntryInput): Promise<void> {
    const { actor, event, data, causationId } = parseAuditEntry(entry)
    this.#core.assertOpen()
    await this.#core.supervisor.callOnce('auditNote', { actor, event, data, causationId })
  }

  async list(query: AuditQuery = {}): Promise<AuditEntry[]> {
    const entries: AuditEntry[] = []
    for await (const entry of this.stream(query)) entries.push(entry)
    return entries
  }

  async *stream(query: AuditQuery = {}): AsyncIterable<AuditEntry> {
    const { from, to, actor, event, order = 'asc', afterId, limit } = parse(querySchema, query, 'query')
    const filter = { from, to, actor, event }
    let remaining = limit ?? Number.POSITIVE_INFINITY
    let after: number | null = afterId ?? null
    await this.#settled()
    while (remaining > 0) {
      const request: AuditPageRequest = { filter, order, afterId: after, maxRows: Math.min(PAGE_ROWS, remaining) }
      const page = await this.#core.supervisor.read('auditPage', request)
      for (const entry of JSON.parse(page.json) as AuditEntry[]) {
        freezeParsed(entry)
        yield entry
      }
      remaining -= page.count
      if (page.lastId === null) return
      after = page.lastId
    }
  }

  async verify(options: { readonly head?: string | undefined } = {}): Promise<AuditVerification> {
    const { head = null } = parse(verifySchema, options, 'argument')
    await this.#settled()
    return await this.#core.supervisor.read('auditVerify', { head })
  }

  on(event: 'append', listener: AuditListener): () => void {
    if (event !== 'append') throw new StoreError('INVALID_ARGUMENT', 'The trail has one event: append.')
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Tells the listeners of what has become durable. One that throws does not stop the others. */
  announce(operations: readonly Operation[]): void {
    if (this.#listeners.size === 0) return
    for (const { target, document } of operations) {
      if (target !== this.state) continue
      for (const listener of this.#listeners) {
        try {
          listener(document as unknown as AppendedAuditEntry)
        } catch (error) {
          process.nextTick(() => {
            throw error
          })
        }
      }
    }
  }

  async #settled(): Promise<void> {
    this.#core.assertOpen()
    await this.#core.settled(this.state)
  }
}

function parse<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const paths = parsed.error.issues.map(({ path }) => path.map(String).join('.') || `(${what})`)
  throw new StoreError('INVALID_ARGUMENT', `The audit trail can't be asked for this: see ${paths.join(', ')}.`, {
    details: { paths },
  })
}
