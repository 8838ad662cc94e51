/** The file of a symbol, byte by byte: what was torn is dropped, what was changed is told, and nothing is ever made up. */
import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  DamagedFile,
  FIRST_CHECKSUM,
  HEADER_BYTES,
  nextChecksum,
  openFile,
  RECORD_OVERHEAD_BYTES,
  RecordSeal,
  type Vouched,
} from '../../../src/worker/session-cache/cache-format.ts'

const PAYLOADS = ['first', '', 'third record', 'x'.repeat(100), 'last'].map((text) => Buffer.from(text))

interface MadeFile {
  readonly key: Buffer
  readonly id: Buffer
  readonly bytes: Buffer
  /** Where each record ends, and the header before them. */
  readonly ends: readonly number[]
  readonly vouchedAt: (records: number) => Vouched
}

function makeFile(generation = 3, payloads: readonly Buffer[] = PAYLOADS): MadeFile {
  const [key, id] = [randomBytes(32), randomBytes(16)]
  const seal = new RecordSeal(key, id, generation)
  const records = payloads.map((payload, sequence) => seal.seal(sequence, payload))
  const ends = [HEADER_BYTES]
  const checksums: Uint8Array[] = [FIRST_CHECKSUM]
  for (const record of records) {
    ends.push((ends.at(-1) as number) + record.length)
    checksums.push(nextChecksum(checksums.at(-1) as Uint8Array, record))
  }
  return {
    key,
    id,
    bytes: Buffer.concat([seal.header, ...records]),
    ends,
    vouchedAt: (count) => ({ generation, records: count, checksum: checksums[count] as Uint8Array }),
  }
}

/** The payloads that come back, or why none do. */
function read({ key, id }: MadeFile, bytes: Buffer, vouched: Vouched): string[] | string {
  try {
    return openFile(bytes, key, id, vouched).payloads.map(String)
  } catch (error) {
    if (error instanceof DamagedFile) return error.message
    throw error
  }
}

const texts = (count: number) => PAYLOADS.slice(0, count).map(String)

describe('a file', () => {
  const file = makeFile()
  const { bytes, ends, vouchedAt } = file

  test('gives back every record, and where they end', () => {
    for (const records of [1, 3, 5]) {
      expect(openFile(bytes, file.key, file.id, vouchedAt(records))).toEqual({
        generation: 3,
        records: 5,
        checksum: vouchedAt(5).checksum,
        payloads: PAYLOADS,
        bytes: bytes.length,
      })
    }
  })

  test('cut at any byte behind what is vouched for loses what was torn, and no more', () => {
    for (let length = ends[2] as number; length <= bytes.length; length++) {
      const whole = ends.filter((end) => end <= length).length - 1
      expect(read(file, bytes.subarray(0, length), vouchedAt(2)), `${length} bytes`).toEqual(texts(whole))
    }
  })

  test('cut anywhere within it is damaged', () => {
    for (let length = 0; length < (ends[4] as number); length++) {
      expect(read(file, bytes.subarray(0, length), vouchedAt(4)), `${length} bytes`).toMatch(/^record \d is|^it is cut/)
    }
  })

  test('with any bit flipped is told, or, behind what is vouched for, loses its last record', () => {
    for (let at = 0; at < bytes.length; at++) {
      const flipped = Buffer.from(bytes)
      flipped[at] = (flipped[at] as number) ^ (1 << (at % 8))
      expect(read(file, flipped, vouchedAt(5)), `byte ${at}`).toEqual(expect.any(String))
      const isLast = at >= (ends[4] as number)
      expect(read(file, flipped, vouchedAt(1)), `byte ${at}`).toEqual(isLast ? texts(4) : expect.any(String))
    }
  })

  test('followed by whatever a power cut leaves is whole without it', () => {
    for (const tail of [Buffer.alloc(1), Buffer.alloc(5_000), randomBytes(5_000), bytes.subarray(0, 40)]) {
      expect(read(file, Buffer.concat([bytes, tail]), vouchedAt(5))).toEqual(texts(5))
    }
  })

  test('with records in another order, twice, or left out is damaged', () => {
    const record = (n: number) => bytes.subarray(ends[n], ends[n + 1])
    const made = (...order: number[]) => Buffer.concat([bytes.subarray(0, HEADER_BYTES), ...order.map(record)])
    expect(read(file, made(0, 1, 2, 3, 4), vouchedAt(1))).toEqual(texts(5))
    for (const order of [
      [1, 0, 2, 3, 4],
      [0, 2, 3, 4],
      [0, 1, 3, 2, 4],
      [0, 2, 1, 3, 4],
      [1, 2, 3, 4],
    ]) {
      expect(read(file, made(...order), vouchedAt(1)), String(order)).toMatch(/damaged/)
    }
    // What comes once more behind the end stands for nothing.
    expect(read(file, made(0, 1, 2, 3, 4, 3), vouchedAt(5))).toEqual(texts(5))
  })

  test('with records of another file, or of another generation of itself, is damaged', () => {
    const other = makeFile()
    const swapped = Buffer.from(bytes)
    other.bytes.copy(swapped, ends[1] as number, ends[1] as number, ends[2] as number)
    expect(read(file, swapped, vouchedAt(1))).toMatch(/damaged/)
    expect(read(file, other.bytes, vouchedAt(5))).toMatch(/header/)
    expect(read({ ...file, key: other.key }, bytes, vouchedAt(5))).toMatch(/record 1/)
    const older = new RecordSeal(file.key, file.id, 2)
    const rolledBack = Buffer.concat([older.header, older.seal(0, Buffer.from('old'))])
    expect(read(file, rolledBack, vouchedAt(1))).toMatch(/older/)
    const relabelled = Buffer.concat([bytes.subarray(0, HEADER_BYTES), older.seal(0, Buffer.from('old'))])
    expect(read(file, relabelled, vouchedAt(1))).toMatch(/record 1/)
  })

  test('with a record that was written in the place of one that is vouched for is damaged', () => {
    const seal = new RecordSeal(file.key, file.id, 3)
    const forked = Buffer.concat([bytes.subarray(0, ends[4]), seal.seal(4, Buffer.from('other'))])
    expect(read(file, forked, vouchedAt(5))).toMatch(/not those/)
    expect(read(file, forked, vouchedAt(4))).toEqual([...texts(4), 'other'])
  })

  test('of a generation that is not vouched for yet is whole with its first record, and not without', () => {
    const before: Vouched = { generation: 2, records: 200, checksum: randomBytes(32) }
    expect(read(file, bytes, before)).toEqual(texts(5))
    expect(read(file, bytes.subarray(0, ends[1]), before)).toEqual(texts(1))
    expect(read(file, bytes.subarray(0, (ends[1] as number) - 1), before)).toMatch(/record 1/)
  })

  test('of any bytes at all gives nothing but what was sealed', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.boolean(), (noise, hasHeader) => {
        const made = Buffer.concat([hasHeader ? bytes.subarray(0, HEADER_BYTES) : Buffer.alloc(0), noise])
        return typeof read(file, made, vouchedAt(1)) === 'string'
      }),
      { numRuns: 500 },
    )
  })
})

test('sealing adds what it says it adds, and never seals the same twice alike', () => {
  const seal = new RecordSeal(randomBytes(32), randomBytes(16), 1)
  const [one, other] = [seal.seal(0, PAYLOADS[0] as Buffer), seal.seal(0, PAYLOADS[0] as Buffer)]
  expect(one.length).toBe((PAYLOADS[0] as Buffer).length + RECORD_OVERHEAD_BYTES)
  expect(one.subarray(12)).not.toEqual(other.subarray(12))
})
