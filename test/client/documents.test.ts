/** What a document may be, and that it comes back as it went in. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { defineCollection, type JsonValue, z } from '../../src/index.ts'
import { trade } from './fixtures/documents.ts'
import { codeOf, failureOf, openSharedStore, openTempStore } from './fixtures/temp-store.ts'

const anything = z.looseObject({ id: z.string() })
const hot = defineCollection({ name: 'hot', key: 'id', schema: anything, hot: true })
const cold = defineCollection({ name: 'cold', key: 'id', schema: anything })
const shaped = defineCollection({
  name: 'shaped',
  key: 'id',
  schema: z.object({ id: z.string().trim(), size: z.number().default(1), note: z.string().optional() }),
})
const strict = defineCollection({ name: 'strict', key: 'id', schema: z.strictObject({ id: z.string() }) })
const dated = defineCollection({ name: 'dated', key: 'id', schema: z.object({ id: z.string(), at: z.date() }) })
const picky = defineCollection({
  name: 'picky',
  key: 'id',
  schema: z.object({ id: z.string(), text: z.string().transform((text) => JSON.parse(text) as JsonValue) }),
})
const checked = defineCollection({
  name: 'checked',
  key: 'id',
  schema: z.object({
    id: z.string(),
    even: z
      .number()
      .refine((n) => n % 2 === 0, { error: ({ input }) => `${String(input)} is odd` })
      .optional(),
    long: z
      .string()
      .min(20, { error: ({ input }) => `"${String(input)}" is too short` })
      .optional(),
    later: z
      .string()
      .refine(async () => true)
      .optional(),
  }),
})
const collections = { hot, cold, shaped, strict, dated, picky, checked }

const store = await openSharedStore({ collections })
const both = [
  ['hot', store.hot],
  ['cold', store.cold],
] as const

/** JSON as it is, but for what `JSON.stringify` itself changes (-0). */
const json = fc.jsonValue({ maxDepth: 4 }).map((value) => JSON.parse(JSON.stringify(value)) as JsonValue)

describe('a document comes back as it went in', () => {
  test.each(both)('any JSON: %s', async (_, collection) => {
    await fc.assert(
      fc.asyncProperty(json, async (value) => {
        const document = { id: 'json', value }
        await collection.put(document)
        expect(await collection.get('json')).toEqual(document)
        expect((await collection.entry('json'))?.document).toEqual(document)
      }),
      { numRuns: 50 },
    )
  })

  test.each([
    ['nested objects and arrays', { a: [{ b: [[1, null, true, 'x']] }] }],
    ['empty ones', { a: {}, b: [] }],
    ['numbers at their limits', [5e-324, Number.MAX_VALUE, Number.MAX_SAFE_INTEGER, 2 ** 63, -1.5, 0.1 + 0.2, 1e21]],
    ['texts of every plane', ['é', '😀', '\u0000', '\u2028', '\uffff', '"\\/', '\ud800']],
    ['fields named like members of Object', { constructor: 1, toString: 2, hasOwnProperty: 3 }],
    ['fields with blanks, dots and quotes', { 'a b': 1, 'a.b': 2, "it's": 3, 'say "x"': 4, '': 5 }],
  ])('%s', async (_, value) => {
    for (const [, collection] of both) {
      await collection.put({ id: 'given', value })
      expect(await collection.get('given')).toEqual({ id: 'given', value })
    }
  })

  test('decimal texts keep every digit through write, sql and reopen', async () => {
    const prices = [
      '0.10000000',
      '123456789012345678901234567890.1234567890123456789',
      '1e-8',
      '+5',
      '.5',
      '00012.3400',
    ]
    const first = await openTempStore()
    for (const [n, price] of prices.entries()) {
      await first.positions.put({ id: `p-${n}`, symbol: 'X', side: 'long', quantity: price, entryPrice: price })
      await first.trades.put(trade(`t-${n}`, { entryPrice: price }))
    }
    const rows = await first.sql('select entryPrice, typeof(entryPrice) t from trades order by _key')
    expect(rows).toEqual(prices.map((entryPrice) => ({ entryPrice, t: 'text' })))
    await first.close()
    const again = await openTempStore({ dir: first.dir })
    expect(again.positions.list().map(({ quantity }) => quantity)).toEqual(prices)
    expect((await again.trades.list()).map(({ entryPrice }) => entryPrice)).toEqual(prices)
  })

  test('a field named __proto__ is kept, and is no prototype', async () => {
    const document = JSON.parse('{"id":"proto","deep":{"__proto__":{"evil":true}}}')
    for (const [, collection] of both) {
      await collection.put(document)
      const found = (await collection.get('proto')) as unknown as { deep: object }
      expect(JSON.stringify(found)).toBe(JSON.stringify(document))
      expect(Object.getPrototypeOf(found.deep)).toBe(Object.prototype)
      expect((found.deep as { evil?: boolean }).evil).toBeUndefined()
    }
  })

  test('a field named __proto__ at the top never becomes a prototype', async () => {
    for (const [, collection] of both) {
      await collection.put(JSON.parse('{"id":"proto-top","__proto__":{"evil":true}}'))
      const found = (await collection.get('proto-top')) as { evil?: boolean }
      expect([found.evil, ({} as { evil?: boolean }).evil]).toEqual([undefined, undefined])
    }
  })

  test('-0 is 0 before a restart as it is after', async () => {
    await store.hot.put({ id: 'zero', n: -0, deep: [-0] })
    expect(store.hot.get('zero')).toStrictEqual({ id: 'zero', n: 0, deep: [0] })
  })
})

describe('what the schema does', () => {
  test('its defaults and transforms are stored', async () => {
    await store.shaped.put({ id: '  a  ' })
    expect(await store.shaped.get('a')).toEqual({ id: 'a', size: 1 })
  })

  test('fields it does not name are kept', async () => {
    await store.shaped.put({ id: 'b', extra: { deep: 1 } } as never)
    expect(await store.shaped.get('b')).toEqual({ id: 'b', size: 1, extra: { deep: 1 } })
  })

  test('z.strictObject refuses them', async () => {
    const error = await failureOf(store.strict.put({ id: 'a', extra: 1 } as never))
    expect(error.code).toBe('INVALID_DOCUMENT')
  })

  test('a field that is undefined is dropped, at any depth', async () => {
    for (const [, collection] of both) {
      await collection.put({ id: 'undefined', a: undefined, b: { c: undefined, d: 1 } })
      const found = (await collection.get('undefined')) as object
      expect(Object.keys(found)).toEqual(['id', 'b'])
      expect(found).toStrictEqual({ id: 'undefined', b: { d: 1 } })
    }
  })
})

describe('INVALID_DOCUMENT', () => {
  test('names the path of every problem', async () => {
    const error = await failureOf(
      store.orders.put({ id: 'o', symbol: '', side: 'up', state: 'open', quantity: 'x', metadata: { a: 1 } } as never),
    )
    expect(error.code).toBe('INVALID_DOCUMENT')
    const { collection, issues } = error.details as { collection: string; issues: string[] }
    expect(collection).toBe('orders')
    expect(issues.map((issue) => issue.split(':')[0])).toEqual(['symbol', 'side', 'quantity'])
    for (const issue of issues) expect(error.message).toContain(issue)
  })

  test.each([
    ['null', null],
    ['undefined', undefined],
    ['a text', 'x'],
    ['an array', []],
  ])('for %s instead of a document', async (_, document) => {
    expect(await codeOf(store.hot.put(document as never))).toBe('INVALID_DOCUMENT')
  })

  test.each([
    ['NaN', Number.NaN],
    ['Infinity', Number.POSITIVE_INFINITY],
    ['a Date', new Date(0)],
    ['a bigint', 1n],
    ['a Map', new Map([['a', 1]])],
    ['a Set', new Set([1])],
    ['a function', () => 1],
    ['a symbol', Symbol('x')],
    ['bytes', new Uint8Array(2)],
    ['a promise', Promise.resolve(1)],
    ['an instance of a class', new (class Thing {})()],
    ['undefined inside an array', [undefined]],
    ['a hole in an array', Array(1)],
  ])('for %s, with its path', async (_, value) => {
    for (const [, collection] of both) {
      const error = await failureOf(collection.put({ id: 'bad', list: [{ inner: value }] } as never))
      expect(error.code).toBe('INVALID_DOCUMENT')
      expect((error.details.issues as string[])[0]).toMatch(/^list\.0\.inner/)
      expect(await collection.get('bad')).toBeUndefined()
    }
  })

  test('for a schema that makes something else than JSON', async () => {
    const error = await failureOf(store.dated.put({ id: 'a', at: new Date(0) }))
    expect(error).toMatchObject({ code: 'INVALID_DOCUMENT', details: { issues: [expect.stringMatching(/^at:/)] } })
  })

  test.each([
    ['nested deeper than 100 levels', 150],
    ['nested deeper than the stack', 50_000],
  ])('for a document %s', async (_, depth) => {
    let value: unknown = 1
    for (let level = 0; level < depth; level++) value = [value]
    expect(await codeOf(store.hot.put({ id: 'deep', value }))).toBe('INVALID_DOCUMENT')
    expect(await codeOf(store.kv.put({ key: 'deep', value: value as JsonValue }))).toBe('INVALID_DOCUMENT')
  })

  test('for a document that contains itself', async () => {
    const value: Record<string, unknown> = {}
    value.self = value
    expect(await codeOf(store.hot.put({ id: 'cycle', value }))).toBe('INVALID_DOCUMENT')
    expect(await codeOf(store.kv.put({ key: 'cycle', value: value as never }))).toBe('INVALID_DOCUMENT')
  })

  test('for a document of more than 16 million characters', async () => {
    const text = 'x'.repeat(1_000_000)
    expect(await codeOf(store.cold.put({ id: 'big', texts: Array(17).fill(text) }))).toBe('INVALID_DOCUMENT')
  })

  test.each([
    ['a transform that throws', () => store.picky.put({ id: 'a', text: 'no JSON' })],
    ['a check that needs time', () => store.checked.put({ id: 'a', later: 'x' })],
    [
      'a getter that throws',
      () =>
        store.hot.put({
          id: 'a',
          get trap(): string {
            throw new Error('sprung')
          },
        }),
    ],
  ])('for %s', async (_, write) => {
    expect(await codeOf(write)).toBe('INVALID_DOCUMENT')
  })

  test.each([
    ['a check of its author', { id: 'a', even: 4_711 }, '4711'],
    ['a message of its author', { id: 'a', long: 'marker-4711' }, 'marker-4711'],
  ])('without the value, also in %s', async (_, document, value) => {
    const error = await failureOf(store.checked.put(document))
    expect(error.code).toBe('INVALID_DOCUMENT')
    expect(`${error.message} ${JSON.stringify(error.details)}`).not.toContain(value)
  })
})

describe('a key', () => {
  test.each([
    ['one character', 'k'],
    ['1,024 characters', 'k'.repeat(1_024)],
    ['blanks and signs', ' a/b?c=d&e#f\'g"h`i;-- '],
    ['every plane of Unicode', 'é😀漢\u200d'],
    ['__proto__', '__proto__'],
    ['constructor', 'constructor'],
    ['a number as text', '1'],
  ])('may be %s', async (_, id) => {
    for (const [, collection] of both) {
      await collection.put({ id, n: 1 })
      expect(await collection.get(id)).toEqual({ id, n: 1 })
      await collection.delete(id)
      expect(await collection.get(id)).toBeUndefined()
    }
  })

  test('is compared code unit by code unit: neither case nor composition is folded', async () => {
    for (const [, collection] of both) {
      const keys = ['a', 'A', 'é', 'e\u0301', 'a ']
      await collection.insertMany(keys.map((id) => ({ id })))
      expect(await Promise.all(keys.map((id) => collection.get(id)))).toEqual(keys.map((id) => ({ id })))
      for (const id of keys) await collection.delete(id)
    }
  })

  const bad = [
    ['empty', ''],
    ['with a NUL', 'a\0b'],
    ['with half a surrogate pair', 'a\ud800'],
    ['longer than 1,024 characters', 'k'.repeat(1_025)],
    ['a number', 5],
    ['missing', undefined],
    ['null', null],
  ] as const

  test.each(bad)('may not be %s', async (_, id) => {
    for (const [, collection] of both) {
      const error = await failureOf(collection.put({ id } as never))
      expect(error.code).toBe('INVALID_DOCUMENT')
      expect((error.details.issues as string[])[0]).toMatch(/^id/)
    }
  })

  test.each(bad)('to delete may not be %s', async (_, id) => {
    expect(await codeOf(store.hot.delete(id as never))).toBe('INVALID_DOCUMENT')
  })
})
