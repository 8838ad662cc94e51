/** Ticks against a model: those with ids are one each, those without count as often as one append brought them. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Tick } from '../../../src/index.ts'
import { openSharedStore } from '../fixtures/temp-store.ts'

const store = await openSharedStore()
let runs = 0

const tick = (withId: boolean): fc.Arbitrary<Tick> =>
  fc.record({
    ts: fc.integer({ min: 0, max: 30 }),
    price: fc.integer({ min: 1, max: 3 }),
    amount: fc.constant(1),
    side: fc.constantFrom('buy', 'sell'),
    ...(withId
      ? { id: fc.oneof(fc.integer({ min: 0, max: 12 }).map(String), fc.constantFrom('a', 'ä', '😀', 'ﬀ')) }
      : {}),
  })

type Step =
  | { readonly do: 'append'; readonly ticks: readonly Tick[] }
  | { readonly do: 'delete'; readonly from: number; readonly to: number }
  | { readonly do: 'compact' }

const stepOf = (withId: boolean): fc.Arbitrary<Step> =>
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constant('append' as const),
        ticks: fc.oneof(
          fc.array(tick(withId), { maxLength: 30 }),
          // Enough of them for a block at once.
          fc.array(tick(withId), { minLength: 300, maxLength: 320 }),
        ),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constant('delete' as const),
        from: fc.integer({ min: 0, max: 30 }),
        to: fc.integer({ min: 0, max: 30 }),
      }),
    },
    { weight: 2, arbitrary: fc.constant({ do: 'compact' as const }) },
  )

const byId = (a: Tick, b: Tick) => a.ts - b.ts || compareIds(String(a.id), String(b.id))

function compareIds(a: string, b: string): number {
  const [x, y] = [Number(a), Number(b)]
  if (Number.isNaN(x) !== Number.isNaN(y)) return Number.isNaN(x) ? 1 : -1
  return Number.isNaN(x) ? Buffer.compare(Buffer.from(a), Buffer.from(b)) : x - y
}

test.each([true, false])('ids: %s', { timeout: 120_000 }, async (withId) => {
  await fc.assert(
    fc.asyncProperty(fc.array(stepOf(withId), { minLength: 2, maxLength: 12 }), async (steps) => {
      const symbol = `model-${++runs}`
      let model: Tick[] = []
      for (const step of steps) {
        if (step.do === 'compact') await store.ticks.compact(symbol)
        else if (step.do === 'delete') {
          const { from, to } = step
          await store.ticks.delete(symbol, { from, to })
          model = model.filter(({ ts }) => ts < from || ts >= to)
        } else {
          model = withId ? appendById(model, step.ticks) : appendInOrder(model, step.ticks)
          await store.ticks.append(symbol, step.ticks)
        }
        expect((await store.ticks.range(symbol)).toRows()).toEqual(model)
        expect((await store.ticks.last(symbol, 50)).toRows()).toEqual(model.slice(-50))
      }
      // A writer that does not know whether its batch arrived sends it again.
      const last = steps.findLast((step) => step.do === 'append')
      if (last !== undefined && steps.at(-1) === last) await store.ticks.append(symbol, last.ticks)
      expect((await store.ticks.range(symbol)).toRows()).toEqual(model)
    }),
    { numRuns: 60, endOnFailure: true },
  )
})

function appendById(model: readonly Tick[], ticks: readonly Tick[]): Tick[] {
  const all = new Map(model.map((each) => [`${each.ts} ${each.id}`, each]))
  for (const each of ticks) all.set(`${each.ts} ${each.id}`, each)
  return [...all.values()].sort(byId)
}

function appendInOrder(model: readonly Tick[], ticks: readonly Tick[]): Tick[] {
  const unmatched = model.map((each) => JSON.stringify(each))
  const added = ticks.filter((each) => {
    const text = JSON.stringify(each)
    const at = unmatched.indexOf(text)
    if (at >= 0) unmatched.splice(at, 1)
    return at < 0
  })
  return [...model, ...added].sort((a, b) => a.ts - b.ts)
}
