import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { columnCount, decodeColumn, encodeColumn } from '../../../../src/worker/series/codec/column-codec.ts'
import { DamagedColumnError } from '../../../../src/worker/series/codec/damaged-column.ts'
import { btcBars } from '../../../data/btc-bars.ts'

function bits(values: Float64Array): Buffer {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength)
}

function roundTrip(values: Float64Array): Float64Array {
  const bytes = encodeColumn(values)
  const into = new Float64Array(values.length + 5).fill(7)
  if (columnCount(bytes) !== values.length) throw new Error('the count is wrong')
  if (decodeColumn(bytes, into, 3) !== values.length) throw new Error('the returned count is wrong')
  if (into[2] !== 7 || into[values.length + 3] !== 7) throw new Error('values beside the column were changed')
  return into.subarray(3, values.length + 3)
}

function isExact(values: Float64Array): boolean {
  return bits(roundTrip(values)).equals(bits(values))
}

function expectExact(values: Float64Array): void {
  expect(bits(roundTrip(values)).equals(bits(values))).toBe(true)
}

const anyBits = fc
  .tuple(fc.nat(0xffffffff), fc.nat(0xffffffff))
  .map(([low, high]) => new Float64Array(Uint32Array.of(low, high).buffer))

const special = fc.constantFrom(
  0,
  -0,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  Number.NaN,
  Number.MIN_VALUE,
  -Number.MIN_VALUE,
  Number.MAX_VALUE,
  2 ** 51,
  -(2 ** 51),
  2 ** 51 - 1,
  1 - 2 ** 51,
  2 ** 53,
  2 ** 53 + 2,
  0.1 + 0.2,
)

const decimals = fc
  .tuple(fc.nat(8), fc.integer({ min: -1_000_000_000, max: 1_000_000_000 }))
  .map(([places, digits]) => digits / 10 ** places)

/** Walks in steps of a tick, as prices do, from any start. */
const walk = fc
  .tuple(
    fc.integer({ min: 0, max: 100_000_000 }),
    fc.nat(10),
    fc.array(fc.integer({ min: -50, max: 50 }), { maxLength: 700 }),
  )
  .map(([start, places, steps]) => {
    let at = start
    return steps.map((step) => {
      at += step
      return at / 10 ** places
    })
  })

const timeStamps = fc
  .tuple(
    fc.constantFrom(1e9, 1e12, 1e15),
    fc.integer({ min: 1, max: 60_000_000 }),
    fc.array(fc.constantFrom(1, 1, 1, 1, 1, 2, 0, -3), { maxLength: 700 }),
  )
  .map(([start, step, times]) => {
    let at = start * 1.6
    return times.map((by) => {
      at += by * step
      return at
    })
  })

const mixed = fc
  .array(
    fc.oneof(
      walk,
      timeStamps,
      fc.array(special, { maxLength: 300 }),
      fc.array(decimals, { maxLength: 300 }),
      fc.array(fc.double(), { maxLength: 300 }),
    ),
    { maxLength: 4 },
  )
  .map((parts) => Float64Array.from(parts.flat()))

const column = fc.oneof(
  mixed,
  walk.map((values) => Float64Array.from(values)),
  timeStamps.map((values) => Float64Array.from(values)),
  fc.array(fc.float(), { maxLength: 400 }).map((values) => Float64Array.from(values)),
  fc.array(anyBits, { maxLength: 400 }).map((values) => {
    const all = new Float64Array(values.length)
    values.forEach((value, i) => {
      bits(all).set(bits(value), i * 8)
    })
    return all
  }),
)

describe('a column of doubles', () => {
  it('comes back bit for bit, whatever is in it', () => {
    fc.assert(
      fc.property(column, (values) => isExact(values)),
      { numRuns: 600 },
    )
  })

  it('keeps the payload of every NaN and the sign of zero', () => {
    const words = Uint32Array.of(
      1,
      0x7ff00000,
      0,
      0x7ff80000,
      0xdeadbeef,
      0xfff7ffff,
      0,
      0x80000000,
      0,
      0,
      5,
      0x7ff80000,
    )
    expectExact(new Float64Array(words.buffer))
    for (let i = 0; i < words.length; i += 2) {
      expectExact(
        new Float64Array(
          Uint32Array.of(
            ...Array(9)
              .fill([...words.subarray(i, i + 2)])
              .flat(),
          ).buffer,
        ),
      )
    }
    const prices = Float64Array.from({ length: 500 }, (_, i) => 20_000 + i / 100)
    bits(prices).set(new Uint8Array(words.buffer), 1_600)
    expectExact(prices)
    expect(encodeColumn(prices).length).toBeLessThan(500)
  })

  it('may be empty, of one value, and of every length around a group', () => {
    for (const length of [0, 1, 2, 3, 127, 128, 129, 130, 131, 255, 256, 257, 258]) {
      expectExact(Float64Array.from({ length }, (_, i) => i * i * 0.25))
      expectExact(Float64Array.from({ length }, (_, i) => Math.sin(i)))
    }
  })

  it('packs integers of every width exactly', () => {
    for (let width = 0; width <= 52; width += 1) {
      const top = 2 ** width - 1
      const values = Float64Array.from({ length: 300 }, (_, i) =>
        i % 3 === 0 ? top : Math.floor(top * ((i * 0.377) % 1)),
      )
      expectExact(values)
      expectExact(values.map((value) => -value))
      expectExact(values.map((value, i) => (i % 2 === 0 ? -value : value)))
    }
  })

  it('takes a view into the middle of a buffer', () => {
    const all = Float64Array.from({ length: 400 }, (_, i) => Math.cos(i))
    expectExact(all.subarray(13, 300))
    const bytes = encodeColumn(all)
    const shifted = new Uint8Array(bytes.length + 3)
    shifted.set(bytes, 3)
    const into = new Float64Array(400)
    decodeColumn(shifted.subarray(3), into, 0)
    expect(into).toEqual(all)
  })

  it('is never larger than raw doubles and a few bytes', () => {
    fc.assert(fc.property(column, (values) => encodeColumn(values).length <= values.length * 8 + 6))
  })

  it('is small where data are regular', () => {
    const minutes = Float64Array.from({ length: 1_000 }, (_, i) => 1_640_991_660_000 + i * 60_000)
    expect(encodeColumn(minutes).length).toBeLessThan(50)
    expect(encodeColumn(new Float64Array(1_000).fill(0.1 + 0.2)).length).toBeLessThan(12)
    const floats = Float64Array.from({ length: 1_000 }, (_, i) => Math.fround(Math.sin(i)))
    expect(encodeColumn(floats).length).toBeLessThan(4_500)
  })

  it('keeps the real BTC bars within 10.5 bytes a bar, exactly', () => {
    const bars = btcBars()
    let bytes = 0
    for (const values of Object.values(bars) as Float64Array[]) {
      for (let start = 0; start < values.length; start += 1_024) {
        const block = values.slice(start, start + 1_024)
        bytes += encodeColumn(block).length
        expectExact(block)
      }
    }
    expect(bytes / bars.ts.length).toBeLessThanOrEqual(10.5)
  })
})

describe('damaged bytes of a column', () => {
  const columns = [
    Float64Array.from({ length: 700 }, (_, i) => 20_000 + Math.floor(100 * Math.sin(i)) / 100),
    Float64Array.from({ length: 300 }, (_, i) => Math.sin(i)),
    Float64Array.from({ length: 300 }, (_, i) => (i % 50 === 0 ? Number.NaN : 1_640_991_660_000 + i * 60_000)),
    new Float64Array(40).fill(3),
    Float64Array.from({ length: 60 }, (_, i) => (i % 2 === 0 ? 1e300 : -1e-300) * Math.sin(i)),
  ].map((values) => ({ values, bytes: encodeColumn(values) }))

  it('are refused at every length they may be cut to', () => {
    for (const { values, bytes } of columns) {
      const into = new Float64Array(values.length)
      for (let length = 0; length < bytes.length; length += 1) {
        expect(() => decodeColumn(bytes.subarray(0, length), into, 0)).toThrow(DamagedColumnError)
      }
    }
  })

  it('are refused when more bytes follow', () => {
    for (const { values, bytes } of columns) {
      const longer = new Uint8Array(bytes.length + 1)
      longer.set(bytes)
      expect(() => decodeColumn(longer, new Float64Array(values.length), 0)).toThrow(DamagedColumnError)
    }
  })

  it('are refused when the target has no room for what they say they hold', () => {
    for (const { values, bytes } of columns) {
      expect(() => decodeColumn(bytes, new Float64Array(values.length), 1)).toThrow(DamagedColumnError)
    }
  })

  it('either decode within their bounds or throw DamagedColumnError, whichever bytes are changed', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...columns),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 }),
        ({ values, bytes }, changes) => {
          const damaged = bytes.slice()
          for (const [at, byte] of changes) damaged[at % (at % 2 === 0 ? 24 : damaged.length)] = byte
          return decodesOrIsRefused(damaged, values.length)
        },
      ),
      { numRuns: 3_000 },
    )
  })

  it('of any origin are refused or decoded, never looped over', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(4), (bytes, tag) => {
        if (bytes.length > 0) bytes[0] = tag
        return decodesOrIsRefused(bytes, 1_000)
      }),
      { numRuns: 3_000 },
    )
  })
})

function decodesOrIsRefused(bytes: Uint8Array, room: number): boolean {
  const into = new Float64Array(room + 2).fill(7)
  try {
    decodeColumn(bytes, into.subarray(1, room + 1), 0)
  } catch (error) {
    if (!(error instanceof DamagedColumnError)) throw error
  }
  return into[0] === 7 && into[room + 1] === 7
}
