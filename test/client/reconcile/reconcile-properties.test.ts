/**
 * What must hold after every crash, whatever the exchange did meanwhile. fast-check prints the seed of a failure:
 * PROPERTY_SEED runs it again, PROPERTY_RUNS asks for more of them.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decide } from '../../../src/client/reconcile/decide.ts'
import { compare, multiply, subtract, sum } from '../../../src/client/reconcile/decimal-math.ts'
import type { Position } from '../../../src/client/reconcile/documents.ts'
import { ExchangeQueries } from '../../../src/client/reconcile/exchange-queries.ts'
import type { ExchangeReport } from '../../../src/client/reconcile/exchange-report.ts'
import { gatherReport } from '../../../src/client/reconcile/gather-report.ts'
import { loadReported, loadState } from '../../../src/client/reconcile/load-state.ts'
import { type ReconcilePolicy, resolvePolicy } from '../../../src/client/reconcile/policy.ts'
import { reconcile } from '../../../src/client/reconcile/reconcile.ts'
import { tighter } from '../../../src/client/reconcile/stop-decision.ts'
import { CrashError, Fuse } from './fuse.ts'
import { buildWorld, CRASHED_AT, foreign, policy, prices, scenario, type World } from './interrupted-bot.ts'
import type { MemoryStore } from './memory-store.ts'
import type { PaperExchange } from './paper-exchange.ts'
import { TestClock } from './test-clock.ts'

const { PROPERTY_RUNS, PROPERTY_SEED } = process.env
fc.configureGlobal({
  numRuns: Number(PROPERTY_RUNS ?? 100),
  ...(PROPERTY_SEED === undefined ? {} : { seed: Number(PROPERTY_SEED) }),
})

const world = fc
  .record({
    scenarios: fc.array(scenario, { minLength: 1, maxLength: 4 }),
    last: prices,
    foreign,
    keepsPositions: fc.boolean(),
  })
  .map((drawn) => ({
    ...drawn,
    build: () => buildWorld(drawn.scenarios, drawn.last, drawn.foreign, drawn.keepsPositions),
  }))

const run = ({ store, exchange }: World, chosen: ReconcilePolicy) =>
  reconcile(store, exchange, chosen, { clock: new TestClock(CRASHED_AT) })

describe('after any crash', () => {
  it('no order is sent twice, not by any number of runs', async () => {
    await fc.assert(
      fc.asyncProperty(world, policy, async ({ build }, chosen) => {
        const made = build()
        for (let turn = 0; turn < 3; turn++) await run(made, chosen)
        const { sent, orders } = made.exchange
        expect(new Set(sent).size).toBe(sent.length)
        const clientOrderIds = orders.map((each) => each.clientOrderId)
        expect(new Set(clientOrderIds).size).toBe(clientOrderIds.length)
      }),
    )
  })

  it('to reconcile twice is to reconcile once', async () => {
    await fc.assert(
      fc.asyncProperty(world, policy, async ({ build }, chosen) => {
        const made = build()
        await run(made, chosen)
        const before = { contents: made.store.contents(), orders: structuredClone(made.exchange.orders) }
        const again = await run(made, chosen)
        expect({ contents: made.store.contents(), orders: made.exchange.orders }).toEqual(before)
        expect(again.actions).toEqual([])
      }),
    )
  })

  it('every fill of a known order is in the store once, and orders agree with the exchange', async () => {
    await fc.assert(
      fc.asyncProperty(world, policy, async ({ build }, chosen) => {
        const made = build()
        const before = new Map(made.store.documents.orders)
        const report = await run(made, chosen)
        const open = new Set(report.unresolved.filter((each) => each.untouched).map((each) => each.subject.id))
        for (const order of made.store.documents.orders.values()) {
          if (open.has(order.id)) continue
          const truth = made.exchange.orders.find((each) => each.clientOrderId === (order.clientOrderId ?? order.id))
          const stored = [...made.store.documents.fills.values()].filter((fill) => fill.orderId === order.id)
          const filled = sum(stored.map((fill) => fill.quantity))
          expect(compare(filled, truth?.filledQuantity ?? 0)).toBe(0)
          expect(compare(filled, order.quantity)).toBeLessThanOrEqual(0)
          expect(compare(order.filledQuantity ?? 0, filled)).toBe(0)
          expect(compare(order.filledQuantity ?? 0, before.get(order.id)?.filledQuantity ?? 0)).toBeGreaterThanOrEqual(
            0,
          )
          const isOpen = order.state === 'open' || order.state === 'partially_filled'
          expect(isOpen).toBe(truth?.status === 'open')
        }
      }),
    )
  })

  it('positions are what their orders have filled, and P&L is exact to the last digit', async () => {
    await fc.assert(
      fc.asyncProperty(world, policy, async ({ build, scenarios }, chosen) => {
        const made = build()
        const report = await run(made, chosen)
        const left = new Set(report.unresolved.map((each) => each.subject.id))
        scenarios.forEach((_, index) => {
          const id = `P${index}`
          if (left.has(id)) return
          const truth = tally(made.exchange, id)
          const position = made.store.documents.positions.get(id)
          expect(compare(position?.quantity ?? 0, truth.held)).toBe(0)
          const trades = [...made.store.documents.trades.values()].filter((trade) => trade.positionId === id)
          const isClosed = compare(truth.held, 0) === 0 && compare(truth.exited, 0) > 0
          expect(trades).toHaveLength(isClosed ? 1 : 0)
          if (isClosed) expect(compare(trades[0]?.pnl ?? 'NaN', truth.pnl)).toBe(0)
        })
      }),
    )
  })

  it('a stop never loosens, and at most one order waits as the stop of a position', async () => {
    await fc.assert(
      fc.asyncProperty(world, policy, async ({ build }, chosen) => {
        const made = build()
        const before = new Map<string, Position>(made.store.documents.positions)
        await run(made, chosen)
        for (const [id, position] of made.store.documents.positions) {
          const earlier = before.get(id)?.currentStop ?? null
          if (earlier !== null) {
            expect(
              compare(tighter(position.side, earlier, position.currentStop ?? Number.NaN), position.currentStop ?? 0),
            ).toBe(0)
          }
          const waiting = made.exchange.open().filter((each) => isStopOf(made.store, each.clientOrderId, id))
          expect(waiting.length).toBeLessThanOrEqual(1)
        }
      }),
    )
  })

  it('every held position with a stop price has its stop at the exchange, or is reported', async () => {
    await fc.assert(
      fc.asyncProperty(world, policy, async ({ build }, chosen) => {
        const made = build()
        const report = await run(made, chosen)
        const left = new Set(report.unresolved.map((each) => each.subject.id))
        for (const position of made.store.documents.positions.values()) {
          if (left.has(position.id) || (position.currentStop ?? null) === null) continue
          const stop = made.store.documents.orders.get(position.stopOrderId ?? '')
          const truth = made.exchange.open().find((each) => each.clientOrderId === (stop?.clientOrderId ?? stop?.id))
          expect(truth).toBeDefined()
          expect(compare(truth?.stopPrice ?? 0, position.currentStop ?? 0)).toBe(0)
          expect(compare(subtract(truth?.quantity ?? 0, truth?.filledQuantity ?? 0), position.quantity)).toBe(0)
        }
      }),
    )
  })

  it('foreign orders are left alone unless the policy says otherwise', async () => {
    await fc.assert(
      fc.asyncProperty(world, policy, async ({ build }, chosen) => {
        const made = build()
        await run(made, { ...chosen, onForeignOrder: 'report' })
        const theirs = made.exchange.orders.filter((each) => each.clientOrderId === 'web-1')
        expect(theirs.every((each) => each.status === 'open')).toBe(true)
      }),
    )
  })
})

describe('a crash of the recovery itself', () => {
  it.each(['before', 'after'] as const)('at any step (%s it took effect) ends in the same state', async (moment) => {
    await fc.assert(
      fc.asyncProperty(
        world,
        policy,
        fc.nat({ max: 12 }),
        fc.nat({ max: 12 }),
        async ({ build }, chosen, first, second) => {
          const undisturbed = build()
          await run(undisturbed, chosen)

          let made = build()
          for (const effects of [first, second]) {
            const fuse = new Fuse(effects, moment)
            made.store.fuse = fuse
            made.exchange.fuse = fuse
            await run(made, chosen).catch((error: unknown) => {
              if (!(error instanceof CrashError)) throw error
            })
            made = { store: made.store.restarted(), exchange: made.exchange.restarted() }
          }
          await run(made, chosen)

          expect(new Set(made.exchange.sent).size).toBe(made.exchange.sent.length)
          expect(made.store.contents()).toEqual(undisturbed.store.contents())
          expect(openOrders(made.exchange)).toEqual(openOrders(undisturbed.exchange))
        },
      ),
    )
  })
})

describe('queries that fail', () => {
  it('leave what they were about untouched; once they answer, all is settled as if they always had', async () => {
    await fc.assert(
      fc.asyncProperty(
        world,
        policy,
        fc.array(fc.nat({ max: 40 }), { maxLength: 8 }),
        async ({ build }, chosen, failing) => {
          const made = build()
          const before = structuredClone(made.store.documents)
          let question = 0
          made.exchange.fails = () => failing.includes(question++)
          const report = await run(made, { ...chosen, queryAttempts: 1 })
          for (const { subject, untouched } of report.unresolved) {
            if (!untouched) continue
            expect(made.store.documents.positions.get(subject.id)).toEqual(before.positions.get(subject.id))
            expect(made.store.documents.orders.get(subject.id)).toEqual(before.orders.get(subject.id))
          }
          made.exchange.fails = () => false
          await run(made, chosen)

          const undisturbed = build()
          await run(undisturbed, chosen)
          expect(made.store.contents()).toEqual(undisturbed.store.contents())
          expect(new Set(made.exchange.sent).size).toBe(made.exchange.sent.length)
        },
      ),
    )
  })

  it('that all fail change nothing at all', async () => {
    await fc.assert(
      fc.asyncProperty(world, policy, async ({ build }, chosen) => {
        const made = build()
        const before = structuredClone({ documents: made.store.documents, orders: made.exchange.orders })
        made.exchange.fails = () => true
        const report = await run(made, { ...chosen, queryAttempts: 1 })
        expect({ documents: made.store.documents, orders: made.exchange.orders }).toEqual(before)
        expect(report.unresolved.every((each) => each.untouched)).toBe(true)
      }),
    )
  })
})

describe('answers of the exchange', () => {
  /** What a run would decide on, before anything is carried out. */
  async function gather({ store, exchange }: World, chosen: ReconcilePolicy) {
    const resolved = resolvePolicy(chosen)
    const clock = new TestClock(CRASHED_AT)
    const state = await loadState(store, null)
    const queries = new ExchangeQueries(exchange, resolved, clock)
    const report = await gatherReport(state, queries, resolved, clock, true)
    return { state: await loadReported(store, state, report), report, resolved }
  }

  it('lead to the same plan in any order and any number', async () => {
    await fc.assert(
      fc.asyncProperty(world, policy, fc.infiniteStream(fc.nat()), async ({ build }, chosen, random) => {
        const { state, report, resolved } = await gather(build(), chosen)
        const disturbed = disturb(report, random, () => false)
        const shuffledState = {
          ...state,
          positions: shuffle(state.positions, random),
          orders: shuffle(state.orders, random),
          fills: shuffle(state.fills, random),
          history: shuffle(state.history, random),
        }
        expect(decide(shuffledState, disturbed, resolved, CRASHED_AT)).toEqual(
          decide(state, report, resolved, CRASHED_AT),
        )
      }),
    )
  })

  it('that get lost never corrupt anything: groups are decided as with all of them, or left alone', async () => {
    await fc.assert(
      fc.asyncProperty(
        world,
        policy,
        fc.infiniteStream(fc.nat()),
        fc.integer({ min: 2, max: 9 }),
        async ({ build }, chosen, random, rarity) => {
          const { state, report, resolved } = await gather(build(), chosen)
          const complete = new Map(
            decide(state, report, resolved, CRASHED_AT).groups.map((group) => [group.key, group]),
          )
          const isLost = () => (random.next().value ?? 0) % rarity === 0
          const partial = decide(state, disturb(report, random, isLost), resolved, CRASHED_AT)
          for (const group of partial.groups) {
            const isLeftAlone = group.actions.length === 0 && group.unresolved.length > 0
            if (!isLeftAlone) expect(group).toEqual(complete.get(group.key))
          }
        },
      ),
    )
  })
})

/** Shuffles and doubles all answers and what is in them; drops those that are lost. */
function disturb(report: ExchangeReport, random: Iterator<number>, isLost: () => boolean): ExchangeReport {
  const some = <T>(answers: readonly T[]): T[] => {
    const kept = answers.filter(() => !isLost())
    return shuffle([...kept, ...kept.filter(() => (random.next().value ?? 0) % 3 === 0)], random)
  }
  const within = <A extends { readonly result: { readonly status: string; readonly value?: unknown } }>(
    answer: A,
  ): A => {
    const { result } = answer
    // A list that lacks an element is a lie about what is open, not a lost answer; fills can be checked by their sum.
    if (result.status !== 'found' || !Array.isArray(result.value)) return answer
    return { ...answer, result: { ...result, value: shuffle([...result.value, ...result.value], random) } }
  }
  const dropFills = (answer: ExchangeReport['fills'][number]): ExchangeReport['fills'][number] =>
    answer.result.status === 'found'
      ? { ...answer, result: { status: 'found', value: answer.result.value.filter(() => !isLost()) } }
      : answer
  return {
    startedAtMs: report.startedAtMs,
    orders: some(report.orders),
    openOrders: some(report.openOrders.map(within)),
    fills: some(report.fills.map(dropFills).map(within)),
    symbolFills: some(report.symbolFills.map(within)),
    positions: some(report.positions),
    prices: some(report.prices),
    marketRules: some(report.marketRules),
  }
}

function shuffle<T>(items: readonly T[], random: Iterator<number>): T[] {
  const shuffled = [...items]
  for (let index = shuffled.length - 1; index > 0; index--) {
    const other = (random.next().value ?? 0) % (index + 1)
    const moved = shuffled[index] as T
    shuffled[index] = shuffled[other] as T
    shuffled[other] = moved
  }
  return shuffled
}

/** What the exchange's executions for one position come to. */
function tally(exchange: PaperExchange, id: string) {
  const fills = exchange.fills.map((fill) => ({
    ...fill,
    clientOrderId: exchange.orders.find((each) => each.exchangeOrderId === fill.exchangeOrderId)?.clientOrderId ?? '',
  }))
  const entries = fills.filter((fill) => fill.clientOrderId === `${id}-entry`)
  const exits = fills.filter((fill) => fill.clientOrderId === `${id}-stop`)
  const notional = (some: typeof fills) => sum(some.map((fill) => multiply(fill.price, fill.quantity)))
  const gained = subtract(notional(exits), notional(entries))
  return {
    held: subtract(sum(entries.map((fill) => fill.quantity)), sum(exits.map((fill) => fill.quantity))),
    exited: sum(exits.map((fill) => fill.quantity)),
    pnl: entries[0]?.side === 'sell' ? subtract(0, gained) : gained,
  }
}

function isStopOf(store: MemoryStore, clientOrderId: string | null | undefined, positionId: string): boolean {
  const order = [...store.documents.orders.values()].find(
    (each) => (each.clientOrderId ?? each.id) === clientOrderId && each.positionId === positionId,
  )
  return order?.purpose === 'stop'
}

function openOrders(exchange: PaperExchange) {
  return exchange
    .open()
    .map(({ clientOrderId, side, quantity, stopPrice }) => ({ clientOrderId, side, quantity, stopPrice }))
    .sort((a, b) => (String(a.clientOrderId) < String(b.clientOrderId) ? -1 : 1))
}
