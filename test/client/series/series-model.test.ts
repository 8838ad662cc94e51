/**
 * Series against a model: random appends, corrections, deletes and compactions, in random order and of all kinds, and
 * after each step everything a reader can ask is what a sorted map would say. Values are any doubles there are.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { openSharedStore } from '../fixtures/temp-store.ts'

const store = await openSharedStore()
let runs = 0

const SLOTS = 12_000
/** Few times near each other, so that points meet; and the two kinds of values that are easy to lose. */
const slot = fc.oneof(fc.integer({ min: 0, max: SLOTS }), fc.integer({ min: 0, max: 40 }))
const value = fc.oneof(fc.double(), fc.constantFrom(Number.NaN, 0, -0, Infinity, -Infinity, 100.25))

type Step =
  | { readonly do: 'append'; readonly points: readonly (readonly [number, number])[] }
  | { readonly do: 'load'; readonly from: number; readonly count: number; readonly value: number }
  | { readonly do: 'delete'; readonly from: number; readonly count: number }
  | { readonly do: 'compact' }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      points: fc.array(fc.tuple(slot, value), { maxLength: 40 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('load' as const),
      from: slot,
      count: fc.oneof(fc.integer({ min: 1, max: 6_000 }), fc.integer({ min: 250, max: 260 })),
      value,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('delete' as const), from: slot, count: fc.integer({ min: 0, max: 5_000 }) }),
  },
  { weight: 2, arbitrary: fc.constant({ do: 'compact' as const }) },
)
const span = fc.tuple(slot, slot)

/** Times are not only whole. */
const timeOf = (at: number) => 1_700_000_000_000 + at * 250.5

test('bars say what a sorted map says, whatever was done to them', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 2, maxLength: 14 }),
      fc.array(span, { minLength: 1, maxLength: 3 }),
      async (steps, spans) => {
        const name = `model-${++runs}`
        const series = store.series(name)
        const model = new Map<number, number>()
        for (const each of steps) {
          if (each.do === 'compact') await series.compact()
          else if (each.do === 'delete') {
            const [from, to] = [timeOf(each.from), timeOf(each.from + each.count)]
            const gone = [...model.keys()].filter((ts) => ts >= from && ts < to)
            for (const ts of gone) model.delete(ts)
            expect(await series.delete({ from, to })).toEqual({ deleted: gone.length })
          } else {
            const points =
              each.do === 'append'
                ? each.points.map(([at, number]) => ({ ts: timeOf(at), value: number }))
                : Array.from({ length: each.count }, (_, index) => ({
                    ts: timeOf(each.from + index),
                    value: index % 1_000 === 0 ? each.value : index / 100,
                  }))
            const changed = new Map<number, number>()
            for (const { ts, value: number } of points) changed.set(ts, number)
            const isNew = ([ts, number]: [number, number]) => !model.has(ts) || !isSame(model.get(ts) as number, number)
            const written = [...changed].filter(isNew).length
            for (const [ts, number] of changed) model.set(ts, number)
            expect(await series.append(points)).toEqual({ points: points.length, written })
          }
          await compare(name, model, spans)
        }
      },
    ),
    { numRuns: 60, endOnFailure: true },
  )
})

async function compare(name: string, model: Map<number, number>, spans: readonly (readonly [number, number])[]) {
  const series = store.series(name)
  const sorted = [...model].sort(([a], [b]) => a - b)
  const all = await series.range()
  expectPoints(all, sorted)
  const last = await series.last(300)
  expectPoints(last, sorted.slice(-300))
  expect((await series.info())?.count ?? 0).toBe(sorted.length)
  for (const [a, b] of spans) {
    const [from, to] = [timeOf(Math.min(a, b)), timeOf(Math.max(a, b))]
    const within = sorted.filter(([ts]) => ts >= from && ts < to)
    expectPoints(await series.range({ from, to }), within)
    expectPoints(await series.range({ from, to, limit: 100 }), within.slice(0, 100))
    const pieces: [number, number][] = []
    for await (const piece of series.scan({ from, to, chunk: 1_000 })) {
      for (const [index, ts] of piece.ts.entries()) pieces.push([ts, (piece.value as Float64Array)[index] as number])
    }
    expect(pieces).toEqual(within)
    const aggregate = await series.aggregate({ from, to })
    expect(aggregate).toMatchObject({
      count: within.length,
      firstTs: within[0]?.[0] ?? null,
      lastTs: within.at(-1)?.[0] ?? null,
    })
    const numbers = within.map(([, number]) => number).filter((number) => !Number.isNaN(number))
    if (within.length > 0) {
      expect(aggregate.columns.value).toMatchObject({
        count: numbers.length,
        min: numbers.length === 0 ? null : numbers.reduce((x, y) => (y < x ? y : x)),
        max: numbers.length === 0 ? null : numbers.reduce((x, y) => (y > x ? y : x)),
        first: numbers[0] ?? null,
        last: numbers.at(-1) ?? null,
      })
    }
  }
}

function expectPoints(found: { readonly ts: Float64Array }, expected: readonly (readonly [number, number])[]) {
  const values = (found as unknown as { readonly value: Float64Array }).value
  const wanted = Float64Array.from(expected, ([, number]) => number)
  expect(found.ts).toEqual(Float64Array.from(expected, ([ts]) => ts))
  expect(values.length).toBe(wanted.length)
  for (let index = 0; index < wanted.length; index++) {
    if (!isSame(values[index] as number, wanted[index] as number)) expect.fail(`value ${index} is another one`)
  }
}

function isSame(a: number, b: number): boolean {
  return Object.is(a, b)
}
