/** A store in memory with the rules that matter here: schemas, keys that exist, fills that refer to orders, transactions. */
import type { Fill, Order, Position, Trade } from '../../../src/client/reconcile/documents.ts'
import type { ReconcilableStore, ReconcileTransaction } from '../../../src/client/reconcile/reconcilable-store.ts'
import { StoreError } from '../../../src/protocol/store-error.ts'
import type { AuditEntryInput } from '../../../src/schema/audit-entry.ts'
import { recoveryMetrics } from '../../../src/schema/built-in/metrics.ts'
import { fills, OPEN_ORDER_STATES, orders, positions, trades } from '../../../src/schema/built-in/trading.ts'
import type { DocumentOf } from '../../../src/schema/define-collection.ts'
import { Fuse } from './fuse.ts'

export interface StoreContents {
  readonly positions?: readonly Position[]
  readonly orders?: readonly Order[]
  readonly fills?: readonly Fill[]
}

type Keyed = { readonly id: string }

export class MemoryStore implements ReconcilableStore {
  readonly documents = {
    positions: new Map<string, Position>(),
    orders: new Map<string, Order>(),
    fills: new Map<string, Fill>(),
    trades: new Map<string, Trade>(),
  }
  readonly recorded: DocumentOf<typeof recoveryMetrics>[] = []
  readonly audited: AuditEntryInput[] = []
  fuse = new Fuse()
  /** Runs inside each transaction before it reads: what another part of the program has just done. */
  beforeCommit: () => void = () => undefined
  failNextCommit: StoreError | null = null

  constructor(contents: StoreContents = {}) {
    for (const each of contents.positions ?? []) this.documents.positions.set(each.id, each)
    for (const each of contents.orders ?? []) this.documents.orders.set(each.id, each)
    for (const each of contents.fills ?? []) this.documents.fills.set(each.id, each)
  }

  readonly positions = {
    list: () => {
      this.fuse.check()
      return [...this.documents.positions.values()]
    },
  }

  readonly audit: ReconcilableStore['audit'] = {
    append: async (entry) => {
      this.fuse.check()
      this.audited.push(entry)
    },
  }

  readonly orders: ReconcilableStore['orders'] = {
    find: (where) => {
      this.fuse.check()
      const found = [...this.documents.orders.values()].filter((order) => matches(order, where))
      const { state } = where
      const isHot = typeof state === 'object' && state?.in?.every((each) => OPEN_ORDER_STATES.includes(each as 'open'))
      return isHot === true ? found : Promise.resolve(found)
    },
  }

  readonly fills: ReconcilableStore['fills'] = {
    list: async ({ where = {} }) => {
      this.fuse.check()
      return [...this.documents.fills.values()].filter((fill) => matches(fill, where))
    },
  }

  readonly recoveryMetrics: ReconcilableStore['recoveryMetrics'] = {
    insert: async (record) => {
      this.fuse.check()
      this.recorded.push(recoveryMetrics.schema.parse(record) as DocumentOf<typeof recoveryMetrics>)
    },
  }

  async transaction(work: (tx: ReconcileTransaction) => void): Promise<void> {
    this.fuse.check()
    this.beforeCommit()
    const staged = {
      positions: new Map(this.documents.positions),
      orders: new Map(this.documents.orders),
      fills: new Map(this.documents.fills),
      trades: new Map(this.documents.trades),
    }
    work({
      positions: {
        get: (id) => staged.positions.get(id),
        put: (document) => put(staged.positions, positions.schema.parse(document) as Position),
        delete: (id) => void staged.positions.delete(id),
      },
      orders: {
        get: (id) => hot(staged.orders.get(id)),
        put: (document) => put(staged.orders, orders.schema.parse(document) as Order),
        insert: (document) => insert(staged.orders, orders.schema.parse(document) as Order),
      },
      fills: { insert: (document) => insert(staged.fills, fills.schema.parse(document) as Fill) },
      trades: { put: (document) => put(staged.trades, trades.schema.parse(document) as Trade) },
    })
    for (const fill of staged.fills.values()) {
      if (!staged.orders.has(fill.orderId)) throw new StoreError('CONSTRAINT', 'A fill refers to no order.')
    }
    assertUniqueClientIds(staged.orders)
    if (this.failNextCommit !== null) {
      const error = this.failNextCommit
      this.failNextCommit = null
      throw error
    }
    this.fuse.effect(() => Object.assign(this.documents, staged))
  }

  /** A copy that lives on when this one's process has crashed. */
  restarted(): MemoryStore {
    const copy = new MemoryStore()
    Object.assign(copy.documents, structuredClone(this.documents))
    copy.recorded.push(...this.recorded)
    return copy
  }

  /** Everything but the times of writing, which differ from run to run. */
  contents(): Record<string, unknown> {
    const timeless = ({ updatedAt: _u, createdAt: _c, ...rest }: Record<string, unknown>) => rest
    return Object.fromEntries(
      Object.entries(this.documents).map(([name, documents]) => [
        name,
        Object.fromEntries(
          [...documents].sort(([a], [b]) => (a < b ? -1 : 1)).map(([id, each]) => [id, timeless(each)]),
        ),
      ]),
    )
  }
}

function hot(order: Order | undefined): Order | undefined {
  return order !== undefined && (OPEN_ORDER_STATES as readonly string[]).includes(order.state) ? order : undefined
}

function put<T extends Keyed>(documents: Map<string, T>, document: T): void {
  documents.set(document.id, document)
}

function insert<T extends Keyed>(documents: Map<string, T>, document: T): void {
  if (documents.has(document.id)) throw new StoreError('ALREADY_EXISTS', 'There is a document with this key.')
  documents.set(document.id, document)
}

function assertUniqueClientIds(documents: ReadonlyMap<string, Order>): void {
  const seen = new Set<string>()
  for (const { clientOrderId } of documents.values()) {
    if (clientOrderId === undefined) continue
    if (seen.has(clientOrderId))
      throw new StoreError('CONSTRAINT', 'Another document already has this "clientOrderId".')
    seen.add(clientOrderId)
  }
}

function matches(document: object, where: object): boolean {
  return Object.entries(where).every(([field, condition]) => {
    const value = (document as Record<string, unknown>)[field] ?? null
    if (typeof condition !== 'object' || condition === null) return value === condition
    const { in: values, gte } = condition as { in?: readonly unknown[]; gte?: number }
    if (values !== undefined && !values.includes(value)) return false
    return gte === undefined || Number(value) >= gte
  })
}
