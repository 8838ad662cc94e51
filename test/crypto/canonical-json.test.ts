import fc from 'fast-check'
import { expect, test } from 'vitest'
import { canonicalJson, type JsonValue } from '../../src/crypto/canonical-json.ts'

test('members are sorted by UTF-16 code unit at every level, without white space (RFC 8785 section 3.2.3)', () => {
  const value = { b: [{ z: 1, a: null }], '\u20ac': true, '\ud83d\ude00': 'x', '\ufb33': 2, '1': 'é\n', a: 1.5 }
  expect(canonicalJson(value).toString()).toBe(
    '{"1":"é\\n","a":1.5,"b":[{"a":null,"z":1}],"\u20ac":true,"\ud83d\ude00":"x","\ufb33":2}',
  )
})

test('an undefined member is left out', () => {
  expect(canonicalJson({ a: undefined, b: 1 }).toString()).toBe('{"b":1}')
})

test('every JSON value survives, whatever the order of its members', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
      const reordered = JSON.parse(JSON.stringify(value), (_name, item: unknown) =>
        typeof item === 'object' && item !== null && !Array.isArray(item)
          ? Object.fromEntries(Object.entries(item).reverse())
          : item,
      ) as JsonValue
      const bytes = canonicalJson(value as JsonValue)
      expect(JSON.parse(bytes.toString())).toStrictEqual(JSON.parse(JSON.stringify(value)))
      expect(canonicalJson(reordered)).toStrictEqual(bytes)
    }),
  )
})

test('nesting has a bound', () => {
  const deep = JSON.parse(`${'['.repeat(100_000)}${']'.repeat(100_000)}`) as JsonValue
  expect(() => canonicalJson(deep)).toThrow(RangeError)
})
