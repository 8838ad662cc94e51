/**
 * Integers as differences of order 0, 1 or 2 (delta-of-delta, as Gorilla does it for time stamps: T. Pelkonen et al.,
 * "Gorilla: a fast, scalable, in-memory time series database", VLDB 2015), frame of reference in groups of 128, each
 * group packed to the width that its largest residual needs.
 *
 * Layout: order u8, the first `order` values as signed varints, then per group its least residual (signed varint) and
 * width (u8), then per group its packed words.
 */
import { bitWidth, GROUP_SIZE, MAX_WIDTH, pack, packedBytes, unpack } from './bit-packing.ts'
import type { ByteReader } from './byte-reader.ts'
import type { ByteWriter } from './byte-writer.ts'
import { DamagedColumnError } from './damaged-column.ts'

/** Integers handed to `writeIntegers` lie strictly between ±2^51. */
export const INTEGER_BOUND = 2 ** 51
const TWO_32 = 0x1_0000_0000

const lows = new Uint32Array(GROUP_SIZE)
const highs = new Uint32Array(GROUP_SIZE)

interface Plan {
  readonly order: number
  readonly bytes: number
  readonly minima: Float64Array
  readonly widths: Uint8Array
}

export function writeIntegers(integers: Float64Array, count: number, out: ByteWriter): void {
  let best: Plan | undefined
  let residuals = integers.subarray(0, count)
  let chosen = residuals
  const firsts: number[] = []
  for (let order = 0; order <= 2 && order <= count; order += 1) {
    if (order > 0) {
      firsts.push(residuals[0] as number)
      residuals = differences(residuals)
    }
    const plan = planGroups(residuals, order)
    if (plan === undefined) break
    if (best === undefined || plan.bytes < best.bytes) {
      best = plan
      chosen = residuals
    }
  }
  if (best === undefined) throw new RangeError('integers are out of bounds')
  writePlan(best, chosen, firsts, out)
}

function differences(values: Float64Array): Float64Array {
  const result = new Float64Array(values.length - 1)
  let previous = values[0] as number
  for (let i = 0; i < result.length; i += 1) {
    const value = values[i + 1] as number
    result[i] = value - previous
    previous = value
  }
  return result
}

/** undefined when residuals of this order leave the range in which doubles count exactly. */
function planGroups(residuals: Float64Array, order: number): Plan | undefined {
  const groups = Math.ceil(residuals.length / GROUP_SIZE)
  const minima = new Float64Array(groups)
  const widths = new Uint8Array(groups)
  let bytes = order * 4
  for (let group = 0; group < groups; group += 1) {
    const start = group * GROUP_SIZE
    const end = Math.min(start + GROUP_SIZE, residuals.length)
    let min = residuals[start] as number
    let max = min
    for (let i = start + 1; i < end; i += 1) {
      const value = residuals[i] as number
      if (value < min) min = value
      else if (value > max) max = value
    }
    if (min <= -INTEGER_BOUND || max >= INTEGER_BOUND) return undefined
    const width = bitWidth(max - min)
    minima[group] = min
    widths[group] = width
    bytes += packedBytes(end - start, width) + 1 + Math.ceil((bitWidth(Math.abs(min)) + 2) / 7)
  }
  return { order, bytes, minima, widths }
}

function writePlan(plan: Plan, residuals: Float64Array, firsts: readonly number[], out: ByteWriter): void {
  out.u8(plan.order)
  for (let i = 0; i < plan.order; i += 1) out.signedVarint(firsts[i] as number)
  let wordBytes = 0
  for (let group = 0; group < plan.widths.length; group += 1) {
    const count = Math.min(GROUP_SIZE, residuals.length - group * GROUP_SIZE)
    out.signedVarint(plan.minima[group] as number)
    out.u8(plan.widths[group] as number)
    wordBytes += packedBytes(count, plan.widths[group] as number)
  }
  const words = new Uint8Array(wordBytes)
  const view = new DataView(words.buffer)
  let at = 0
  for (let group = 0; group < plan.widths.length; group += 1) {
    const start = group * GROUP_SIZE
    const count = Math.min(GROUP_SIZE, residuals.length - start)
    at = packGroup(residuals, start, count, plan.minima[group] as number, plan.widths[group] as number, view, at)
  }
  out.bytes(words)
}

function packGroup(
  residuals: Float64Array,
  start: number,
  count: number,
  min: number,
  width: number,
  into: DataView,
  at: number,
): number {
  if (width <= 32) {
    for (let i = 0; i < count; i += 1) lows[i] = (residuals[start + i] as number) - min
    return pack(lows, count, width, into, at)
  }
  for (let i = 0; i < count; i += 1) {
    const value = (residuals[start + i] as number) - min
    const high = Math.floor(value / TWO_32)
    highs[i] = high
    lows[i] = value - high * TWO_32
  }
  return pack(highs, count, width - 32, into, pack(lows, count, 32, into, at))
}

/** Fills `into[at .. at + count)`. */
export function readIntegers(reader: ByteReader, count: number, into: Float64Array, at: number): void {
  const order = reader.u8()
  if (order > 2 || order > count) throw new DamagedColumnError('unknown order of differences')
  const first = order > 0 ? reader.signedVarint() : 0
  const firstStep = order > 1 ? reader.signedVarint() : 0
  const residuals = count - order
  const groups = Math.ceil(residuals / GROUP_SIZE)
  if (groups * 2 > reader.remaining) throw new DamagedColumnError('it ends early')
  const minima = new Float64Array(groups)
  const widths = new Uint8Array(groups)
  let wordBytes = 0
  for (let group = 0; group < groups; group += 1) {
    minima[group] = reader.signedVarint()
    const width = reader.u8()
    if (width > MAX_WIDTH) throw new DamagedColumnError('a group is too wide')
    widths[group] = width
    wordBytes += packedBytes(Math.min(GROUP_SIZE, residuals - group * GROUP_SIZE), width)
  }
  const words = reader.bytes(wordBytes)
  const view = new DataView(words.buffer, words.byteOffset, words.byteLength)
  let position = 0
  let value = first
  let step = firstStep
  let target = at
  if (order > 0) into[target++] = value
  if (order > 1) {
    value += step
    into[target++] = value
  }
  for (let group = 0; group < groups; group += 1) {
    const size = Math.min(GROUP_SIZE, residuals - group * GROUP_SIZE)
    const width = widths[group] as number
    const min = minima[group] as number
    position = unpack(view, position, size, width > 32 ? 32 : width, lows)
    if (width > 32) {
      position = unpack(view, position, size, width - 32, highs)
      for (let i = 0; i < size; i += 1) {
        const residual = min + (lows[i] as number) + (highs[i] as number) * TWO_32
        step = order === 2 ? step + residual : residual
        value = order === 0 ? residual : value + step
        into[target++] = value
      }
    } else if (order === 0) {
      for (let i = 0; i < size; i += 1) into[target++] = min + (lows[i] as number)
    } else if (order === 1) {
      for (let i = 0; i < size; i += 1) {
        value += min + (lows[i] as number)
        into[target++] = value
      }
    } else {
      for (let i = 0; i < size; i += 1) {
        step += min + (lows[i] as number)
        value += step
        into[target++] = value
      }
    }
  }
}
