import { describe, expect, it } from 'vitest'
import {
  answer,
  codes,
  FAILED,
  fill,
  fillsAdded,
  fillsOf,
  listed,
  NOT_FOUND,
  NOW,
  OPENED_AT,
  order,
  orderAfter,
  plan,
  position,
  positionAfter,
  report,
  reported,
  reportedFill,
  state,
  submitted,
  unresolved,
  writesOf,
} from './decision-fixtures.ts'

/** An order of no position: only the order itself changes. */
const lone = (changes = {}) => order({ positionId: null, ...changes })

describe('an order the exchange knows', () => {
  it('stays as it is when nothing has happened', () => {
    const known = lone()
    const decided = plan(state({ orders: [known] }), report({ openOrders: [listed([reported(known)])] }))
    expect(decided.groups).toEqual([
      { key: 'order:entry-1', symbol: 'BTC/USDT', actions: [], decisions: [], unresolved: [] },
    ])
  })

  it('goes from intent to open, with the id the exchange gave it', () => {
    const intent = lone({ state: 'intent', exchangeOrderId: null })
    const decided = plan(
      state({ orders: [intent] }),
      report({ openOrders: [listed([reported(intent, { exchangeOrderId: '77' })])] }),
    )
    expect(orderAfter(decided, 'entry-1')).toMatchObject({ state: 'open', exchangeOrderId: '77', updatedAt: NOW })
    expect(submitted(decided)).toEqual([])
  })

  it('is partially filled with the fills the store has not seen, digit by digit', () => {
    const known = lone()
    const decided = plan(
      state({ orders: [known] }),
      report({
        openOrders: [listed([reported(known, { filledQuantity: '0.50000000' })])],
        fills: [fillsOf(known.id, [reportedFill(known, { quantity: '0.50000000', price: '99.90' })])],
      }),
    )
    expect(orderAfter(decided, known.id)).toMatchObject({
      state: 'partially_filled',
      filledQuantity: '0.5',
      averagePrice: '99.90',
    })
    expect(fillsAdded(decided)).toEqual([
      expect.objectContaining({
        id: 'entry-1:t1',
        orderId: 'entry-1',
        price: '99.90',
        quantity: '0.50000000',
        metadata: { tradeId: 't1' },
      }),
    ])
  })

  it('is filled when its fills add up to its quantity', () => {
    const known = lone()
    const decided = plan(
      state({ orders: [known] }),
      report({
        orders: [answer(known.id, reported(known, { status: 'filled', filledQuantity: '2' }))],
        fills: [
          fillsOf(known.id, [
            reportedFill(known, { tradeId: 'b', quantity: '1.5', price: '101', filledAt: OPENED_AT + 2 }),
            reportedFill(known, { tradeId: 'a', quantity: '0.5', price: '99', filledAt: OPENED_AT + 1 }),
          ]),
        ],
      }),
    )
    expect(orderAfter(decided, known.id)).toMatchObject({ state: 'filled', filledQuantity: '2', averagePrice: '100.5' })
    expect(fillsAdded(decided).map((each) => each.id)).toEqual(['entry-1:a', 'entry-1:b'])
  })

  it.each(['canceled', 'expired'] as const)('is %s with what it had filled', (status) => {
    const known = lone({ filledQuantity: '0.5', state: 'partially_filled' })
    const decided = plan(
      state({ orders: [known], fills: [fill({ quantity: '0.5' })] }),
      report({ orders: [answer(known.id, reported(known, { status, filledQuantity: '0.5' }))] }),
    )
    expect(orderAfter(decided, known.id)).toMatchObject({ state: status, filledQuantity: '0.5' })
    expect(fillsAdded(decided)).toEqual([])
  })

  it('is rejected', () => {
    const known = lone({ state: 'intent', exchangeOrderId: null })
    const decided = plan(
      state({ orders: [known] }),
      report({ orders: [answer(known.id, reported(known, { status: 'rejected', filledQuantity: null }))] }),
    )
    expect(orderAfter(decided, known.id)?.state).toBe('rejected')
  })

  it('keeps fields nobody asked about', () => {
    const known = { ...lone(), metadata: { signal: 'breakout' }, note: 'mine' }
    const decided = plan(
      state({ orders: [known] }),
      report({ orders: [answer(known.id, reported(known, { status: 'canceled' }))] }),
    )
    expect(orderAfter(decided, known.id)).toMatchObject({ metadata: { signal: 'breakout' }, note: 'mine' })
  })
})

describe('fills', () => {
  const known = lone({ state: 'partially_filled', filledQuantity: '0.5' })
  const half = reportedFill(known, { tradeId: 't1', quantity: '0.5' })
  const more = reportedFill(known, { tradeId: 't2', quantity: '1', price: '101' })
  const seen = (fills: Parameters<typeof fillsOf>[1], filledQuantity: string) =>
    report({ openOrders: [listed([reported(known, { filledQuantity })])], fills: [fillsOf(known.id, fills)] })

  it.each([
    ['the id reconcile gives', fill({ quantity: '0.5' })],
    ["the exchange's trade id", fill({ id: 't1', quantity: '0.5' })],
    ['an id of its own and metadata.tradeId', fill({ id: 'f-1', quantity: '0.5', metadata: { tradeId: 't1' } })],
  ])('are known again by %s', (_by, stored) => {
    const decided = plan(state({ orders: [known], fills: [stored] }), seen([half, more], '1.5'))
    expect(fillsAdded(decided).map((each) => each.id)).toEqual(['entry-1:t2'])
    expect(orderAfter(decided, known.id)).toMatchObject({ filledQuantity: '1.5', state: 'partially_filled' })
  })

  it('that are reported twice count once', () => {
    const decided = plan(
      state({ orders: [known], fills: [fill({ quantity: '0.5' })] }),
      seen([more, half, more, half], '1.5'),
    )
    expect(fillsAdded(decided)).toHaveLength(1)
  })

  it('that are ahead of the order report count as well: they were asked for later', () => {
    const decided = plan(state({ orders: [known], fills: [fill({ quantity: '0.5' })] }), seen([half, more], '1'))
    expect(orderAfter(decided, known.id)?.filledQuantity).toBe('1.5')
  })

  it.each([
    ['are missing', [half], '1.5', 'FILLS_INCOMPLETE'],
    ['exceed the order', [half, more, { ...more, tradeId: 't3' }], '1.5', 'FILLS_EXCEED_ORDER'],
    ['differ under the same trade id', [half, more, { ...more, price: '102' }], '1.5', 'FILLS_CONFLICT'],
    ['differ from what is stored', [{ ...half, price: '98' }, more], '1.5', 'FILLS_CONFLICT'],
    ['are of the other side', [half, { ...more, side: 'sell' as const }], '1.5', 'FILLS_CONFLICT'],
  ])('that %s leave the order unresolved and untouched', (_what, fills, filledQuantity, reason) => {
    const decided = plan(state({ orders: [known], fills: [fill({ quantity: '0.5' })] }), seen(fills, filledQuantity))
    expect(unresolved(decided)).toEqual({ 'entry-1': reason })
    expect(writesOf(decided)).toEqual([])
  })

  it('recorded under ids of which nothing tells the trade are never imported a second time', () => {
    const own = fill({ id: 'f-1', quantity: '0.5' })
    const decided = plan(state({ orders: [known], fills: [own] }), seen([half, more], '1.5'))
    expect(unresolved(decided)).toEqual({ 'entry-1': 'FILLS_CONFLICT' })
  })

  it('recorded under ids of their own never count beside the same ones reported, not even when the sums happen to fit', () => {
    const own = fill({ id: 'f-1', quantity: '0.5' })
    const fits = plan(state({ orders: [known], fills: [own] }), seen([half], '1'))
    expect(unresolved(fits)).toEqual({ 'entry-1': 'FILLS_CONFLICT' })
    const split = [
      reportedFill(known, { tradeId: 't1', quantity: '0.2' }),
      reportedFill(known, { tradeId: 't2', quantity: '0.6' }),
    ]
    const doubled = plan(state({ orders: [known], fills: [own] }), seen(split, '0.8'))
    expect(unresolved(doubled)).toEqual({ 'entry-1': 'FILLS_CONFLICT' })
  })

  it('already counted in the filled quantity but never recorded are imported without moving the position', () => {
    const counted = order({ state: 'partially_filled', filledQuantity: '0.5' })
    const decided = plan(
      state({ orders: [counted] }),
      report({
        openOrders: [listed([reported(counted, { filledQuantity: '0.5' })])],
        fills: [fillsOf(counted.id, [reportedFill(counted, { quantity: '0.5' })])],
      }),
    )
    expect(fillsAdded(decided)).toHaveLength(1)
    expect(positionAfter(decided)).toBeUndefined()
  })

  it('of which some are counted and some are not, with no telling which, stay unresolved', () => {
    const decided = plan(state({ orders: [known] }), seen([half, more], '1.5'))
    expect(unresolved(decided)).toEqual({ 'entry-1': 'FILLS_PARTLY_APPLIED' })
  })
})

describe('a filled quantity', () => {
  const known = lone({ state: 'partially_filled', filledQuantity: '1' })
  const stored = [fill({ quantity: '1' })]

  it('never goes back: a stale report of an open order changes nothing', () => {
    const decided = plan(
      state({ orders: [known], fills: stored }),
      report({
        openOrders: [listed([reported(known, { filledQuantity: '0.4' })])],
        fills: [fillsOf(known.id, [])],
      }),
    )
    expect(decided.groups[0]?.actions).toEqual([])
    expect(unresolved(decided)).toEqual({})
  })

  it('that a final report takes back leaves the order unresolved', () => {
    const decided = plan(
      state({ orders: [known], fills: stored }),
      report({
        orders: [answer(known.id, reported(known, { status: 'canceled', filledQuantity: '0.4' }))],
        fills: [fillsOf(known.id, [])],
      }),
    )
    expect(unresolved(decided)).toEqual({ 'entry-1': 'REPORT_REGRESSED' })
  })

  it('that the exchange does not tell comes from the fills while the order is open', () => {
    const decided = plan(
      state({ orders: [known], fills: stored }),
      report({
        openOrders: [listed([reported(known, { filledQuantity: null })])],
        fills: [
          fillsOf(known.id, [
            reportedFill(known, { quantity: '1' }),
            reportedFill(known, { tradeId: 't2', quantity: '0.25' }),
          ]),
        ],
      }),
    )
    expect(orderAfter(decided, known.id)?.filledQuantity).toBe('1.25')
  })

  it('that is unknown at the end leaves the order unresolved', () => {
    const decided = plan(
      state({ orders: [known], fills: stored }),
      report({
        orders: [answer(known.id, reported(known, { status: 'canceled', filledQuantity: null }))],
        fills: [fillsOf(known.id, [])],
      }),
    )
    expect(unresolved(decided)).toEqual({ 'entry-1': 'FILLED_QUANTITY_UNKNOWN' })
  })
})

describe('reports that contradict', () => {
  const known = lone()

  it.each([
    ['another side', { side: 'sell' as const }],
    ['another quantity', { quantity: '3' }],
    ['another exchange id', { exchangeOrderId: 'x-other' }],
    ['another symbol', { symbol: 'ETH/USDT' }],
    ['filled, but not all of it', { status: 'filled' as const, filledQuantity: '1' }],
    ['rejected, but with fills', { status: 'rejected' as const, filledQuantity: '1' }],
  ])('the store (%s) leave the order unresolved', (_what, changes) => {
    const decided = plan(
      state({ orders: [known] }),
      report({
        orders: [answer(known.id, reported(known, changes))],
        fills: [fillsOf(known.id, [reportedFill(known, { quantity: '1' })])],
      }),
    )
    expect(unresolved(decided)).toEqual({ 'entry-1': 'REPORT_CONTRADICTS_ORDER' })
  })

  it('each other leave the order unresolved', () => {
    const intent = lone({ state: 'intent', exchangeOrderId: null })
    const twice = [reported(intent, { exchangeOrderId: '1' }), reported(intent, { exchangeOrderId: '2' })]
    const decided = plan(state({ orders: [intent] }), report({ openOrders: [listed(twice)] }))
    expect(unresolved(decided)).toEqual({ 'entry-1': 'REPORTS_CONFLICT' })
  })

  it('in time do not: the furthest along is true', () => {
    const reports = [reported(known), reported(known, { status: 'canceled' }), reported(known)]
    const decided = plan(
      state({ orders: [known] }),
      report({ openOrders: [listed([reported(known)])], orders: reports.map((each) => answer(known.id, each)) }),
    )
    expect(orderAfter(decided, known.id)?.state).toBe('canceled')
  })

  it('a status in a way nobody can read leave the order unresolved', () => {
    const decided = plan(
      state({ orders: [known] }),
      report({ orders: [answer(known.id, reported(known, { status: 'unknown' }))] }),
    )
    expect(unresolved(decided)).toEqual({ 'entry-1': 'STATUS_UNKNOWN' })
  })
})

describe('an order the exchange does not know', () => {
  const known = lone()
  const nowhere = { orders: [answer(known.id, NOT_FOUND)], fills: [fillsOf(known.id, [])] }

  it('is canceled, when it is neither found nor listed and has no fills', () => {
    const decided = plan(state({ orders: [known] }), report(nowhere))
    expect(orderAfter(decided, known.id)?.state).toBe('canceled')
  })

  it('is filled, when its fills are still there', () => {
    const decided = plan(
      state({ orders: [known] }),
      report({ ...nowhere, fills: [fillsOf(known.id, [reportedFill(known)])] }),
    )
    expect(orderAfter(decided, known.id)).toMatchObject({ state: 'filled', filledQuantity: '2' })
  })

  it.each([
    ['the query failed', { orders: [answer(known.id, FAILED)] }, 'ORDER_QUERY_FAILED'],
    ['nobody asked', { orders: [] }, 'ORDER_QUERY_FAILED'],
    ['the open orders could not be listed', { openOrders: [] }, 'OPEN_ORDERS_QUERY_FAILED'],
    ['its fills could not be asked for', { fills: [] }, 'FILLS_QUERY_FAILED'],
    ['it was written a moment ago', { orders: [answer(known.id, NOT_FOUND, OPENED_AT + 2_999)] }, 'NOT_SETTLED'],
  ])('stays unresolved and untouched when %s', (_why, changes, reason) => {
    const decided = plan(state({ orders: [known] }), report({ ...nowhere, ...changes }))
    expect(unresolved(decided)).toEqual({ 'entry-1': reason })
    expect(writesOf(decided)).toEqual([])
  })

  it('is not waited for because of a clock that was ahead: written in the future is written when the asking began', () => {
    const ahead = lone({ updatedAt: NOW + 3_600_000 })
    const decided = plan(state({ orders: [ahead] }), report(nowhere), { settleMs: 100 })
    expect(orderAfter(decided, known.id)?.state).toBe('canceled')
  })

  it('stays unresolved when fills the store counted are gone', () => {
    const partly = lone({ state: 'partially_filled', filledQuantity: '1' })
    const decided = plan(state({ orders: [partly] }), report(nowhere))
    expect(unresolved(decided)).toEqual({ 'entry-1': 'FILLS_INCOMPLETE' })
  })

  it('was found after all when any answer has it', () => {
    const decided = plan(
      state({ orders: [known] }),
      report({ orders: [answer(known.id, NOT_FOUND), answer(known.id, FAILED), answer(known.id, reported(known))] }),
    )
    expect(decided.groups[0]?.actions).toEqual([])
    expect(unresolved(decided)).toEqual({})
  })

  it('can not be asked for without any id', () => {
    const { clientOrderId: _, ...nameless } = lone({ exchangeOrderId: null })
    const decided = plan(state({ orders: [nameless] }), report())
    expect(unresolved(decided)).toEqual({ 'entry-1': 'NO_ORDER_ID' })
  })
})

describe('an intent the exchange has never heard of', () => {
  const intent = lone({ state: 'intent', exchangeOrderId: null })
  const unknown = report({ orders: [answer(intent.id, NOT_FOUND)] })

  it('is marked rejected by default', () => {
    const decided = plan(state({ orders: [intent] }), unknown)
    expect(orderAfter(decided, intent.id)).toMatchObject({ state: 'rejected', updatedAt: NOW })
    expect(codes(decided)).toEqual(['INTENT_REJECTED'])
    expect(submitted(decided)).toEqual([])
  })

  it('is sent again under the same client order id when the policy says so, after a durable write', () => {
    const decided = plan(state({ orders: [intent] }), unknown, { onUnknownIntent: 'resubmit' })
    expect(decided.groups[0]?.actions.map((each) => each.kind)).toEqual(['commit', 'submit-order'])
    expect(submitted(decided)).toEqual([{ ...intent, updatedAt: NOW }])
  })

  it.each([
    ['reject', 'the query failed', { orders: [answer(intent.id, FAILED)] }, 'ORDER_QUERY_FAILED'],
    ['resubmit', 'the query failed', { orders: [answer(intent.id, FAILED)] }, 'ORDER_QUERY_FAILED'],
    ['resubmit', 'the open orders are unknown', { openOrders: [] }, 'OPEN_ORDERS_QUERY_FAILED'],
    ['resubmit', 'it may be on its way', { orders: [answer(intent.id, NOT_FOUND, OPENED_AT + 10)] }, 'NOT_SETTLED'],
  ] as const)('is left alone (policy: %s) when %s', (onUnknownIntent, _why, changes, reason) => {
    const decided = plan(state({ orders: [intent] }), { ...unknown, ...changes }, { onUnknownIntent })
    expect(unresolved(decided)).toEqual({ 'entry-1': reason })
    expect(decided.groups[0]?.actions).toEqual([])
  })

  it('is sent again only as far as there is something to exit', () => {
    const exits = ['a', 'b', 'c'].map((id) =>
      order({ id, clientOrderId: id, side: 'sell', purpose: 'exit', quantity: '0.9', ...intentOf }),
    )
    const held = position({ currentStop: null, stopOrderId: null })
    const decided = plan(
      state({ positions: [held], orders: exits }),
      report({ orders: exits.map((exit) => answer(exit.id, NOT_FOUND)) }),
      { onUnknownIntent: 'resubmit' },
    )
    expect(submitted(decided).map((each) => each.id)).toEqual(['a', 'b'])
    expect(orderAfter(decided, 'c')?.state).toBe('rejected')
  })

  it('is never sent again when it would exit what is not held', () => {
    const exit = order({ id: 'exit-1', clientOrderId: 'exit-1', side: 'sell', purpose: 'exit', ...intentOf })
    const decided = plan(state({ orders: [exit] }), report({ orders: [answer(exit.id, NOT_FOUND)] }), {
      onUnknownIntent: 'resubmit',
    })
    expect(submitted(decided)).toEqual([])
    expect(orderAfter(decided, exit.id)?.state).toBe('rejected')
  })
})

const intentOf = { state: 'intent', exchangeOrderId: null } as const
