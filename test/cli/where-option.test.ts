import { describe, expect, test } from 'vitest'
import { parseWhere } from '../../src/cli/where-option.ts'
import { builtInCollections } from '../../src/index.ts'
import { watchlist } from './test-store.ts'

const { spec: fills } = builtInCollections.fills

describe('--where', () => {
  test.each([
    ['orderId=12345', { orderId: { in: ['12345'] } }],
    ['orderId != 12345', { orderId: { ne: '12345' } }],
    ['id>=5', { id: { gte: '5' } }],
    ['filledAt=5', { filledAt: { in: [5] } }],
    ['filledAt<1970-01-02', { filledAt: { lt: 86_400_000 } }],
    ['filledAt>1970-01-01T00:00:01', { filledAt: { gt: 1_000 } }],
    ['filledAt>1970-01-01T01:00:01+01:00', { filledAt: { gt: 1_000 } }],
    ['symbol=null', { symbol: null }],
    ['symbol!=null', { symbol: { ne: null } }],
    ['symbol="null"', { symbol: { in: ['null'] } }],
    ['symbol=a=b', { symbol: { in: ['a=b'] } }],
    ['symbol in a, "b,c",null', { symbol: { in: ['a', 'b,c', null] } }],
    ['symbol IN (a, b)', { symbol: { in: ['a', 'b'] } }],
    ['symbol in ["a", "b"]', { symbol: { in: ['a', 'b'] } }],
  ])('reads by what the schema says of the field: %s', (text, where) => {
    expect(parseWhere([text], fills)).toEqual(where)
  })

  test.each([
    ['tag=5', { tag: { in: [5, '5'] } }],
    ['tag="5"', { tag: { in: ['5'] } }],
    ['tag=true', { tag: { in: [true, 'true'] } }],
    ['tag>5', { tag: { gt: 5 } }],
    ['symbol>5', { symbol: { gt: '5' } }],
  ])('matches both where nothing is known: %s', (text, where) => {
    expect(parseWhere([text], watchlist.spec)).toEqual(where)
  })

  test('joins conditions on one field', () => {
    expect(parseWhere(['filledAt>=1', 'filledAt<9'], fills)).toEqual({ filledAt: { gte: 1, lt: 9 } })
  })

  test.each([
    [['filledAt']],
    [['=5']],
    [['filledAt>secret']],
    [['filledAt>null']],
    [['symbol="secret']],
    [['filledAt>1', 'filledAt>2']],
    [['symbol=null', 'symbol=secret']],
  ])('refuses %j without repeating a value', (texts) => {
    expect(() => parseWhere(texts, fills)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', message: expect.not.stringContaining('secret') }),
    )
  })
})
