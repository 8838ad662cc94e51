/**
 * Compares what two stores hold. Two things may differ and are left out: the times of writing (`createdAt`, `updatedAt`),
 * and names. An order that `reconcile` has placed has an id that it computed, not the bot; so orders are told apart by
 * the exchange's id, executions by the exchange's trade id, and the record of a trade by its position.
 */
import { isDeepStrictEqual } from 'node:util'
import {
  COLLECTIONS_COMPARED,
  type ComparedCollection,
  type StateDocument,
  type StoredState,
} from './state-documents.ts'

type Documents = StoredState['documents']

/** Where they differ, in words; nothing when they are equal. */
export function compareStates(one: Documents, other: Documents): string[] {
  const a = normalize(one)
  const b = normalize(other)
  const differences: string[] = []
  for (const name of COLLECTIONS_COMPARED) {
    if (one[name].length !== other[name].length) {
      differences.push(`${name}: ${one[name].length} documents and ${other[name].length}`)
    }
    for (const [key, document] of a[name]) {
      const counterpart = b[name].get(key)
      if (counterpart === undefined) differences.push(`${name} ${key}: only in the first`)
      else if (!isDeepStrictEqual(document, counterpart)) {
        differences.push(`${name} ${key}: ${differingFields(document, counterpart).join(', ')}`)
      }
    }
    for (const key of b[name].keys()) if (!a[name].has(key)) differences.push(`${name} ${key}: only in the second`)
  }
  return differences
}

function normalize(documents: Documents): Record<ComparedCollection, Map<string, StateDocument>> {
  const exchangeIds = new Map(
    documents.orders.map((order) => [order.id, String(order.exchangeOrderId ?? `unsent ${order.id}`)] as const),
  )
  const orderName = (id: unknown) => exchangeIds.get(id) ?? `unknown ${id}`
  const rules: Partial<Record<ComparedCollection, (document: StateDocument) => [string, StateDocument]>> = {
    orders: ({ id, clientOrderId: _, ...rest }) => [orderName(id), rest],
    fills: ({ id: _, orderId, ...rest }) => {
      const { tradeId } = rest.metadata as { readonly tradeId: string }
      return [`${orderName(orderId)} ${tradeId}`, rest]
    },
    trades: ({ id: _, ...rest }) => [String(rest.positionId), rest],
    positions: ({ stopOrderId, ...rest }) => [String(rest.id), { ...rest, stopOrderId: orderName(stopOrderId) }],
  }
  const normalized = {} as Record<ComparedCollection, Map<string, StateDocument>>
  for (const name of COLLECTIONS_COMPARED) {
    const rule = rules[name] ?? ((document) => [String(document.id ?? document.key ?? document.address), document])
    const byKey = new Map<string, StateDocument>()
    for (const document of documents[name]) {
      const [key, rest] = rule(withoutTimesOfWriting(document))
      // Two documents of one name would hide one another.
      byKey.set(byKey.has(key) ? `${key} again ${byKey.size}` : key, rest)
    }
    normalized[name] = byKey
  }
  return normalized
}

function withoutTimesOfWriting({ createdAt: _, updatedAt: __, ...rest }: StateDocument): StateDocument {
  return rest
}

function differingFields(a: StateDocument, b: StateDocument): string[] {
  const fields = [...new Set([...Object.keys(a), ...Object.keys(b)])]
  return fields.filter((field) => !isDeepStrictEqual(a[field], b[field]))
}
