import { describe, expect, expectTypeOf, it } from 'vitest'
import { stopOrderId } from '../../../src/client/reconcile/deterministic-id.ts'
import type { Order } from '../../../src/client/reconcile/documents.ts'
import type { ReconcilePolicy } from '../../../src/client/reconcile/policy.ts'
import type { ReconcilableStore } from '../../../src/client/reconcile/reconcilable-store.ts'
import { reconcile } from '../../../src/client/reconcile/reconcile.ts'
import type { Store } from '../../../src/client/store.ts'
import { StoreError } from '../../../src/protocol/store-error.ts'
import { fill, NOW, OPENED_AT, order, position, reported, SYMBOL, stop } from './decision-fixtures.ts'
import { Fuse } from './fuse.ts'
import { MemoryStore, type StoreContents } from './memory-store.ts'
import { PaperExchange } from './paper-exchange.ts'
import { TestClock } from './test-clock.ts'

const firstStop = stopOrderId('BTC-1', OPENED_AT, 1)

function setUp(contents: StoreContents) {
  const store = new MemoryStore(contents)
  const exchange = new PaperExchange()
  const clock = new TestClock(NOW)
  exchange.prices.set(SYMBOL, '100')
  const run = (policy: ReconcilePolicy = {}) => reconcile(store, exchange, policy, { clock })
  return { store, exchange, clock, run }
}

/** A position with its filled entry and its stop, all of it as the exchange has it. */
function inOrder() {
  const world = setUp({
    positions: [position()],
    orders: [order({ state: 'filled', filledQuantity: '2' }), stop()],
    fills: [fill()],
  })
  world.exchange.rest(reported(stop()))
  return world
}

describe('a restart after which all is as it was', () => {
  it('is clean: nothing is written, sent or canceled, and the run is on record', async () => {
    const { store, exchange, run } = inOrder()
    const before = structuredClone(store.documents)
    const report = await run({ trailingStopPercent: '10' })
    expect(report).toMatchObject({ outcome: 'recovered' })
    expect((await run({ trailingStopPercent: '10' })).outcome).toBe('clean')
    expect(store.documents.orders).toEqual(before.orders)
    expect([exchange.sent, exchange.canceled]).toEqual([[], []])
    expect(store.recorded.map((each) => each.outcome)).toEqual(['recovered', 'clean'])
    expect(store.recorded[1]).toMatchObject({
      startedAt: NOW,
      durationMs: 0,
      counts: { positions: 1, orders: 1, rounds: 1, unresolved: 0, foreignOrders: 0 },
    })
  })

  it('is clean for a store with nothing in it', async () => {
    const { run } = setUp({})
    expect(await run()).toMatchObject({ outcome: 'clean', decisions: [], unresolved: [], foreignOrders: [] })
  })
})

describe('a stop that was canceled behind our back', () => {
  it('is placed again, and recorded as open', async () => {
    const { store, exchange, run } = inOrder()
    exchange.end('x-stop-1', 'canceled')
    const report = await run()
    expect(report).toMatchObject({ outcome: 'recovered', counts: { stopsCleared: 1, stopsPlaced: 1 } })
    expect(exchange.sent).toEqual([firstStop])
    expect(store.documents.orders.get('stop-1')?.state).toBe('canceled')
    expect(store.documents.orders.get(firstStop)).toMatchObject({ state: 'open', exchangeOrderId: `x-${firstStop}` })
    expect(store.documents.positions.get('BTC-1')?.stopOrderId).toBe(firstStop)
  })

  it('is a durable intent before it is sent', async () => {
    const { store, exchange, run } = inOrder()
    exchange.end('x-stop-1', 'canceled')
    let durable: Order | undefined
    exchange.onCreate = ({ clientOrderId }) => {
      durable = store.documents.orders.get(clientOrderId)
      return undefined
    }
    await run()
    expect(durable).toMatchObject({ id: firstStop, clientOrderId: firstStop, state: 'intent' })
  })
})

describe('a stop that has to move', () => {
  it('is canceled, and only when that is confirmed placed anew', async () => {
    const { store, exchange, run } = inOrder()
    exchange.prices.set(SYMBOL, '120')
    const report = await run({ trailingStopPercent: '5' })
    expect(exchange.canceled).toEqual(['x-stop-1'])
    expect(exchange.open()).toMatchObject([{ clientOrderId: firstStop, stopPrice: '114' }])
    expect(store.documents.positions.get('BTC-1')).toMatchObject({ currentStop: '114', highestPrice: '120' })
    expect(report.counts).toMatchObject({ rounds: 2, stopsCanceled: 1, stopsPlaced: 1 })
  })

  it('that is filled while it is canceled closes the position instead', async () => {
    const { store, exchange, run } = inOrder()
    exchange.prices.set(SYMBOL, '120')
    exchange.onCancel = () => {
      exchange.orders[0] = { ...(exchange.orders[0] as (typeof exchange.orders)[0]), status: 'open' }
      exchange.fill('x-stop-1', '2', '113.5', NOW)
    }
    await run({ trailingStopPercent: '5' })
    expect(exchange.sent).toEqual([])
    expect(store.documents.positions.size).toBe(0)
    expect([...store.documents.trades.values()]).toMatchObject([{ pnl: '27' }])
  })

  it('that can not be canceled stays, and is reported', async () => {
    const { exchange, run } = inOrder()
    exchange.prices.set(SYMBOL, '120')
    exchange.cancelOrder = async () => {
      throw new Error('no')
    }
    const report = await run({ trailingStopPercent: '5' })
    expect(report.unresolved).toEqual([
      expect.objectContaining({ reason: 'CANCEL_FAILED', untouched: false, errorCode: 'EXCHANGE_ERROR' }),
    ])
    expect(report.decisions.map((each) => each.code)).toEqual(['STOP_TRAILED'])
    expect(exchange.sent).toEqual([])
  })

  it('that the exchange never lets go is given up after some rounds', async () => {
    const { exchange, run } = inOrder()
    exchange.prices.set(SYMBOL, '120')
    exchange.cancelOrder = async () => ({ status: 'found', value: null })
    const report = await run({ trailingStopPercent: '5' })
    expect(report.unresolved.map((each) => each.reason)).toContain('ROUNDS_EXHAUSTED')
    expect(exchange.sent).toEqual([])
  })
})

describe('a position that was stopped out', () => {
  it('is a trade afterwards, and its fills are in the store', async () => {
    const { store, exchange, run } = inOrder()
    exchange.fill('x-stop-1', '0.5', '89.98', NOW - 2)
    exchange.fill('x-stop-1', '1.5', '89.90', NOW - 1)
    expect(await run()).toMatchObject({ outcome: 'recovered', counts: { positionsClosed: 1, fillsImported: 2 } })
    expect(store.documents.positions.size).toBe(0)
    expect([...store.documents.trades.values()]).toMatchObject([{ pnl: '-20.16', quantity: '2', closedAt: NOW - 1 }])
    expect([...store.documents.fills.keys()]).toEqual(['entry-1:t1', 'stop-1:t1', 'stop-1:t2'])
  })

  it('has its take-profit canceled before it is closed in the store', async () => {
    const target = order({
      id: 'target',
      clientOrderId: 'target',
      exchangeOrderId: 'x-target',
      side: 'sell',
      purpose: 'exit',
    })
    const { store, exchange, run } = setUp({ positions: [position()], orders: [stop(), target] })
    exchange.rest(reported(stop()))
    exchange.rest(reported(target))
    exchange.fill('x-stop-1', '2', '90', NOW - 1)
    await run()
    expect(exchange.open()).toEqual([])
    expect(store.documents.positions.size).toBe(0)
    expect(store.documents.orders.get('target')?.state).toBe('canceled')
  })
})

describe('a position that somebody closed by hand', () => {
  const closedByHand = () => {
    const world = inOrder()
    world.exchange.end('x-stop-1', 'canceled')
    world.exchange.held = () => '0'
    const id = world.exchange.rest({ clientOrderId: 'web-1', symbol: SYMBOL, side: 'sell', quantity: '2' })
    world.exchange.fill(id, '2', '130', NOW - 5)
    return world
  }

  it('is closed by the fills since it was opened', async () => {
    const { store, run } = closedByHand()
    expect(await run()).toMatchObject({ outcome: 'recovered', counts: { positionsClosed: 1, ordersAdopted: 1 } })
    expect([...store.documents.trades.values()]).toMatchObject([{ pnl: '60', exitReason: 'exit' }])
    expect((await run()).outcome).toBe('clean')
  })

  it('is not closed by fills that were another position’s', async () => {
    const { store, run } = closedByHand()
    const other = order({ id: 'other', clientOrderId: 'other', side: 'sell', state: 'filled', positionId: 'BTC-0' })
    store.documents.orders.set('other', other)
    store.documents.fills.set('other:t1', fill({ id: 'other:t1', orderId: 'other', side: 'sell', filledAt: NOW - 5 }))
    expect((await run()).unresolved).toMatchObject([{ subject: { id: 'BTC-1' }, reason: 'FLAT_UNEXPLAINED' }, {}])
    expect(store.documents.positions.size).toBe(1)
  })
})

describe('a breached stop', () => {
  it('is closed at the market in one run, when the policy says so', async () => {
    const { store, exchange, run } = inOrder()
    exchange.end('x-stop-1', 'canceled')
    exchange.prices.set(SYMBOL, '80')
    exchange.onCreate = (request) => {
      const id = exchange.rest({ ...request })
      exchange.fill(id, String(request.quantity), '79.9', NOW)
      return { status: 'accepted', order: exchange.orders.at(-1) as (typeof exchange.orders)[0] }
    }
    const report = await run({ onBreachedStop: 'exit' })
    expect(report).toMatchObject({ outcome: 'recovered', counts: { exitsPlaced: 1, positionsClosed: 1 } })
    expect([...store.documents.trades.values()]).toMatchObject([{ pnl: '-40.2', exitReason: 'exit' }])
  })
})

describe('an order whose answer was lost', () => {
  const lost = () => {
    const world = inOrder()
    world.exchange.end('x-stop-1', 'canceled')
    return world
  }

  it('is found by its client order id, and not sent again', async () => {
    const { store, exchange, run } = lost()
    exchange.onCreate = (request) => {
      exchange.rest({ ...request })
      throw new Error('connection reset')
    }
    const report = await run()
    expect(report.outcome).toBe('recovered')
    expect(exchange.sent).toEqual([firstStop])
    expect(store.documents.orders.get(firstStop)?.state).toBe('open')
  })

  it('stays an intent when it is not found: it may still arrive', async () => {
    const { store, exchange, clock, run } = lost()
    exchange.onCreate = () => {
      throw new Error('connection reset')
    }
    const report = await run()
    expect(report.unresolved).toMatchObject([
      { subject: { id: firstStop }, reason: 'SUBMIT_UNKNOWN', untouched: false },
    ])
    expect(store.documents.orders.get(firstStop)?.state).toBe('intent')

    exchange.onCreate = () => undefined
    await run({ settleMs: 3_000 })
    expect(clock.slept).toContain(3_000)
    expect(exchange.sent).toEqual([firstStop, firstStop])
    expect(exchange.open()).toHaveLength(1)
  })

  it('that arrived late is found by the next run', async () => {
    const { store, exchange, run } = lost()
    let late: Parameters<PaperExchange['rest']>[0] | undefined
    exchange.onCreate = (request) => {
      late = { ...request }
      throw new Error('time-out')
    }
    await run()
    if (late !== undefined) exchange.rest(late)
    expect((await run()).outcome).toBe('recovered')
    expect(exchange.sent).toEqual([firstStop])
    expect(store.documents.orders.get(firstStop)?.state).toBe('open')
  })

  it('because the exchange says it has it already is looked up', async () => {
    const { store, exchange, run } = lost()
    exchange.onCreate = (request) => {
      exchange.rest({ ...request })
      return { status: 'refused', reason: 'Duplicate order sent.' }
    }
    await run()
    expect(store.documents.orders.get(firstStop)?.state).toBe('open')
  })

  it('counts as on its way from the moment it was given up', async () => {
    const { store, exchange, clock, run } = lost()
    exchange.onCreate = () => {
      void clock.sleep(10_000)
      throw new Error('time-out')
    }
    await run()
    expect(store.documents.orders.get(firstStop)).toMatchObject({ state: 'intent', updatedAt: NOW + 10_000 })
  })

  it('stays an intent when it is refused and nobody can say whether it is there all the same', async () => {
    const { store, exchange, run } = lost()
    exchange.onCreate = () => ({ status: 'refused', reason: 'Duplicate order sent.' })
    exchange.fails = (question, subject) => question === 'order' && subject === firstStop
    const report = await run()
    expect(report.unresolved).toMatchObject([{ subject: { id: firstStop }, reason: 'SUBMIT_UNKNOWN' }])
    expect(store.documents.orders.get(firstStop)?.state).toBe('intent')
  })

  it('is given up by a time limit of its own', async () => {
    const { exchange, run } = lost()
    exchange.createOrder = () => new Promise(() => undefined)
    const report = await run({ queryTimeoutMs: 20 })
    expect(report.unresolved).toMatchObject([{ reason: 'SUBMIT_UNKNOWN', errorCode: 'TIMEOUT' }])
  })
})

describe('an order the exchange refuses', () => {
  it('is rejected, the position has no stop order, and the next run tries another', async () => {
    const { store, exchange, run } = inOrder()
    exchange.end('x-stop-1', 'canceled')
    exchange.onCreate = () => ({ status: 'refused', reason: 'insufficient balance' })
    const report = await run()
    expect(report).toMatchObject({ outcome: 'unresolved', counts: { stopsPlaced: 0 } })
    expect(report.unresolved).toMatchObject([{ subject: { id: firstStop }, reason: 'SUBMIT_REFUSED' }])
    expect(store.documents.orders.get(firstStop)?.state).toBe('rejected')
    expect(store.documents.positions.get('BTC-1')?.stopOrderId).toBeNull()

    exchange.onCreate = () => undefined
    expect((await run()).outcome).toBe('recovered')
    expect(exchange.sent).toEqual([firstStop, stopOrderId('BTC-1', OPENED_AT, 2)])
  })
})

describe('an intent from before the crash', () => {
  const intent = order({ state: 'intent', exchangeOrderId: null, updatedAt: NOW - 1_000 })

  it('is asked for again when it may have been on its way', async () => {
    const { store, exchange, clock, run } = setUp({ orders: [intent] })
    const fetchOrder = exchange.fetchOrder.bind(exchange)
    exchange.fetchOrder = async (reference) => {
      const answer = await fetchOrder(reference)
      if (exchange.orders.length === 0) exchange.rest(reported(intent))
      return answer
    }
    await run({ onUnknownIntent: 'resubmit' })
    expect(clock.slept).toEqual([2_000])
    expect(exchange.sent).toEqual([])
    expect(store.documents.orders.get('entry-1')).toMatchObject({ state: 'open', exchangeOrderId: 'x-entry-1' })
  })

  it('is sent again once, and never while the exchange does not answer', async () => {
    const { exchange, run } = setUp({ orders: [intent] })
    exchange.fails = (question) => question === 'order'
    expect((await run({ onUnknownIntent: 'resubmit' })).outcome).toBe('unresolved')
    expect(exchange.sent).toEqual([])
    exchange.fails = () => false
    await run({ onUnknownIntent: 'resubmit' })
    await run({ onUnknownIntent: 'resubmit' })
    expect(exchange.sent).toEqual(['entry-1'])
  })
})

describe('a query that fails', () => {
  it('is tried again, with growing pauses, before it counts as failed', async () => {
    const { exchange, clock, run } = inOrder()
    let failures = 2
    exchange.fails = (question) => question === 'openOrders' && failures-- > 0
    expect((await run()).outcome).toBe('clean')
    expect(clock.slept).toEqual([100, 200])
  })

  it('leaves what it was about untouched, and names the error', async () => {
    const { store, exchange, run } = inOrder()
    exchange.end('x-stop-1', 'canceled')
    exchange.fails = (question) => question === 'lastPrice'
    const before = structuredClone(store.documents)
    const report = await run()
    expect(report.outcome).toBe('unresolved')
    expect(report.unresolved).toEqual([
      {
        subject: { kind: 'position', id: 'BTC-1', symbol: SYMBOL },
        reason: 'PRICE_QUERY_FAILED',
        untouched: true,
        errorCode: 'EXCHANGE_ERROR',
      },
      { subject: { kind: 'order', id: 'stop-1', symbol: SYMBOL }, reason: 'RELATED_UNRESOLVED', untouched: true },
    ])
    expect(store.documents).toEqual(before)
    expect(store.recorded).toMatchObject([
      { outcome: 'unresolved', metadata: { unresolved: [{ id: 'BTC-1', reason: 'PRICE_QUERY_FAILED' }, {}] } },
    ])
  })

  it('by never answering has a time limit', async () => {
    const { exchange, run } = inOrder()
    exchange.fetchLastPrice = () => new Promise(() => undefined)
    const report = await run({ trailingStopPercent: '5', queryTimeoutMs: 10, queryAttempts: 2 })
    expect(report.unresolved[0]).toMatchObject({ reason: 'PRICE_QUERY_FAILED', errorCode: 'TIMEOUT' })
    expect(report.counts.queriesFailed).toBe(1)
  })

  it('because the answer makes no sense is a failed one', async () => {
    const { exchange, run } = inOrder()
    exchange.fetchOpenOrders = async () => [{ ...reported(stop()), filledQuantity: 'lots' }]
    const report = await run()
    expect(report.unresolved.map((each) => [each.subject.id, each.reason])).toContainEqual([
      SYMBOL,
      'OPEN_ORDERS_QUERY_FAILED',
    ])
  })

  it('never runs more at a time than allowed', async () => {
    const positions = Array.from({ length: 12 }, (_, index) =>
      position({ id: `P${index}`, symbol: `C${index}/USDT`, stopOrderId: null, currentStop: null }),
    )
    const { exchange, run } = setUp({ positions })
    let active = 0
    let most = 0
    exchange.fetchOpenOrders = async () => {
      active += 1
      most = Math.max(most, active)
      await new Promise((resolve) => setTimeout(resolve, 1))
      active -= 1
      return []
    }
    await run({ queryConcurrency: 3 })
    expect(most).toBe(3)
  })
})

describe('answers from different moments', () => {
  it('that do not agree are asked for once more before the position is left unresolved', async () => {
    const { store, exchange, run } = inOrder()
    exchange.held = () => (exchange.fills.length === 0 ? '2' : '0')
    // The stop is filled right after the open orders were listed.
    let isFilled = false
    exchange.afterAnswer = () => {
      if (isFilled) return
      isFilled = true
      exchange.fill('x-stop-1', '2', '90', NOW)
    }
    const report = await run()
    expect(report).toMatchObject({ outcome: 'recovered', unresolved: [] })
    expect(store.documents.positions.size).toBe(0)
  })
})

describe('a bot that trades meanwhile', () => {
  it('is not overwritten: the second look starts from what it wrote', async () => {
    const { store, exchange, run } = inOrder()
    exchange.end('x-stop-1', 'canceled')
    const own = stop({ id: 'own', clientOrderId: 'own', exchangeOrderId: 'x-own', quantity: '1' })
    store.beforeCommit = () => {
      store.beforeCommit = () => undefined
      store.documents.orders.set('own', own)
      store.documents.positions.set('BTC-1', position({ quantity: '1', stopOrderId: 'own' }))
      exchange.rest(reported(own))
    }
    const report = await run()
    expect(report).toMatchObject({ outcome: 'recovered', counts: { rounds: 2 } })
    expect(store.documents.positions.get('BTC-1')).toEqual(position({ quantity: '1', stopOrderId: 'own' }))
    expect(store.documents.orders.get('stop-1')?.state).toBe('canceled')
    expect(exchange.sent).toEqual([])
  })

  it.each([
    [
      'changes the position',
      (store: MemoryStore, turn: number) => store.documents.positions.set('BTC-1', position({ updatedAt: turn })),
    ],
    [
      'changes an order',
      (store: MemoryStore, turn: number) => store.documents.orders.set('stop-1', stop({ updatedAt: turn })),
    ],
    [
      'places another stop',
      (store: MemoryStore, turn: number) =>
        store.documents.orders.set(`own-${turn}`, stop({ id: `own-${turn}`, clientOrderId: `own-${turn}` })),
    ],
  ])('and %s each time is left alone', async (_what, interfere) => {
    const { store, exchange, run } = inOrder()
    exchange.end('x-stop-1', 'canceled')
    let turn = 0
    store.beforeCommit = () => void interfere(store, ++turn)
    exchange.fetchOrder = async ({ exchangeOrderId }) =>
      exchangeOrderId === 'x-stop-1'
        ? { status: 'found', value: reported(stop(), { status: 'canceled' }) }
        : { status: 'not-found' }
    const report = await run()
    expect(report.unresolved.map((each) => each.reason)).toContain('STATE_CHANGED')
    expect(report.decisions).toEqual([])
    expect(exchange.sent).toEqual([])
  })
})

describe('a store that fails', () => {
  it('ends the run before anything is sent, and the failure is on record', async () => {
    const { store, exchange, run } = inOrder()
    exchange.end('x-stop-1', 'canceled')
    store.failNextCommit = new StoreError('DISK_FULL', 'The disk is full. Free some space.')
    await expect(run()).rejects.toMatchObject({ code: 'DISK_FULL' })
    expect(exchange.sent).toEqual([])
    expect(store.recorded).toMatchObject([{ outcome: 'failed' }])
  })

  it('to take one group’s documents leaves only that group', async () => {
    const { store, exchange, run } = inOrder()
    exchange.end('x-stop-1', 'canceled')
    store.failNextCommit = new StoreError('CONSTRAINT', 'Another document already has this "clientOrderId".')
    const report = await run()
    expect(report.unresolved).toContainEqual(
      expect.objectContaining({ reason: 'STORE_REFUSED', errorCode: 'CONSTRAINT', untouched: true }),
    )
    expect(exchange.sent).toEqual([])
  })
})

describe('foreign orders', () => {
  const theirs = { clientOrderId: 'web-1', symbol: SYMBOL, side: 'buy', quantity: '1' } as const

  it('are reported, on every symbol when the exchange lists them all, and left alone', async () => {
    const { exchange, run } = inOrder()
    exchange.rest(theirs)
    exchange.rest({ ...theirs, symbol: 'ETH/USDT', clientOrderId: 'web-2' })
    expect((await run()).foreignOrders.map((each) => each.clientOrderId)).toEqual(['web-1'])
    exchange.listAllOpenOrders()
    const report = await run()
    expect(report.foreignOrders.map((each) => each.clientOrderId)).toEqual(['web-1', 'web-2'])
    expect(exchange.canceled).toEqual([])
  })

  it('are canceled when the policy says so', async () => {
    const { exchange, run } = inOrder()
    exchange.rest(theirs)
    const report = await run({ onForeignOrder: 'cancel' })
    expect(report.counts).toMatchObject({ foreignOrders: 1, foreignOrdersCanceled: 1 })
    expect(exchange.open().map((each) => each.clientOrderId)).toEqual(['stop-1'])
  })

  it('that the store has as final say so', async () => {
    const { store, exchange, run } = inOrder()
    store.documents.orders.set('old', order({ id: 'old', clientOrderId: 'web-1', state: 'rejected' }))
    exchange.rest(theirs)
    expect((await run()).foreignOrders).toMatchObject([{ recordedAs: { orderId: 'old', state: 'rejected' } }])
  })
})

describe('a dry run', () => {
  it('says what would be done, and does none of it', async () => {
    const { store, exchange, run } = inOrder()
    exchange.end('x-stop-1', 'canceled')
    exchange.rest({ clientOrderId: 'web-1', symbol: SYMBOL, side: 'buy', quantity: '1' })
    const before = structuredClone(store.documents)
    const report = await run({ dryRun: true, onForeignOrder: 'cancel' })
    expect(report).toMatchObject({ dryRun: true, outcome: 'recovered', counts: { stopsPlaced: 1 } })
    expect(report.actions.map((each) => each.kind)).toEqual(['cancel-order', 'commit', 'submit-order'])
    expect(store.documents).toEqual(before)
    expect([exchange.sent, exchange.canceled, store.recorded]).toEqual([[], [], []])
  })
})

describe('a policy that is none', () => {
  it.each([
    [{ trailingStopPercent: '100' }, '"trailingStopPercent" is not valid'],
    [{ trailingStopPercent: '0' }, '"trailingStopPercent" is not valid'],
    [{ tickSize: { BTC: '-1' } }, '"tickSize.BTC" is not valid'],
    [{ queryAttempts: 0 }, '"queryAttempts" is not valid'],
    [{ trailing: '5' } as ReconcilePolicy, 'unknown field "trailing"'],
  ])('is refused before anything is asked: %o', async (policy, message) => {
    const { exchange, run } = inOrder()
    await expect(run(policy)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining(message),
    })
    expect(exchange.asked).toEqual([])
  })
})

describe('a crash in the middle', () => {
  it('of sending leaves an intent, which the next run finds', async () => {
    const { store, exchange, run } = inOrder()
    exchange.end('x-stop-1', 'canceled')
    exchange.fuse = new Fuse(0, 'after')
    store.fuse = new Fuse(1)
    await expect(run()).rejects.toThrow('the process has crashed')
    const next = { store: store.restarted(), exchange: exchange.restarted() }
    expect(next.store.documents.orders.get(firstStop)?.state).toBe('intent')
    await reconcile(next.store, next.exchange, {}, { clock: new TestClock(NOW + 60_000) })
    expect(next.exchange.sent).toEqual([firstStop])
    expect(next.store.documents.orders.get(firstStop)?.state).toBe('open')
  })
})

describe('the real store', () => {
  it('is one that can be reconciled', () => {
    expectTypeOf<Store>().toExtend<ReconcilableStore>()
  })
})
