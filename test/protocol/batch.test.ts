import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { findWitness, type Segment, segmentOperations, type WireOperation } from '../../src/protocol/batch.ts'

const COLLECTIONS = ['orders', 'fills'] as const
const KEYS = ['a', 'b', 'c'] as const

const operation: fc.Arbitrary<WireOperation> = fc
  .record({
    collection: fc.constantFrom(...COLLECTIONS),
    kind: fc.constantFrom('put', 'insert', 'delete'),
    key: fc.constantFrom(...KEYS),
    value: fc.nat(99),
    ifVersion: fc.option(fc.nat(3), { freq: 4 }),
  })
  .map(({ collection, kind, key, value, ifVersion }) => ({
    collection,
    kind,
    key,
    json: kind === 'delete' ? null : JSON.stringify({ key, value }),
    ifVersion: kind === 'insert' ? null : ifVersion,
  }))

const operations = fc.array(operation, { maxLength: 40 })

type State = Map<string, { readonly json: string; readonly version: number }>

const idOf = ({ collection, key }: Pick<WireOperation, 'collection' | 'key'>) => `${collection}/${key}`

/** What the database makes of the operations one by one; undefined when it refuses one and rolls everything back. */
function apply(sequence: readonly WireOperation[]): State | undefined {
  const state: State = new Map()
  for (const each of sequence) {
    const before = state.get(idOf(each))
    const version = before?.version ?? 0
    if (each.ifVersion !== null && each.ifVersion !== version) return undefined
    if (each.kind === 'insert' && before !== undefined) return undefined
    if (each.json === null) state.delete(idOf(each))
    else state.set(idOf(each), { json: each.json, version: version + 1 })
  }
  return state
}

function unfold(segments: readonly Segment[]): WireOperation[] {
  return segments.flatMap(({ collection, kind, keys, documents, ifVersion }) =>
    keys.map((key, index) => ({ collection, kind, key, json: documents[index] ?? null, ifVersion })),
  )
}

const wire = (kind: WireOperation['kind'], key: string, changes: Partial<WireOperation> = {}): WireOperation => ({
  collection: 'orders',
  kind,
  key,
  json: kind === 'delete' ? null : `{"id":"${key}"}`,
  ifVersion: null,
  ...changes,
})

describe('segmentOperations', () => {
  test('leaves the database as the operations one by one would', () => {
    fc.assert(
      fc.property(operations, (sequence) => {
        expect(apply(unfold(segmentOperations(sequence)))).toEqual(apply(sequence))
      }),
      { numRuns: 2_000 },
    )
  })

  test('keeps every operation once, and the order of those on one collection', () => {
    fc.assert(
      fc.property(operations, (sequence) => {
        const unfolded = unfold(segmentOperations(sequence))
        expect(unfolded).toHaveLength(sequence.length)
        for (const collection of COLLECTIONS) {
          const ofCollection = (each: WireOperation) => each.collection === collection
          expect(unfolded.filter(ofCollection)).toEqual(sequence.filter(ofCollection))
        }
      }),
    )
  })

  test('gives deletes no documents and every other row its own', () => {
    fc.assert(
      fc.property(operations, (sequence) => {
        for (const { kind, keys, documents } of segmentOperations(sequence)) {
          expect(documents).toHaveLength(kind === 'delete' ? 0 : keys.length)
        }
      }),
    )
  })

  test('leaves a guarded operation alone in its segment', () => {
    fc.assert(
      fc.property(operations, (sequence) => {
        for (const { keys, ifVersion } of segmentOperations(sequence))
          if (ifVersion !== null) expect(keys).toHaveLength(1)
      }),
    )
  })

  test('makes one segment of puts to one collection', () => {
    const segments = segmentOperations([wire('put', 'a'), wire('put', 'b'), wire('put', 'a')])
    expect(segments.map(({ keys }) => keys)).toEqual([['a', 'b', 'a']])
  })

  test('makes one segment for each collection of interleaved puts', () => {
    const segments = segmentOperations([
      wire('put', 'a'),
      wire('put', 'f', { collection: 'fills' }),
      wire('put', 'b'),
      wire('put', 'g', { collection: 'fills' }),
    ])
    expect(segments.map(({ collection, keys }) => [collection, keys])).toEqual([
      ['orders', ['a', 'b']],
      ['fills', ['f', 'g']],
    ])
  })

  test('starts anew with each change of kind: the order of first writes is the order of lists', () => {
    const segments = segmentOperations([
      wire('insert', 'a'),
      wire('insert', 'b'),
      wire('put', 'c'),
      wire('insert', 'd'),
    ])
    expect(segments.map(({ kind, keys }) => [kind, keys])).toEqual([
      ['insert', ['a', 'b']],
      ['put', ['c']],
      ['insert', ['d']],
    ])
  })

  test('never moves an operation past another kind on its key', () => {
    const segments = segmentOperations([wire('insert', 'a'), wire('delete', 'a'), wire('insert', 'a')])
    expect(segments.map(({ kind }) => kind)).toEqual(['insert', 'delete', 'insert'])
  })

  test('makes nothing of nothing', () => {
    expect(segmentOperations([])).toEqual([])
  })
})

describe('findWitness', () => {
  test('is a document that the batch leaves behind, or none when it leaves none', () => {
    fc.assert(
      fc.property(operations, (sequence) => {
        const witness = findWitness(sequence)
        const lastOf = new Map(sequence.map((each) => [idOf(each), each.kind]))
        const left = [...lastOf].filter(([, kind]) => kind !== 'delete').map(([id]) => id)
        if (witness === null) expect(left).toEqual([])
        else expect(left).toContain(idOf(witness))
      }),
      { numRuns: 1_000 },
    )
  })

  test('is the last of them', () => {
    expect(findWitness([wire('put', 'a'), wire('insert', 'b'), wire('delete', 'c')])).toEqual({
      collection: 'orders',
      key: 'b',
    })
  })

  test('is not fooled by the same key in another collection', () => {
    const sequence = [wire('put', 'a'), wire('delete', 'a', { collection: 'fills' })]
    expect(findWitness(sequence)).toEqual({ collection: 'orders', key: 'a' })
  })

  test.each([
    ['deletes alone', [wire('delete', 'a'), wire('delete', 'b')]],
    ['a document written and deleted again', [wire('put', 'a'), wire('delete', 'a')]],
    ['nothing', []],
  ])('is none for %s', (_, sequence) => {
    expect(findWitness(sequence)).toBeNull()
  })
})
