import { describe, expect, it } from 'vitest'
import { FAILED, listed, order, plan, report, reported, state, unresolved } from './decision-fixtures.ts'

const theirs = reported(order({ id: 'web', clientOrderId: 'web-1', exchangeOrderId: '900' }))
const nameless = { ...theirs, exchangeOrderId: '901', clientOrderId: null }

describe('open orders that only the exchange knows', () => {
  it('are reported once each, in the order of their ids, and left alone', () => {
    const decided = plan(state(), report({ openOrders: [listed([nameless, theirs, theirs]), listed([theirs])] }))
    expect(decided.foreignOrders).toEqual([
      { symbol: 'BTC/USDT', exchangeOrderId: '900', clientOrderId: 'web-1', recordedAs: null },
      { symbol: 'BTC/USDT', exchangeOrderId: '901', clientOrderId: null, recordedAs: null },
    ])
    expect(decided.foreignActions).toEqual([])
  })

  it('are canceled only when the policy says so', () => {
    const decided = plan(state(), report({ openOrders: [listed([theirs])] }), { onForeignOrder: 'cancel' })
    expect(decided.foreignActions).toEqual([
      {
        kind: 'cancel-order',
        reference: expect.objectContaining({ symbol: 'BTC/USDT', exchangeOrderId: '900', clientOrderId: 'web-1' }),
        subject: { kind: 'foreign-order', id: '900', symbol: 'BTC/USDT' },
      },
    ])
  })

  it('are none that the store knows by either id', () => {
    const byExchangeId = order({ exchangeOrderId: '900' })
    const { clientOrderId: _, ...anonymous } = theirs
    const decided = plan(state({ orders: [byExchangeId] }), report({ openOrders: [listed([anonymous])] }))
    expect(decided.foreignOrders).toEqual([])
    const byClientId = order({ clientOrderId: 'web-1', exchangeOrderId: null, state: 'intent' })
    expect(plan(state({ orders: [byClientId] }), report({ openOrders: [listed([theirs])] })).foreignOrders).toEqual([])
  })

  it('on another symbol with the same id are other orders', () => {
    const known = order({ exchangeOrderId: '900', clientOrderId: 'mine', symbol: 'ETH/USDT' })
    const decided = plan(state({ orders: [known] }), report({ openOrders: [listed([theirs])] }))
    expect(decided.foreignOrders).toHaveLength(1)
  })

  it('say so when the store has them as final', () => {
    const final = order({ id: 'old', clientOrderId: 'web-1', state: 'rejected' })
    const decided = plan(state({ history: [final] }), report({ openOrders: [listed([theirs])] }))
    expect(decided.foreignOrders).toMatchObject([{ recordedAs: { orderId: 'old', state: 'rejected' } }])
  })

  it('are none that were made while the exchange was asked', () => {
    const newer = order({ id: 'new', clientOrderId: 'web-1', state: 'intent', exchangeOrderId: null })
    const decided = plan(state({ newer: [newer] }), report({ openOrders: [listed([theirs])] }), {
      onForeignOrder: 'cancel',
    })
    expect(decided.foreignOrders).toEqual([])
    expect(decided.foreignActions).toEqual([])
  })

  it('may have gone unseen where open orders could not be listed', () => {
    const decided = plan(state(), report({ openOrders: [{ ...listed([]), result: FAILED }] }))
    expect(unresolved(decided)).toEqual({ 'BTC/USDT': 'OPEN_ORDERS_QUERY_FAILED' })
  })
})
