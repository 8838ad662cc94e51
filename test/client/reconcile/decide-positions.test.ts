import { describe, expect, it } from 'vitest'
import { tradeId } from '../../../src/client/reconcile/deterministic-id.ts'
import {
  answer,
  canceled,
  codes,
  FAILED,
  fill,
  fillsAdded,
  fillsOf,
  fillsSince,
  holds,
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
  rules,
  SYMBOL,
  state,
  stop,
  submitted,
  tradeOf,
  unresolved,
  writesOf,
} from './decision-fixtures.ts'

const entry = order()
const unstopped = { currentStop: null, stopOrderId: null }

/** The exchange has filled the order with these fills. */
function filled(known: typeof entry, fills: readonly { price: string; quantity: string; tradeId?: string }[]) {
  return {
    orders: [answer(known.id, reported(known, { status: 'filled', filledQuantity: null }))],
    fills: [
      fillsOf(
        known.id,
        fills.map((each, index) =>
          reportedFill(known, { tradeId: `${known.id}-${index}`, filledAt: OPENED_AT + 1_000 + index, ...each }),
        ),
      ),
    ],
  }
}

describe('an entry that was filled while nobody looked', () => {
  it('opens the position its order names, at the average price, from its first fill on', () => {
    const decided = plan(
      state({ orders: [entry] }),
      report(
        filled(entry, [
          { price: '100.10', quantity: '1.5' },
          { price: '100.30', quantity: '0.5' },
        ]),
      ),
    )
    expect(positionAfter(decided)).toEqual({
      id: 'BTC-1',
      symbol: SYMBOL,
      side: 'long',
      quantity: '2',
      entryPrice: '100.15',
      highestPrice: '100.15',
      openedAt: OPENED_AT + 1_000,
      updatedAt: NOW,
    })
    expect(codes(decided)).toContain('POSITION_OPENED')
  })

  it('opens a short position when it sold', () => {
    const short = order({ side: 'sell' })
    const decided = plan(
      state({ orders: [short] }),
      report({
        ...filled(short, [{ price: '100', quantity: '2' }]),
        positions: [{ ...holds('2', 'short') }],
      }),
    )
    expect(positionAfter(decided)).toMatchObject({ side: 'short', lowestPrice: '100' })
  })

  it('adds to a position, which keeps its digits where the price is the same', () => {
    const decided = plan(
      state({ positions: [position(unstopped)], orders: [entry] }),
      report(filled(entry, [{ price: '100', quantity: '2' }])),
    )
    expect(positionAfter(decided)).toMatchObject({ quantity: '4', entryPrice: '100.00' })
  })

  it('moves the entry price of the position to the weighted average', () => {
    const decided = plan(
      state({ positions: [position(unstopped)], orders: [entry] }),
      report(filled(entry, [{ price: '103', quantity: '2' }])),
    )
    expect(positionAfter(decided)).toMatchObject({ quantity: '4', entryPrice: '101.5' })
  })

  it('counts only what was not counted before', () => {
    const partly = order({ state: 'partially_filled', filledQuantity: '0.5' })
    const decided = plan(
      state({
        positions: [position({ ...unstopped, quantity: '0.5' })],
        orders: [partly],
        fills: [fill({ quantity: '0.5' })],
      }),
      report({
        orders: [answer(partly.id, reported(partly, { status: 'filled', filledQuantity: '2' }))],
        fills: [
          fillsOf(partly.id, [
            reportedFill(partly, { tradeId: 't1', quantity: '0.5' }),
            reportedFill(partly, { tradeId: 't2', quantity: '1.5' }),
          ]),
        ],
      }),
    )
    expect(positionAfter(decided)?.quantity).toBe('2')
  })

  it('of an order without a position changes no position', () => {
    const loner = order({ positionId: null })
    const decided = plan(state({ orders: [loner] }), report(filled(loner, [{ price: '100', quantity: '2' }])))
    expect(positionAfter(decided)).toBeUndefined()
    expect(fillsAdded(decided)).toHaveLength(1)
  })
})

describe('a position the exchange has closed', () => {
  const held = state({
    positions: [position()],
    orders: [stop()],
    history: [order({ state: 'filled' })],
    fills: [fill()],
  })

  it('is deleted and becomes a trade, with exact P&L, in the same commit as the fills', () => {
    const decided = plan(
      held,
      report(
        filled(stop(), [
          { price: '89.99', quantity: '1.9' },
          { price: '89.90', quantity: '0.1' },
        ]),
      ),
    )
    expect(decided.groups).toHaveLength(1)
    expect(decided.groups[0]?.actions.map((each) => each.kind)).toEqual(['commit'])
    expect(writesOf(decided).map((each) => each.kind)).toEqual([
      'put-order',
      'insert-fill',
      'insert-fill',
      'put-trade',
      'delete-position',
    ])
    expect(tradeOf(decided)).toEqual({
      id: tradeId('BTC-1', OPENED_AT, 'stop-1'),
      symbol: SYMBOL,
      side: 'long',
      quantity: '2',
      entryPrice: '100.00',
      exitPrice: '89.9855',
      // 1.9 × 89.99 + 0.1 × 89.90 − 2 × 100.00
      pnl: '-20.029',
      pnlPercent: '-10.0145',
      fees: null,
      openedAt: OPENED_AT,
      closedAt: OPENED_AT + 1_001,
      exitReason: 'stop',
      positionId: 'BTC-1',
      metadata: {},
    })
  })

  it('earns what it sold higher than it bought, the other way round when it was short', () => {
    const cover = stop({ side: 'buy' })
    const decided = plan(
      state({ positions: [position({ side: 'short' })], orders: [cover] }),
      report({ ...filled(cover, [{ price: '90', quantity: '2' }]), positions: [holds('0', 'short')] }),
    )
    expect(tradeOf(decided)).toMatchObject({ pnl: '20', side: 'short' })
  })

  it('multiplies by the size of a contract, and does not guess the P&L of an inverse one', () => {
    const closing = filled(stop(), [{ price: '110', quantity: '2' }])
    const linear = plan(held, report({ ...closing, marketRules: [rules('0.1', '1', '0.01')] }))
    expect(tradeOf(linear)).toMatchObject({ pnl: '0.2', pnlPercent: '10' })
    const inverse = plan(held, report({ ...closing, marketRules: [rules('0.1', '1', '100', true)] }))
    expect(tradeOf(inverse)).toMatchObject({ pnl: null, pnlPercent: null, exitPrice: '110' })
  })

  it('counts partial exits since it was opened, and the true cost of its entries', () => {
    const exit = order({ id: 'exit-1', side: 'sell', purpose: 'exit', state: 'filled', quantity: '1' })
    const entries = [
      fill({ id: 'e1', quantity: '1', price: '100' }),
      fill({ id: 'e2', quantity: '1', price: '101' }),
      fill({ id: 'e3', quantity: '1', price: '101' }),
    ]
    const earlier = fill({
      id: 'x1',
      orderId: 'exit-1',
      side: 'sell',
      quantity: '1',
      price: '105',
      filledAt: OPENED_AT + 5,
    })
    const fromLifeBefore = fill({ id: 'x0', orderId: 'exit-1', side: 'sell', quantity: '9', filledAt: OPENED_AT - 5 })
    const decided = plan(
      state({
        // (100 + 101 + 101) / 3 has no finite decimal form.
        positions: [position({ entryPrice: '100.66666666666666667' })],
        orders: [stop()],
        history: [order({ state: 'filled', quantity: '3' }), exit],
        fills: [...entries, earlier, fromLifeBefore],
      }),
      report(filled(stop(), [{ price: '99', quantity: '2' }])),
    )
    expect(tradeOf(decided)).toMatchObject({ quantity: '3', pnl: '1', exitPrice: '101' })
  })

  it('adds up fees that are in one currency, and none that are not', () => {
    const closing = (feeCurrency: string) =>
      report({
        orders: [answer('stop-1', reported(stop(), { status: 'filled', filledQuantity: '2' }))],
        fills: [
          fillsOf('stop-1', [
            reportedFill(stop(), { tradeId: 'a', quantity: '1', fee: '0.1', feeCurrency: 'USDT' }),
            reportedFill(stop(), { tradeId: 'b', quantity: '1', fee: '0.02', feeCurrency }),
          ]),
        ],
      })
    expect(tradeOf(plan(held, closing('USDT')))).toMatchObject({ fees: '0.12', metadata: { feeCurrency: 'USDT' } })
    expect(tradeOf(plan(held, closing('BNB')))).toMatchObject({ fees: null })
  })

  it('keeps its strategy and metadata in the trade', () => {
    const named = position({ strategy: 'breakout', metadata: { signal: 7 } })
    const decided = plan(
      state({ positions: [named], orders: [stop()] }),
      report(filled(stop(), [{ price: '90', quantity: '2' }])),
    )
    expect(tradeOf(decided)).toMatchObject({ strategy: 'breakout', metadata: { signal: 7 } })
  })

  it('has its other exits canceled first: they could open the opposite position', () => {
    const target = order({
      id: 'target',
      clientOrderId: 'target',
      exchangeOrderId: 'x-t',
      side: 'sell',
      purpose: 'exit',
    })
    const decided = plan(
      state({ positions: [position()], orders: [stop(), target] }),
      report({ ...filled(stop(), [{ price: '90', quantity: '2' }]), openOrders: [listed([reported(target)])] }),
    )
    expect(canceled(decided)).toEqual(['target'])
    expect(writesOf(decided)).toEqual([])
  })

  it('rejects intents that never left the house', () => {
    const target = order({
      id: 'target',
      side: 'sell',
      purpose: 'exit',
      state: 'intent',
      exchangeOrderId: null,
      clientOrderId: 'target',
    })
    const closing = filled(stop(), [{ price: '90', quantity: '2' }])
    const decided = plan(
      state({ positions: [position()], orders: [stop(), target] }),
      report({ ...closing, orders: [...closing.orders, answer('target', NOT_FOUND)] }),
      { onUnknownIntent: 'resubmit' },
    )
    expect(submitted(decided)).toEqual([])
    expect(orderAfter(decided, 'target')?.state).toBe('rejected')
    expect(codes(decided)).toContain('POSITION_CLOSED')
  })

  it('opened and closed in between leaves its trade alone', () => {
    const exit = order({
      id: 'exit-1',
      clientOrderId: 'exit-1',
      exchangeOrderId: 'x-exit',
      side: 'sell',
      purpose: 'exit',
    })
    const opening = filled(entry, [{ price: '100', quantity: '2' }])
    const closing = filled(exit, [{ price: '101', quantity: '2' }])
    const decided = plan(
      state({ orders: [entry, exit] }),
      report({ orders: [...opening.orders, ...closing.orders], fills: [...opening.fills, ...closing.fills] }),
    )
    expect(tradeOf(decided)).toMatchObject({ pnl: '2', exitReason: 'exit' })
    expect(writesOf(decided).map((each) => each.kind)).not.toContain('put-position')
  })
})

describe('a partial exit', () => {
  it('reduces the position and leaves its entry price', () => {
    const decided = plan(
      state({ positions: [position()], orders: [stop()] }),
      report({
        openOrders: [listed([reported(stop(), { filledQuantity: '0.5' })])],
        fills: [fillsOf('stop-1', [reportedFill(stop(), { quantity: '0.5', price: '90' })])],
      }),
    )
    expect(positionAfter(decided)).toMatchObject({ quantity: '1.5', entryPrice: '100.00', stopOrderId: 'stop-1' })
    expect(codes(decided)).toContain('POSITION_UPDATED')
  })

  it('that is larger than the position is nobody’s to explain', () => {
    const decided = plan(
      state({ positions: [position({ quantity: '1' })], orders: [stop()] }),
      report(filled(stop(), [{ price: '90', quantity: '2' }])),
    )
    expect(unresolved(decided)).toEqual({ 'BTC-1': 'EXIT_EXCEEDS_POSITION', 'stop-1': 'RELATED_UNRESOLVED' })
    expect(writesOf(decided)).toEqual([])
  })

  it('of a position the store does not have is recorded and pointed out', () => {
    const decided = plan(state({ orders: [stop()] }), report(filled(stop(), [{ price: '90', quantity: '2' }])))
    expect(codes(decided)).toContain('EXIT_WITHOUT_POSITION')
    expect(orderAfter(decided, 'stop-1')?.state).toBe('filled')
  })
})

describe('what one member of a group leaves open', () => {
  it('leaves the position and all its orders as they are', () => {
    const target = order({
      id: 'target',
      clientOrderId: 'target',
      exchangeOrderId: 'x-t',
      side: 'sell',
      purpose: 'exit',
    })
    const decided = plan(
      state({ positions: [position()], orders: [stop(), target] }),
      report({
        orders: [answer('stop-1', reported(stop(), { status: 'canceled' })), answer('target', FAILED)],
      }),
    )
    expect(unresolved(decided)).toEqual({
      target: 'ORDER_QUERY_FAILED',
      'stop-1': 'RELATED_UNRESOLVED',
      'BTC-1': 'RELATED_UNRESOLVED',
    })
    expect(decided.groups[0]?.actions).toEqual([])
  })

  it('does not keep another position from being settled', () => {
    const other = position({ id: 'ETH-1', symbol: 'ETH/USDT', stopOrderId: null, currentStop: null })
    const otherEntry = order({
      id: 'entry-2',
      clientOrderId: 'entry-2',
      exchangeOrderId: 'x2',
      symbol: 'ETH/USDT',
      positionId: 'ETH-1',
    })
    const decided = plan(
      state({ positions: [position(), other], orders: [stop(), otherEntry] }),
      report({
        orders: [answer('stop-1', FAILED), answer('entry-2', reported(otherEntry, { status: 'canceled' }))],
        positions: [
          { symbol: SYMBOL, side: 'long', askedAtMs: NOW, result: { status: 'not-tracked' } },
          { symbol: 'ETH/USDT', side: 'long', askedAtMs: NOW, result: { status: 'not-tracked' } },
        ],
      }),
    )
    expect(orderAfter(decided, 'entry-2')?.state).toBe('canceled')
    expect(Object.keys(unresolved(decided))).toEqual(['stop-1', 'BTC-1'])
  })
})

describe('documents that do not fit together', () => {
  it.each([
    ['an entry against the side of its position', order({ side: 'sell' })],
    ['an order on another symbol than its position', order({ symbol: 'ETH/USDT' })],
  ])('%s: unresolved', (_what, odd) => {
    const decided = plan(
      state({ positions: [position(unstopped)], orders: [odd] }),
      report({
        ...filled(odd, [{ price: '100', quantity: '2' }]),
        openOrders: [listed([]), { ...listed([]), symbol: 'ETH/USDT' }],
      }),
    )
    expect(unresolved(decided)).toMatchObject({ 'entry-1': 'ORDER_CONTRADICTS_POSITION' })
  })

  it('a position of nothing: unresolved', () => {
    const decided = plan(state({ positions: [position({ ...unstopped, quantity: '0' })] }), report())
    expect(unresolved(decided)).toEqual({ 'BTC-1': 'POSITION_INVALID' })
  })

  it('two positions that name the same stop: unresolved, both', () => {
    const twin = position({ id: 'BTC-2' })
    const decided = plan(
      state({ positions: [position(), twin], orders: [stop()] }),
      report({ openOrders: [listed([reported(stop())])] }),
    )
    expect(unresolved(decided)).toMatchObject({ 'BTC-1': 'STOP_SHARED', 'BTC-2': 'STOP_SHARED' })
  })
})

describe('the exchange’s own position', () => {
  const resting = { openOrders: [listed([reported(stop())])] }
  const held = state({ positions: [position()], orders: [stop()] })

  it('that agrees changes nothing', () => {
    const decided = plan(held, report({ ...resting, positions: [holds('2.000')] }))
    expect(decided.groups[0]?.actions).toEqual([])
    expect(unresolved(decided)).toEqual({})
  })

  it('that differs leaves the position unresolved', () => {
    const decided = plan(held, report({ ...resting, positions: [holds('1.5')] }))
    expect(unresolved(decided)).toEqual({ 'BTC-1': 'POSITION_MISMATCH', 'stop-1': 'RELATED_UNRESOLVED' })
  })

  it('is compared with the sum over all positions of the store', () => {
    const twin = position({ id: 'BTC-2', ...unstopped, quantity: '1' })
    const both = state({ positions: [position(), twin], orders: [stop()] })
    expect(unresolved(plan(both, report({ ...resting, positions: [holds('3')] })))).toEqual({})
    expect(unresolved(plan(both, report({ ...resting, positions: [holds('2')] })))).toMatchObject({
      'BTC-1': 'POSITION_MISMATCH',
      'BTC-2': 'POSITION_MISMATCH',
    })
  })

  it('is not compared while one of the positions is unresolved: the sum is not known', () => {
    const twin = position({ id: 'BTC-2', ...unstopped, quantity: '1' })
    const both = state({ positions: [position(), twin], orders: [stop()] })
    const decided = plan(both, report({ orders: [answer('stop-1', FAILED)], positions: [holds('2.5')] }))
    expect(unresolved(decided)).toEqual({ 'stop-1': 'ORDER_QUERY_FAILED', 'BTC-1': 'RELATED_UNRESOLVED' })
  })

  it('that is flat where several positions are in the store does not say whose fills are whose', () => {
    const twin = position({ id: 'BTC-2', ...unstopped, quantity: '1' })
    const both = state({ positions: [position(), twin], orders: [stop()] })
    const flat = report({ ...resting, positions: [holds('0')], symbolFills: [fillsSince('BTC-2', [])] })
    expect(unresolved(plan(both, flat))).toMatchObject({ 'BTC-1': 'POSITION_MISMATCH', 'BTC-2': 'POSITION_MISMATCH' })
  })

  it('is not compared when others trade on the account', () => {
    const decided = plan(held, report({ ...resting, positions: [holds('1.5')] }), { checkPositions: false })
    expect(unresolved(decided)).toEqual({})
  })

  it.each([
    ['failed', [{ ...holds('2'), result: FAILED }]],
    ['got no answer', []],
    ['got two answers', [holds('2'), holds('1')]],
  ])('that could not be read (%s) is never taken for flat', (_why, positions) => {
    const decided = plan(held, report({ ...resting, positions }))
    expect(unresolved(decided)).toMatchObject({ 'BTC-1': 'POSITION_QUERY_FAILED' })
    expect(writesOf(decided)).toEqual([])
  })
})

describe('a position the exchange no longer holds', () => {
  const gone = { orders: [answer('stop-1', reported(stop(), { status: 'canceled' }))], positions: [holds('0')] }
  const held = state({ positions: [position()], orders: [stop()] })
  const closing = (quantity: string, changes = {}) =>
    reportedFill(stop({ exchangeOrderId: 'manual' }), { tradeId: `m${quantity}`, quantity, price: '120', ...changes })

  it('is closed by the fills that account for all of it, under an order made for them', () => {
    const decided = plan(
      held,
      report({ ...gone, symbolFills: [fillsSince('BTC-1', [closing('0.5'), closing('1.5'), closing('0.5')])] }),
    )
    expect(tradeOf(decided)).toMatchObject({ pnl: '40', exitPrice: '120', exitReason: 'exit' })
    const [adopted] = writesOf(decided).flatMap((each) => (each.kind === 'insert-order' ? [each.order] : []))
    expect(adopted).toMatchObject({ exchangeOrderId: 'manual', state: 'filled', quantity: '2', positionId: 'BTC-1' })
    expect(fillsAdded(decided).map((each) => each.orderId)).toEqual([adopted?.id, adopted?.id])
    expect(writesOf(decided).at(-1)).toEqual({ kind: 'delete-position', positionId: 'BTC-1' })
  })

  it.each([
    ['do not account for all of it', [closing('0.5')]],
    ['account for more', [closing('0.5'), closing('1.5'), closing('1')]],
    ['are from before it was opened', [closing('2', { filledAt: OPENED_AT - 1 })]],
    ['are on its own side', [closing('2', { side: 'buy' })]],
    ['belong to an order the store knows', [closing('2', { exchangeOrderId: 'x-stop-1' })]],
  ])('stays unresolved when the fills %s', (_what, fills) => {
    const decided = plan(held, report({ ...gone, symbolFills: [fillsSince('BTC-1', fills)] }))
    expect(unresolved(decided)).toMatchObject({ 'BTC-1': 'FLAT_UNEXPLAINED' })
    expect(writesOf(decided)).toEqual([])
  })

  it('is not closed by fills that the store has already, of whichever order', () => {
    const earlier = fill({ id: 'other:m2', orderId: 'other', side: 'sell', filledAt: OPENED_AT + 1 })
    const decided = plan(
      { ...held, fills: [earlier] },
      report({ ...gone, symbolFills: [fillsSince('BTC-1', [closing('2')])] }),
    )
    expect(unresolved(decided)).toMatchObject({ 'BTC-1': 'FLAT_UNEXPLAINED' })
  })

  it('stays unresolved when its fills could not be asked for', () => {
    const decided = plan(held, report({ ...gone, symbolFills: [{ ...fillsSince('BTC-1', []), result: FAILED }] }))
    expect(unresolved(decided)).toMatchObject({ 'BTC-1': 'FILLS_QUERY_FAILED' })
  })

  it('is closed without a price when the policy says so', () => {
    const decided = plan(held, report({ ...gone, symbolFills: [fillsSince('BTC-1', [])] }), {
      onUnexplainedFlat: 'close',
    })
    expect(tradeOf(decided)).toMatchObject({ exitPrice: null, pnl: null, quantity: '2', exitReason: 'exchange-flat' })
    expect(codes(decided)).toContain('POSITION_CLOSED')
  })

  it('is closed by a stop that was recorded as filled before the position was deleted', () => {
    const done = stop({ state: 'filled', filledQuantity: '2' })
    const halfWritten = state({
      positions: [position()],
      history: [done],
      fills: [fill({ id: 'stop-1:t9', orderId: 'stop-1', side: 'sell', price: '90', filledAt: OPENED_AT + 9 })],
    })
    const flat = report({ positions: [holds('0')], symbolFills: [fillsSince('BTC-1', [])] })
    const decided = plan(halfWritten, flat)
    expect(tradeOf(decided)).toMatchObject({ pnl: '-20', exitReason: 'stop' })
    expect(fillsAdded(decided)).toEqual([])

    const untold = plan(halfWritten, report())
    expect(unresolved(untold)).toEqual({ 'BTC-1': 'STOP_FILLED_EARLIER' })
    const stillHeld = plan(halfWritten, report({ positions: [holds('2')] }))
    expect(codes(stillHeld)).toEqual(['STOP_CLEARED', 'STOP_PLACED'])
  })
})
