import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DamagedColumnError } from '../../../../src/worker/series/codec/damaged-column.ts'
import { decodeTexts, encodeTexts } from '../../../../src/worker/series/codec/text-column.ts'

function comesBack(texts: readonly string[]): boolean {
  const decoded = decodeTexts(encodeTexts(texts), texts.length)
  return decoded.length === texts.length && decoded.every((text, i) => text === texts[i])
}

const digits = fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 20 }).map((all) => all.join(''))
const decimalText = fc
  .tuple(fc.boolean(), digits, digits, fc.boolean())
  .map(([minus, whole, fraction, point]) => `${minus ? '-' : ''}${whole}${point ? `.${fraction}` : ''}`)
const anyText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string(),
  decimalText,
  fc.constantFrom(
    '',
    '0',
    '-0',
    '-0.0',
    '00',
    '1.',
    '.5',
    '+1',
    '1e5',
    'NaN',
    ' 1',
    '1 ',
    '\uD800',
    '\uDC00',
    '\uFEFFx',
    'buy',
    'sell',
  ),
)

describe('a column of texts', () => {
  it('comes back as it was, whatever is in it', () => {
    fc.assert(
      fc.property(fc.array(anyText, { maxLength: 60 }), (texts) => comesBack(texts)),
      { numRuns: 1_000 },
    )
  })

  it('keeps the exact digits of decimal strings', () => {
    fc.assert(
      fc.property(fc.array(decimalText, { maxLength: 300 }), (texts) => comesBack(texts)),
      { numRuns: 500 },
    )
    const prices = [
      '1',
      '1.0',
      '1.00',
      '0.00',
      '0',
      '-0.50',
      '123456789012345',
      '1234567890123456',
      '0.000000000000000001',
    ]
    expect(decodeTexts(encodeTexts(prices))).toEqual(prices)
    const long = [
      '999999999999999999999999999999',
      '-1000000000000000',
      '0.123456789012345678901234567',
      '100000000000000',
    ]
    expect(decodeTexts(encodeTexts(long))).toEqual(long)
  })

  it('keeps texts with lone surrogates, also two that would make a pair', () => {
    const texts = ['\uD83D', '\uDE00', 'x\uD800', '\uDC00y', '\u{1F600}']
    expect(decodeTexts(encodeTexts(texts))).toEqual(texts)
    expect(decodeTexts(encodeTexts(['\uD83D', '\uDE00']))).toEqual(['\uD83D', '\uDE00'])
  })

  it('is small for prices in ticks and for few distinct texts', () => {
    const prices = Array.from({ length: 1_000 }, (_, i) => (20_000 + Math.sin(i / 10)).toFixed(2))
    expect(encodeTexts(prices).length).toBeLessThan(1_100)
    const sides = Array.from({ length: 1_000 }, (_, i) => (i % 3 === 0 ? 'sell' : 'buy'))
    expect(encodeTexts(sides).length).toBeLessThan(200)
  })

  it('may be empty', () => {
    expect(decodeTexts(encodeTexts([]))).toEqual([])
    expect(decodeTexts(encodeTexts(['', '', '']))).toEqual(['', '', ''])
  })
})

describe('damaged bytes of a text column', () => {
  const columns = [
    Array.from({ length: 300 }, (_, i) => (20_000 + i / 100).toFixed(2)),
    Array.from({ length: 300 }, (_, i) => (i % 3 === 0 ? 'sell' : 'buy')),
    Array.from({ length: 50 }, (_, i) => `note ${i} é`),
    ['\uD800', 'x'],
  ].map((texts) => ({ texts, bytes: encodeTexts(texts) }))

  it('are refused at every length they may be cut to, and when more bytes follow', () => {
    for (const { bytes } of columns) {
      for (let length = 0; length < bytes.length; length += 1) {
        expect(() => decodeTexts(bytes.subarray(0, length))).toThrow(DamagedColumnError)
      }
      expect(() => decodeTexts(Uint8Array.from([...bytes, 0, 0]))).toThrow(DamagedColumnError)
    }
  })

  it('are refused when they hold more texts than the caller expects', () => {
    for (const { texts, bytes } of columns) {
      expect(() => decodeTexts(bytes, texts.length - 1)).toThrow(DamagedColumnError)
    }
  })

  it('either decode within bounds or throw DamagedColumnError', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...columns),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 }),
        ({ texts, bytes }, changes) => {
          const damaged = bytes.slice()
          for (const [at, byte] of changes) damaged[at % (at % 2 === 0 ? 24 : damaged.length)] = byte
          try {
            return decodeTexts(damaged, texts.length).length <= texts.length
          } catch (error) {
            return error instanceof DamagedColumnError
          }
        },
      ),
      { numRuns: 3_000 },
    )
  })
})
