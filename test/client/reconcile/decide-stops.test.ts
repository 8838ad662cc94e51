import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compare } from '../../../src/client/reconcile/decimal-math.ts'
import { exitOrderId, stopOrderId } from '../../../src/client/reconcile/deterministic-id.ts'
import { tighter, trailingStopPrice } from '../../../src/client/reconcile/stop-decision.ts'
import {
  answer,
  canceled,
  codes,
  FAILED,
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
  price,
  report,
  reported,
  reportedFill,
  rules,
  SYMBOL,
  state,
  stop,
  submitted,
  unresolved,
  writesOf,
} from './decision-fixtures.ts'

const held = state({ positions: [position()], orders: [stop()] })
const resting = { openOrders: [listed([reported(stop())])] }
const gone = { orders: [answer('stop-1', reported(stop(), { status: 'canceled' }))] }
const firstStop = stopOrderId('BTC-1', OPENED_AT, 1)
const secondStop = stopOrderId('BTC-1', OPENED_AT, 2)

describe('a stop that waits at the exchange', () => {
  it('is left alone when it is where it belongs', () => {
    const decided = plan(held, report(resting))
    expect(decided.groups[0]).toMatchObject({ actions: [], decisions: [], unresolved: [] })
  })

  it('becomes the stop of a position that forgot to name it', () => {
    const decided = plan(state({ positions: [position({ stopOrderId: null })], orders: [stop()] }), report(resting))
    expect(positionAfter(decided)).toMatchObject({ stopOrderId: 'stop-1' })
    expect(codes(decided)).toEqual(['STOP_ADOPTED'])
    expect(submitted(decided)).toEqual([])
  })

  it('is canceled to be moved when it is looser than the stop the store has', () => {
    const decided = plan(state({ positions: [position({ currentStop: '92' })], orders: [stop()] }), report(resting))
    expect(canceled(decided)).toEqual(['stop-1'])
    expect(codes(decided)).toEqual(['STOP_REPLACED'])
    expect(submitted(decided)).toEqual([])
  })

  it('tightens the stop of the store when it is tighter', () => {
    const tight = reported(stop(), { stopPrice: '93' })
    const decided = plan(held, report({ openOrders: [listed([tight])] }))
    expect(positionAfter(decided)).toMatchObject({ currentStop: '93' })
    expect(canceled(decided)).toEqual([])
  })

  it('is canceled to be replaced when it covers another quantity', () => {
    const decided = plan(state({ positions: [position({ quantity: '3' })], orders: [stop()] }), report(resting))
    expect(canceled(decided)).toEqual(['stop-1'])
  })

  it('is not moved for less than a tick, nor for what the exchange rounded away', () => {
    const off = state({ positions: [position({ currentStop: '90.004' })], orders: [stop()] })
    expect(canceled(plan(off, report({ ...resting, marketRules: [rules('0.01')] })))).toEqual([])
    const tick = state({ positions: [position({ currentStop: '90.01' })], orders: [stop()] })
    expect(canceled(plan(tick, report({ ...resting, marketRules: [rules('0.01')] })))).toEqual(['stop-1'])
    const asked = stop({ stopPrice: '90.004' })
    const rounded = { openOrders: [listed([reported(asked, { stopPrice: '90.00' })])] }
    const kept = state({ positions: [position({ currentStop: '90.004' })], orders: [asked] })
    expect(canceled(plan(kept, report(rounded)))).toEqual([])
  })

  it('that the venue trails itself is left to the venue', () => {
    const trailing = stop({ type: 'trailing_stop', stopPrice: null })
    const decided = plan(
      state({ positions: [position({ currentStop: '95' })], orders: [trailing] }),
      report({ openOrders: [listed([reported(trailing)])] }),
      { trailingStopPercent: '5' },
    )
    expect(decided.groups[0]?.actions).toEqual([])
  })
})

describe('a stop that is gone', () => {
  it.each([
    ['not found', { orders: [answer('stop-1', NOT_FOUND)], fills: [fillsOf('stop-1', [])] }],
    ['canceled', gone],
    ['expired', { orders: [answer('stop-1', reported(stop(), { status: 'expired' as const }))] }],
    ['rejected', { orders: [answer('stop-1', reported(stop(), { status: 'rejected' as const }))] }],
  ])('(%s) is cleared and placed again at the same price, its intent durable first', (_how, changes) => {
    const decided = plan(held, report(changes))
    const intent = orderAfter(decided, firstStop)
    expect(intent).toEqual({
      id: firstStop,
      clientOrderId: firstStop,
      symbol: SYMBOL,
      side: 'sell',
      type: 'stop',
      purpose: 'stop',
      state: 'intent',
      quantity: '2',
      stopPrice: '90.00',
      filledQuantity: '0',
      reduceOnly: true,
      positionId: 'BTC-1',
      createdAt: NOW,
      updatedAt: NOW,
    })
    expect(positionAfter(decided)).toMatchObject({ stopOrderId: firstStop, currentStop: '90.00' })
    expect(decided.groups[0]?.actions.map((each) => each.kind)).toEqual(['commit', 'submit-order'])
    expect(submitted(decided)).toEqual([intent])
    expect(codes(decided)).toEqual(['ORDER_UPDATED', 'STOP_CLEARED', 'STOP_PLACED'])
  })

  it('and was never recorded is asked for by either id, cleared, and placed again', () => {
    const named = state({ positions: [position({ stopOrderId: '4711' })] })
    const decided = plan(named, report({ orders: [answer('4711', NOT_FOUND), answer('4711', NOT_FOUND)] }))
    expect(codes(decided)).toEqual(['STOP_CLEARED', 'STOP_PLACED'])
    const half = plan(named, report({ orders: [answer('4711', NOT_FOUND), answer('4711', FAILED)] }))
    expect(unresolved(half)).toMatchObject({ '4711': 'ORDER_QUERY_FAILED', 'BTC-1': 'RELATED_UNRESOLVED' })
  })

  it('and was never recorded is written down when it turns up', () => {
    const named = state({ positions: [position({ stopOrderId: '4711' })] })
    const open = reported(stop(), { exchangeOrderId: '4711', clientOrderId: 'web-1' })
    const decided = plan(named, report({ openOrders: [listed([open])] }))
    expect(writesOf(decided)).toEqual([
      {
        kind: 'insert-order',
        order: expect.objectContaining({ id: '4711', exchangeOrderId: '4711', clientOrderId: 'web-1', state: 'open' }),
      },
    ])
    expect(codes(decided)).toEqual(['ORDER_ADOPTED'])
  })

  it('is only cleared when no stop price is known', () => {
    const decided = plan(
      state({ positions: [position({ currentStop: null })], orders: [stop({ stopPrice: null })] }),
      report({ orders: [answer('stop-1', reported(stop(), { status: 'canceled', stopPrice: null }))] }),
    )
    expect(positionAfter(decided)).toMatchObject({ stopOrderId: null })
    expect(submitted(decided)).toEqual([])
  })

  it('gets a new id each time, never one that was used', () => {
    const used = stop({ id: firstStop, clientOrderId: firstStop, state: 'canceled' })
    const decided = plan(state({ positions: [position()], orders: [stop()], history: [used] }), report(gone))
    expect(submitted(decided).map((each) => each.id)).toEqual([secondStop])
  })

  it('is placed for whole lots, on a tick rounded towards the market', () => {
    const odd = position({ quantity: '2.0009', currentStop: '90.001' })
    const decided = plan(
      state({ positions: [odd], orders: [stop({ quantity: '2.0009' })] }),
      report({
        orders: [answer('stop-1', reported(stop(), { status: 'canceled', quantity: null }))],
        marketRules: [rules('0.05', '0.001')],
      }),
    )
    expect(submitted(decided)).toMatchObject([{ quantity: '2', stopPrice: '90.05' }])
    expect(positionAfter(decided)).toMatchObject({ currentStop: '90.05', quantity: '2.0009' })
  })

  it('follows the policy’s tick before the exchange’s', () => {
    const decided = plan(held, report({ ...gone, marketRules: [rules('0.01')] }), { tickSize: { [SYMBOL]: '7' } })
    expect(submitted(decided)).toMatchObject([{ stopPrice: '91' }])
  })

  it('can not be placed for less than a lot', () => {
    const decided = plan(held, report({ ...gone, marketRules: [rules('0.01', '5')] }))
    expect(unresolved(decided)).toMatchObject({ 'BTC-1': 'QUANTITY_BELOW_LOT' })
    expect(writesOf(decided)).toEqual([])
  })

  it.each([
    ['the price', { prices: [{ ...price('1'), result: FAILED }] }, 'PRICE_QUERY_FAILED'],
    ['the price (nobody asked)', { prices: [] }, 'PRICE_QUERY_FAILED'],
    ['the rules', { marketRules: [{ ...rules('1'), result: FAILED }] }, 'MARKET_RULES_QUERY_FAILED'],
  ])('is not placed blindly: without %s the position stays unresolved', (_what, changes, reason) => {
    const decided = plan(held, report({ ...gone, ...changes }))
    expect(unresolved(decided)).toMatchObject({ 'BTC-1': reason })
    expect(decided.groups[0]?.actions).toEqual([])
  })
})

describe('a stop intent', () => {
  const intent = stop({ state: 'intent', exchangeOrderId: null })
  const unsent = report({ orders: [answer('stop-1', NOT_FOUND)] })

  it('that never arrived is sent again under the same client order id, whatever the policy says of intents', () => {
    const decided = plan(state({ positions: [position()], orders: [intent] }), unsent, { onUnknownIntent: 'reject' })
    expect(submitted(decided)).toEqual([{ ...intent, updatedAt: NOW }])
    expect(codes(decided)).toEqual(['INTENT_RESUBMITTED'])
  })

  it('that arrived is not sent again', () => {
    const arrived = report({ openOrders: [listed([reported(intent)])] })
    const decided = plan(state({ positions: [position()], orders: [intent] }), arrived)
    expect(submitted(decided)).toEqual([])
    expect(orderAfter(decided, 'stop-1')).toMatchObject({ state: 'open', exchangeOrderId: 'x-stop-1' })
  })

  it('that is out of date is rejected, and another takes its place', () => {
    const decided = plan(state({ positions: [position({ currentStop: '95' })], orders: [intent] }), unsent)
    expect(orderAfter(decided, 'stop-1')?.state).toBe('rejected')
    expect(submitted(decided)).toMatchObject([{ id: firstStop, stopPrice: '95' }])
  })

  it('written before the position got its stop price gives it', () => {
    const early = position({ currentStop: null, stopOrderId: null })
    const decided = plan(state({ positions: [early], orders: [intent] }), unsent)
    expect(positionAfter(decided)).toMatchObject({ currentStop: '90.00', stopOrderId: 'stop-1' })
    expect(submitted(decided)).toHaveLength(1)
  })

  it('beside a stop that waits already is rejected', () => {
    const second = stop({ id: 'stop-2', clientOrderId: 'stop-2', state: 'intent', exchangeOrderId: null })
    const decided = plan(
      state({ positions: [position()], orders: [stop(), second] }),
      report({ ...resting, orders: [answer('stop-2', NOT_FOUND)] }),
    )
    expect(orderAfter(decided, 'stop-2')?.state).toBe('rejected')
    expect(submitted(decided)).toEqual([])
  })
})

describe('a price that has passed the stop', () => {
  const exitOrder = (changes = {}) =>
    order({
      id: 'exit-1',
      clientOrderId: 'exit-1',
      exchangeOrderId: 'x-exit',
      side: 'sell',
      purpose: 'exit',
      type: 'market',
      ...changes,
    })

  it.each(['90', '89.99'])('is reported (%s), with no order placed', (last) => {
    const decided = plan(held, report({ ...gone, prices: [price(last)] }))
    expect(unresolved(decided)).toEqual({ 'BTC-1': 'STOP_BREACHED' })
    expect(submitted(decided)).toEqual([])
    expect(positionAfter(decided)).toMatchObject({ stopOrderId: null })
  })

  it('closes the position at the market when the policy says so', () => {
    const decided = plan(held, report({ ...gone, prices: [price('89')] }), { onBreachedStop: 'exit' })
    expect(submitted(decided)).toMatchObject([
      {
        id: exitOrderId('BTC-1', OPENED_AT, 1),
        type: 'market',
        purpose: 'exit',
        side: 'sell',
        quantity: '2',
        reduceOnly: true,
      },
    ])
    expect(codes(decided)).toContain('EXIT_PLACED')
  })

  it('sends an exit again that never arrived, whatever the policy says of intents', () => {
    const unsent = exitOrder({ state: 'intent', exchangeOrderId: null })
    const decided = plan(
      state({ positions: [position()], orders: [stop(), unsent] }),
      report({ orders: [...gone.orders, answer('exit-1', NOT_FOUND)], prices: [price('89')] }),
      { onBreachedStop: 'exit', onUnknownIntent: 'reject' },
    )
    expect(submitted(decided)).toEqual([{ ...unsent, updatedAt: NOW }])
  })

  it('does not close it twice while an exit is on its way', () => {
    const exit = exitOrder()
    const decided = plan(
      state({ positions: [position()], orders: [stop(), exit] }),
      report({ ...gone, openOrders: [listed([reported(exit)])], prices: [price('89')] }),
      { onBreachedStop: 'exit' },
    )
    expect(submitted(decided)).toEqual([])
    expect(unresolved(decided)).toEqual({ 'BTC-1': 'STOP_BREACHED' })
  })

  it('keeps a looser stop that waits: it is better than none', () => {
    const decided = plan(
      state({ positions: [position({ currentStop: '95' })], orders: [stop()] }),
      report({ ...resting, prices: [price('94')] }),
    )
    expect(canceled(decided)).toEqual([])
    expect(unresolved(decided)).toEqual({ 'BTC-1': 'STOP_BREACHED' })
  })
})

describe('a trailing stop', () => {
  const trailing = { trailingStopPercent: '5' }

  it('follows the highest price of a long position', () => {
    const decided = plan(
      state({ positions: [position({ highestPrice: '104', currentStop: '98.8' })], orders: [stop()] }),
      report({ ...gone, prices: [price('120.00')] }),
      trailing,
    )
    expect(positionAfter(decided)).toMatchObject({ highestPrice: '120.00', currentStop: '114' })
    expect(submitted(decided)).toMatchObject([{ stopPrice: '114' }])
    expect(codes(decided)).toContain('STOP_TRAILED')
  })

  it('follows the lowest price of a short one', () => {
    const short = position({ side: 'short', lowestPrice: null, currentStop: '110' })
    const cover = stop({ side: 'buy', stopPrice: '110' })
    const decided = plan(
      state({ positions: [short], orders: [cover] }),
      report({
        orders: [answer('stop-1', reported(cover, { status: 'canceled' }))],
        positions: [{ symbol: SYMBOL, side: 'short', askedAtMs: NOW, result: { status: 'not-tracked' } }],
        prices: [price('80')],
      }),
      trailing,
    )
    expect(positionAfter(decided)).toMatchObject({ lowestPrice: '80', currentStop: '84' })
    expect(submitted(decided)).toMatchObject([{ side: 'buy', stopPrice: '84' }])
  })

  it('starts from the entry price', () => {
    const fresh = state({ positions: [position({ currentStop: null, stopOrderId: null })] })
    const decided = plan(fresh, report({ prices: [price('98')] }), trailing)
    expect(positionAfter(decided)).toMatchObject({ highestPrice: '100.00', currentStop: '95' })
  })

  it('moves the order that waits, by canceling it first', () => {
    const decided = plan(held, report({ ...resting, prices: [price('120')] }), trailing)
    expect(decided.groups[0]?.actions.map((each) => each.kind)).toEqual(['commit', 'cancel-order'])
    expect(positionAfter(decided)).toMatchObject({ currentStop: '114', stopOrderId: 'stop-1' })
  })

  it('stays when the price comes back', () => {
    const trailed = position({ highestPrice: '120', currentStop: '114' })
    const at = stop({ stopPrice: '114' })
    const decided = plan(
      state({ positions: [trailed], orders: [at] }),
      report({ openOrders: [listed([reported(at)])], prices: [price('115')] }),
      trailing,
    )
    expect(decided.groups[0]?.actions).toEqual([])
  })

  it('without the policy leaves stop and extremes as they are', () => {
    const decided = plan(held, report({ ...resting, prices: [price('500')] }))
    expect(decided.groups[0]?.actions).toEqual([])
  })

  it('never loosens, whatever prices and percents come', () => {
    const cents = fc.integer({ min: 1, max: 10_000_000 })
    const text = (value: number) => `${Math.floor(value / 100)}.${String(value % 100).padStart(2, '0')}`
    fc.assert(
      fc.property(
        fc.constantFrom('long' as const, 'short' as const),
        fc.record({ entry: cents, extreme: cents, stop: cents, last: cents, resting: cents }),
        fc.integer({ min: 1, max: 9_999 }).map(text),
        fc.option(fc.constantFrom('0.01', '0.5', '3')),
        fc.boolean(),
        (side, at, percent, tick, isResting) => {
          const ours = position({
            side,
            entryPrice: text(at.entry),
            currentStop: text(at.stop),
            ...(side === 'long' ? { highestPrice: text(at.extreme) } : { lowestPrice: text(at.extreme) }),
          })
          const order = stop({ side: side === 'long' ? 'sell' : 'buy', stopPrice: text(at.resting) })
          const decided = plan(
            state({ positions: [ours], orders: [order] }),
            report({
              ...(isResting
                ? { openOrders: [listed([reported(order)])] }
                : { orders: [answer('stop-1', reported(order, { status: 'canceled' }))] }),
              positions: [{ symbol: SYMBOL, side, askedAtMs: NOW, result: { status: 'not-tracked' } }],
              prices: [price(text(at.last))],
              ...(tick === null ? {} : { marketRules: [rules(tick)] }),
            }),
            { trailingStopPercent: percent },
          )
          const isNoLooser = (a: string, b: string) => compare(tighter(side, a, b), a) === 0
          const after = String(positionAfter(decided)?.currentStop ?? ours.currentStop)
          expect(isNoLooser(after, text(at.stop))).toBe(true)
          if (isResting) expect(isNoLooser(after, text(at.resting))).toBe(true)
          // Computed here in millionths of a cent.
          const best = side === 'long' ? Math.max(at.extreme, at.last) : Math.min(at.extreme, at.last)
          const factor = side === 'long' ? 1_000_000n - percentUnits(percent) : 1_000_000n + percentUnits(percent)
          const expected = BigInt(best) * factor
          const trailed = trailingStopPrice(side, text(best), percent)
          expect(compare(trailed, `${expected}e-8`)).toBe(0)
          expect(isNoLooser(after, trailed)).toBe(true)
          for (const sent of submitted(decided)) {
            expect(isNoLooser(String(sent.stopPrice), after)).toBe(true)
            expect(compare(after, String(sent.stopPrice))).toBe(0)
          }
        },
      ),
    )
  })
})

/** Percent with two decimals, in millionths of the whole. */
function percentUnits(percent: string): bigint {
  return BigInt(percent.replace('.', '')) * 100n
}

describe('several stops of one position', () => {
  const half = stop({ quantity: '1' })
  const otherHalf = stop({
    id: 'stop-2',
    clientOrderId: 'stop-2',
    exchangeOrderId: 'x-stop-2',
    quantity: '1',
    stopPrice: '85',
  })
  const both = (a: typeof half, b: typeof half) => ({ openOrders: [listed([reported(a), reported(b)])] })

  it('that cover it together are a ladder: left alone', () => {
    const decided = plan(state({ positions: [position()], orders: [half, otherHalf] }), report(both(half, otherHalf)), {
      trailingStopPercent: '5',
    })
    expect(decided.groups[0]?.actions).toEqual([])
  })

  it('that cover more than it are one too many: all but the one it names are canceled', () => {
    const second = stop({ id: 'stop-2', clientOrderId: 'stop-2', exchangeOrderId: 'x-stop-2' })
    const decided = plan(state({ positions: [position()], orders: [stop(), second] }), report(both(stop(), second)))
    expect(canceled(decided)).toEqual(['stop-2'])
  })

  it('that cover less than it, or of which it names none, are ambiguous', () => {
    const less = plan(
      state({ positions: [position({ quantity: '5' })], orders: [half, otherHalf] }),
      report(both(half, otherHalf)),
    )
    expect(unresolved(less)).toMatchObject({ 'BTC-1': 'STOPS_AMBIGUOUS' })
    const nameless = plan(
      state({ positions: [position({ quantity: '1', stopOrderId: null })], orders: [half, otherHalf] }),
      report(both(half, otherHalf)),
    )
    expect(unresolved(nameless)).toMatchObject({ 'BTC-1': 'STOPS_AMBIGUOUS' })
  })
})

describe('a stop left without a position', () => {
  it('is pointed out, brought up to date and not touched at the exchange', () => {
    const decided = plan(state({ orders: [stop()] }), report(resting))
    expect(unresolved(decided)).toEqual({ 'stop-1': 'STOP_WITHOUT_POSITION' })
    expect(canceled(decided)).toEqual([])
  })
})

describe('a store that went back in time', () => {
  it('knows its own stop again by the deterministic client order id, instead of placing it twice', () => {
    const ours = reported(stop({ clientOrderId: firstStop, exchangeOrderId: 'x-9' }))
    const decided = plan(
      state({ positions: [position({ stopOrderId: null })] }),
      report({ openOrders: [listed([ours])] }),
    )
    expect(submitted(decided)).toEqual([])
    expect(orderAfter(decided, firstStop)).toMatchObject({ state: 'open', exchangeOrderId: 'x-9', positionId: 'BTC-1' })
    expect(positionAfter(decided)).toMatchObject({ stopOrderId: firstStop })
    expect(decided.foreignOrders).toEqual([])
  })

  it('places a stop all the same beside foreign orders', () => {
    const theirs = reported(stop({ clientOrderId: 'web-1', exchangeOrderId: 'x-9' }))
    const decided = plan(
      state({ positions: [position({ stopOrderId: null })] }),
      report({ openOrders: [listed([theirs])], fills: [fillsOf('x', [reportedFill(stop())])] }),
    )
    expect(submitted(decided)).toHaveLength(1)
    expect(decided.foreignOrders).toHaveLength(1)
  })
})
