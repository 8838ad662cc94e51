/**
 * One question, one answer: whether a collection is in memory or on disk, asked at once, with a promise, as a stream or
 * blocking. SQLite's rules are the rules.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { defineCollection, type JsonValue, z } from '../../src/index.ts'
import { codeOf, collect, failureOf, openSharedStore } from './fixtures/temp-store.ts'

const schema = z.object({
  id: z.string(),
  text: z.string().nullish(),
  n: z.number().nullish(),
  flag: z.boolean().nullish(),
  any: z.json().optional(),
})
const indexes = ['text', 'n', 'flag', 'any'] as const
const hot = defineCollection({ name: 'hot', key: 'id', schema, indexes, hot: true })
const cold = defineCollection({ name: 'cold', key: 'id', schema, indexes })
const market = defineCollection({ name: 'market', key: 'id', schema, indexes, file: 'market' })
const bare = defineCollection({ name: 'bare', key: 'id', schema: z.object({ id: z.string(), other: z.string() }) })

const store = await openSharedStore({ collections: { hot, cold, market, bare } })
const stores = [store.hot, store.cold, store.market] as const

interface Doc {
  readonly id: string
  readonly text?: string | null | undefined
  readonly n?: number | null | undefined
  readonly flag?: boolean | null | undefined
  readonly any?: JsonValue | undefined
}

const text = fc.oneof(
  fc.constantFrom(
    '',
    'a',
    'A',
    'b',
    'ab',
    '1',
    '10',
    '9',
    'é',
    'e\u0301',
    '\uffff',
    '\u{10000}',
    '\u{1f600}',
    'a\0',
    'null',
    '[1]',
  ),
  fc.string({ unit: 'binary', maxLength: 4 }),
)
const number = fc
  .oneof(
    fc.constantFrom(
      0,
      1,
      -1,
      0.5,
      10,
      9,
      5e-324,
      1e21,
      2 ** 53,
      2 ** 53 + 2,
      2 ** 60 + 256,
      -(2 ** 62),
      2 ** 63,
      1.785e18 + 256,
    ),
    fc.integer({ min: -3, max: 3 }),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
  )
  .map((value) => value + 0)
const anyValue: fc.Arbitrary<JsonValue> = fc.oneof(
  text,
  number,
  fc.boolean(),
  fc.constantFrom(null, [], [1], { a: 1 }, ['x']),
)
const key = fc.oneof(
  fc.constantFrom('k1', 'k2', 'K1', 'k10', '\u{1f600}', '\uffff'),
  text.filter((id) => id !== '' && !id.includes('\0')),
)
const field = <T>(value: fc.Arbitrary<T>) =>
  fc.option(fc.option(value, { nil: null, freq: 5 }), { nil: undefined, freq: 5 })
const doc: fc.Arbitrary<Doc> = fc.record({
  id: key,
  text: field(text),
  n: field(number),
  flag: field(fc.boolean()),
  any: fc.option(anyValue, { nil: undefined }),
})
const docs = (constraints: { minLength?: number; maxLength: number }) =>
  fc.uniqueArray(doc, { selector: ({ id }) => id, ...constraints })

const VALUES = { id: key, text, n: number, flag: fc.boolean(), any: fc.oneof(text, number, fc.boolean()) }
type Field = keyof typeof VALUES
const FIELDS = Object.keys(VALUES) as Field[]

function condition(name: Field): fc.Arbitrary<unknown> {
  const value: fc.Arbitrary<string | number | boolean> = VALUES[name]
  const bounds = fc.record({ gt: value, gte: value, lt: value, lte: value, ne: value }, { requiredKeys: [] })
  return fc.oneof(
    value,
    fc.constant(null),
    fc.record({ in: fc.array(fc.option(value, { nil: null, freq: 6 }), { maxLength: 5 }) }),
    fc.constant({ ne: null }),
    bounds.filter((each) => Object.keys(each).length > 0),
  )
}
const where = fc
  .uniqueArray(fc.constantFrom(...FIELDS), { maxLength: 2 })
  .chain((names) => fc.tuple(...names.map((name) => fc.tuple(fc.constant(name), condition(name)))))
  .map((pairs) => Object.fromEntries(pairs))
const query = fc.record(
  {
    where,
    orderBy: fc.constantFrom(...FIELDS),
    order: fc.constantFrom('asc', 'desc'),
    limit: fc.nat(20),
    offset: fc.nat(10),
  },
  { requiredKeys: [] },
)

async function fill(documents: readonly Doc[]): Promise<void> {
  for (const collection of stores) {
    for (const { id } of await collection.list()) void collection.delete(id)
    for (const each of documents) void collection.put(each)
  }
  await store.flush()
}

/** The answers of every way to ask, which must be one. */
async function answers(asked: object): Promise<unknown[][]> {
  const found: unknown[][] = []
  for (const collection of stores) {
    found.push(await collection.list(asked as never), await collect(collection.stream(asked as never)))
  }
  for (const twin of [store.sync.hot, store.sync.cold, store.sync.market]) found.push(twin.list(asked as never))
  return found
}

describe('in memory and on disk', () => {
  test('list and stream give the same documents in the same order', async () => {
    await fc.assert(
      fc.asyncProperty(
        docs({ maxLength: 25 }),
        fc.array(query, { minLength: 1, maxLength: 12 }),
        async (documents, queries) => {
          await fill(documents)
          for (const asked of queries) {
            const [first, ...others] = await answers(asked)
            for (const other of others) expect(other).toStrictEqual(first)
          }
        },
      ),
      { numRuns: 40 },
    )
  })

  test('find and count agree with list', async () => {
    await fc.assert(
      fc.asyncProperty(
        docs({ maxLength: 25 }),
        fc.array(where, { minLength: 1, maxLength: 12 }),
        async (documents, wheres) => {
          await fill(documents)
          for (const asked of wheres) {
            const expected = store.hot.list({ where: asked } as never)
            for (const collection of stores) {
              expect(await collection.find(asked as never)).toStrictEqual(expected)
              expect(await collection.count(asked as never)).toBe(expected.length)
            }
            for (const twin of [store.sync.hot, store.sync.cold, store.sync.market]) {
              expect(twin.find(asked as never)).toStrictEqual(expected)
              expect(twin.count(asked as never)).toBe(expected.length)
            }
          }
        },
      ),
      { numRuns: 30 },
    )
  })

  test('over many pages: each document once, ties, nulls and all', async () => {
    const seed = Date.now()
    const documents = fc
      .sample(doc, { numRuns: 450, seed })
      .map((each, index) => ({ ...each, id: `${String(index).padStart(4, '0')}` }))
    await fill(documents)
    for (const orderBy of [...FIELDS, undefined]) {
      for (const order of ['asc', 'desc'] as const) {
        for (const bounds of [
          {},
          { limit: 333, offset: 50 },
          { limit: 100 },
          { limit: 101, where: { n: { ne: 1 } } },
        ]) {
          const asked = { ...(orderBy === undefined ? {} : { orderBy }), order, ...bounds }
          const [first, ...others] = await answers(asked)
          for (const other of others) expect(other, `seed ${seed}, ${JSON.stringify(asked)}`).toStrictEqual(first)
        }
      }
    }
  })

  test('after updates and deletes, by indexes that memory already has', async () => {
    await fc.assert(
      fc.asyncProperty(
        docs({ minLength: 3, maxLength: 12 }),
        fc.array(doc, { maxLength: 20 }),
        where,
        async (documents, updates, asked) => {
          await fill(documents)
          store.hot.find(asked as never)
          for (const update of updates) {
            for (const collection of stores) {
              if (update.text === 'a') void collection.delete(update.id)
              else void collection.put(update)
            }
            const expected = store.hot.find(asked as never)
            expect(store.hot.list().filter((each) => expected.includes(each))).toStrictEqual(expected)
          }
          const expected = store.hot.find(asked as never)
          expect(await store.cold.find(asked as never)).toStrictEqual(expected)
          expect(await store.market.find(asked as never)).toStrictEqual(expected)
        },
      ),
      { numRuns: 40 },
    )
  })
})

describe('the rules', () => {
  const documents: Doc[] = [
    { id: '1', n: 2, text: 'b' },
    { id: '2', n: 10, text: 'B' },
    { id: '3', n: null, text: 'é' },
    { id: '4', text: '\u{1f600}' },
    { id: '5', n: -1, text: '\uffff' },
    { id: '6', flag: true },
    { id: '7', flag: false },
  ]
  const ids = async (asked: object): Promise<string> => {
    const found = await Promise.all(stores.map((collection) => collection.list(asked as never)))
    const [first, ...others] = found.map((list) => list.map(({ id }) => id).join(''))
    for (const other of others) expect(other).toBe(first)
    return first as string
  }

  test.each([
    ['null finds what is null and what is missing', { where: { n: null } }, '3467'],
    ['a comparison never holds for null', { where: { n: { lt: 100 } } }, '125'],
    ['unequal holds for null', { where: { n: { ne: 2 } } }, '234567'],
    ['not null', { where: { n: { ne: null } } }, '125'],
    ['in, with null', { where: { n: { in: [2, null] } } }, '13467'],
    ['in nothing', { where: { n: { in: [] } } }, ''],
    ['all comparisons must hold', { where: { n: { gt: -1, lte: 10, ne: 2 } } }, '2'],
    ['all fields must match', { where: { n: 2, text: 'B' } }, ''],
    ['booleans are false and true', { where: { flag: false } }, '7'],
    ['false sorts before true, null before both', { where: { flag: { ne: null } }, orderBy: 'flag' }, '76'],
    ['numbers sort as numbers', { where: { n: { ne: null } }, orderBy: 'n' }, '512'],
    ['nulls come first', { orderBy: 'n' }, '3467512'],
    ['and last when it goes down, all of it backwards', { orderBy: 'n', order: 'desc' }, '2157643'],
    ['texts sort by code point, not by code unit', { where: { text: { ne: null } }, orderBy: 'text' }, '21354'],
    ['without an order they come as they were first written', {}, '1234567'],
    ['or backwards', { order: 'desc' }, '7654321'],
    ['limit and offset', { limit: 2, offset: 3 }, '45'],
    ['offset alone', { offset: 5 }, '67'],
    ['limit zero', { limit: 0 }, ''],
    ['by key', { where: { id: { gte: '3', lt: '5' } }, orderBy: 'id', order: 'desc' }, '43'],
  ])('%s', async (_, asked, expected) => {
    await fill(documents)
    expect(await ids(asked)).toBe(expected)
  })

  test('a document that is replaced keeps its place; one written anew comes last', async () => {
    await fill(documents.slice(0, 4))
    for (const collection of stores) {
      await collection.put({ id: '1', n: 5 })
      await collection.delete('2')
      await collection.put({ id: '2' })
    }
    expect(await ids({})).toBe('1342')
  })

  test('inserts and puts of one turn come in the order of the calls', async () => {
    await fill([])
    for (const collection of stores) {
      void collection.insert({ id: '1' })
      void collection.put({ id: '2' })
      void collection.insert({ id: '3' })
      void collection.put({ id: '4' })
    }
    expect(await ids({})).toBe('1234')
  })
})

describe('INVALID_QUERY', () => {
  test.each([
    ['a field that is not indexed', { where: { other: 'x' } }],
    ['a field that does not exist', { where: { nope: 'x' } }],
    ['an order by one', { orderBy: 'other' }],
    ['an unknown operator', { where: { id: { like: 'x' } } }],
    ['no operator', { where: { id: {} } }],
    ['undefined as a value: it would mean everything', { where: { id: undefined } }],
    ['an object as a value', { where: { id: { in: [{}] } } }],
    ['more than 1,000 values', { where: { id: { in: Array(1_001).fill('x') } } }],
    ['NaN', { where: { id: Number.NaN } }],
    ['an unknown direction', { orderBy: 'id', order: 'up' }],
    ['a negative limit', { limit: -1 }],
    ['a fraction as offset', { offset: 1.5 }],
    ['an unknown option', { where: {}, sort: 'id' }],
    ['a text', 'id'],
  ])('%s', async (_, asked) => {
    expect(await codeOf(() => store.bare.list(asked as never))).toBe('INVALID_QUERY')
    expect(await codeOf(collect(store.bare.stream(asked as never)))).toBe('INVALID_QUERY')
    expect(await codeOf(() => store.sync.bare.list(asked as never))).toBe('INVALID_QUERY')
  })

  test('names the fields there are, and no value', async () => {
    const error = await failureOf(() => store.bare.find({ nope: 'marker-4711' } as never))
    expect(error.message).toContain('Indexed fields are: id.')
    expect(error.message).not.toContain('marker-4711')
  })

  test('is a rejection where the answer would be a promise', () => {
    const calls = [
      () => store.bare.find({ nope: 1 } as never),
      () => store.bare.list({ orderBy: 'nope' } as never),
      () => store.bare.count({ nope: 1 } as never),
    ]
    for (const call of calls) {
      const outcome = call()
      expect(outcome).toBeInstanceOf(Promise)
      outcome.catch(() => undefined)
    }
  })
})

describe('a stream', () => {
  test('may be left before its end', async () => {
    await fill(Array.from({ length: 300 }, (_, n) => ({ id: `s-${n}` })))
    const seen: string[] = []
    for await (const { id } of store.cold.stream()) {
      seen.push(id)
      if (seen.length === 3) break
    }
    expect(seen).toEqual(['s-0', 's-1', 's-2'])
  })

  test('sees what was accepted before it was asked', async () => {
    await fill([])
    void store.cold.put({ id: 'just-now' })
    expect(await collect(store.cold.stream())).toEqual([{ id: 'just-now' }])
  })

  test('goes on when what it has passed is deleted', async () => {
    await fill(Array.from({ length: 250 }, (_, n) => ({ id: `d-${n}` })))
    const seen: string[] = []
    for await (const { id } of store.cold.stream()) {
      seen.push(id)
      if (seen.length === 50) await store.cold.delete('d-10')
    }
    expect(seen).toHaveLength(250)
  })
})
