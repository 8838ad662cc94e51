import { describe, expect, test } from 'vitest'
import { defineCollection, StoreError, z } from '../../src/index.ts'

const schema = z.object({ id: z.string(), tag: z.string(), n: z.number().optional(), secret: z.string().nullish() })

/** As a program without types would call it. */
const define = (options: object): unknown =>
  defineCollection({ name: 'things', key: 'id', schema, ...options } as never)

function refusal(options: object): StoreError {
  try {
    define(options)
  } catch (error) {
    if (error instanceof StoreError) return error
    throw error
  }
  throw new Error('was not refused')
}

describe('a definition', () => {
  test('has defaults: nothing indexed, cold, in the state file', () => {
    expect(defineCollection({ name: 'things', key: 'id', schema }).spec).toEqual({
      name: 'things',
      key: 'id',
      fields: ['id', 'tag', 'n', 'secret'],
      indexes: [],
      unique: [],
      references: {},
      sealed: [],
      hot: false,
      file: 'state',
    })
  })

  test('says what it was given', () => {
    const { spec } = defineCollection({
      name: 'things',
      key: 'id',
      schema,
      indexes: ['tag', 'n'],
      unique: ['tag'],
      references: { n: 'others' },
      hot: { field: 'tag', in: ['a', 'b'] },
      file: 'market',
    })
    expect(spec).toMatchObject({
      indexes: ['tag', 'n'],
      unique: ['tag'],
      references: { n: 'others' },
      hot: { field: 'tag', in: ['a', 'b'] },
      file: 'market',
    })
  })

  test('survives structured clone: it is what crosses to the worker', () => {
    const { spec } = defineCollection({ name: 'things', key: 'id', schema, indexes: ['tag'] })
    expect(structuredClone(spec)).toEqual(spec)
  })

  test('cannot be changed, nor by changing what it was made from', () => {
    const indexes: ('tag' | 'n')[] = ['tag']
    const { spec } = defineCollection({ name: 'things', key: 'id', schema, indexes })
    indexes.push('n')
    expect(spec.indexes).toEqual(['tag'])
    for (const part of [spec, spec.fields, spec.indexes, spec.unique, spec.references, spec.sealed]) {
      expect(Object.isFrozen(part)).toBe(true)
    }
  })

  test('leaves the schema it was given as it was', () => {
    defineCollection({ name: 'things', key: 'id', schema })
    expect(schema.parse({ id: 'a', tag: 't', other: 1 })).toEqual({ id: 'a', tag: 't' })
  })
})

describe('unknown fields', () => {
  const stored = (definition: { schema: z.ZodType }, document: object) => definition.schema.safeParse(document)
  const document = { id: 'a', tag: 't', other: 1 }

  test('are kept by a plain z.object', () => {
    expect(stored(defineCollection({ name: 'things', key: 'id', schema }), document).data).toEqual(document)
  })

  test('are refused by z.strictObject', () => {
    const strict = z.strictObject(schema.shape)
    expect(stored(defineCollection({ name: 'things', key: 'id', schema: strict }), document).success).toBe(false)
  })

  test('follow the schema of catchall', () => {
    const definition = defineCollection({ name: 'things', key: 'id', schema: schema.catchall(z.string()) })
    expect(stored(definition, document).success).toBe(false)
    expect(stored(definition, { ...document, other: 'x' }).success).toBe(true)
  })
})

describe('INVALID_COLLECTION', () => {
  test.each([
    ['an empty name', { name: '' }],
    ['a name that begins with a digit', { name: '1st' }],
    ['a name that begins with the underscore of the store’s own tables', { name: '_audit' }],
    ['a name with a quote', { name: 'a"b' }],
    ['a name with a blank', { name: 'a b' }],
    ['a name longer than 63 characters', { name: 'a'.repeat(64) }],
    ['a name that belongs to SQLite', { name: 'SQLite_things' }],
    ['a schema that is no zod object', { schema: z.string() }],
    ['a field whose name SQL could not quote in a path', { schema: z.object({ id: z.string(), 'a.b': z.string() }) }],
    ['fields that differ in case only', { schema: z.object({ id: z.string(), Tag: z.string(), tag: z.string() }) }],
    ['a key that is no field', { key: 'nope' }],
    ['an index that is no field', { indexes: ['nope'] }],
    ['a unique field that is not indexed', { unique: ['tag'] }],
    ['a reference that is not indexed', { references: { tag: 'others' } }],
    ['a sealed field that is no field', { sealed: ['nope'] }],
    ['a sealed key', { sealed: ['id'] }],
    ['a sealed field that is indexed', { indexes: ['secret'], sealed: ['secret'] }],
    ['a hot collection with sealed fields', { sealed: ['secret'], hot: true }],
    [
      'a partly hot collection with sealed fields',
      { indexes: ['tag'], sealed: ['secret'], hot: { field: 'tag', in: ['a'] } },
    ],
    ['a hot field that is not indexed', { hot: { field: 'tag', in: ['a'] } }],
    ['a hot field that is no field', { hot: { field: 'nope', in: ['a'] } }],
    ['a hot field without values', { indexes: ['tag'], hot: { field: 'tag', in: [] } }],
    [
      'more than 500 fields',
      {
        schema: z.object({
          id: z.string(),
          ...Object.fromEntries(Array.from({ length: 500 }, (_, n) => [`f${n}`, z.string()])),
        }),
      },
    ],
  ])('%s', (_, options) => {
    expect(refusal(options).code).toBe('INVALID_COLLECTION')
  })

  test('names the collection and the reason', () => {
    expect(refusal({ indexes: ['nope'] }).message).toBe(
      'Collection "things" can\'t be defined: its index "nope" is not a field of its schema.',
    )
  })
})
