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

const packedLows = new Uint32Array(GROUP_SIZE)
const packedHighs = new Uint32Array(GROUP_SIZE)

/** Kept from column to column: making such arrays takes as long as filling them. */
const lows = new Int32Array(GROUP_SIZE)
const highs = new Int32Array(GROUP_SIZE)
const KEPT_GROUPS = 64
const SLACK_BYTES = 8
const keptMinima = new Float64Array(KEPT_GROUPS)
const keptWidths = new Uint8Array(KEPT_GROUPS)
const keptBytes = new Uint8Array(packedBytes(KEPT_GROUPS * GROUP_SIZE, MAX_WIDTH) + SLACK_BYTES)
const keptWords = new DataView(keptBytes.buffer)

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
    for (let i = 0; i < count; i += 1) packedLows[i] = (residuals[start + i] as number) - min
    return pack(packedLows, count, width, into, at)
  }
  for (let i = 0; i < count; i += 1) {
    const value = (residuals[start + i] as number) - min
    const high = Math.floor(value / TWO_32)
    packedHighs[i] = high
    packedLows[i] = value - high * TWO_32
  }
  return pack(packedHighs, count, width - 32, into, pack(packedLows, count, 32, into, at))
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
  const minima = groups <= KEPT_GROUPS ? keptMinima : new Float64Array(groups)
  const widths = groups <= KEPT_GROUPS ? keptWidths : new Uint8Array(groups)
  let wordBytes = 0
  for (let group = 0; group < groups; group += 1) {
    minima[group] = reader.signedVarint()
    const width = reader.u8()
    if (width > MAX_WIDTH) throw new DamagedColumnError('a group is too wide')
    widths[group] = width
    wordBytes += packedBytes(Math.min(GROUP_SIZE, residuals - group * GROUP_SIZE), width)
  }
  const words = wordsOf(reader.bytes(wordBytes))
  let position = 0
  let target = at
  let value = first
  let step = firstStep
  if (order > 0) into[target++] = value
  if (order > 1) {
    value += step
    into[target++] = value
  }
  for (let group = 0; group < groups; group += 1) {
    const size = Math.min(GROUP_SIZE, residuals - group * GROUP_SIZE)
    const width = widths[group] as number
    const min = minima[group] as number
    if (width > 0) position = unpack(words, position, size, Math.min(width, 32), lows)
    if (width > 32) position = unpack(words, position, size, width - 32, highs)
    if (width === 0) step = readEven(order, size, min, value, step, into, target)
    else if (width < 32) step = readNarrow(order, size, min, value, step, into, target)
    else {
      if (width === 32) highs.fill(0)
      step = readWide(order, size, min, value, step, into, target)
    }
    target += size
    value = into[target - 1] as number
  }
}

/** Residuals that are all the same: the sums are products, exact below 2^53. */
function readEven(
  order: number,
  size: number,
  min: number,
  value: number,
  step: number,
  into: Float64Array,
  at: number,
): number {
  if (order === 0) into.fill(min, at, at + size)
  else if (order === 1) for (let i = 0; i < size; i += 1) into[at + i] = value + min * (i + 1)
  else if (min === 0) for (let i = 0; i < size; i += 1) into[at + i] = value + step * (i + 1)
  else {
    let sum = value
    for (let i = 0; i < size; i += 1) {
      sum += step + min * (i + 1)
      into[at + i] = sum
    }
  }
  return step + min * size
}

function readNarrow(
  order: number,
  size: number,
  min: number,
  value: number,
  step: number,
  into: Float64Array,
  at: number,
): number {
  if (order === 0) {
    for (let i = 0; i < size; i += 1) into[at + i] = min + (lows[i] as number)
    return step
  }
  let sum = value
  if (order === 1) {
    for (let i = 0; i < size; i += 1) {
      sum += min + (lows[i] as number)
      into[at + i] = sum
    }
    return step
  }
  let last = step
  for (let i = 0; i < size; i += 1) {
    last += min + (lows[i] as number)
    sum += last
    into[at + i] = sum
  }
  return last
}

function readWide(
  order: number,
  size: number,
  min: number,
  value: number,
  step: number,
  into: Float64Array,
  at: number,
): number {
  if (order === 0) {
    for (let i = 0; i < size; i += 1) into[at + i] = min + ((lows[i] as number) >>> 0) + (highs[i] as number) * TWO_32
    return step
  }
  let sum = value
  let last = step
  for (let i = 0; i < size; i += 1) {
    const residual = min + ((lows[i] as number) >>> 0) + (highs[i] as number) * TWO_32
    last = order === 2 ? last + residual : residual
    sum += last
    into[at + i] = sum
  }
  return last
}

/** The words with room behind them, which `unpack` looks at. */
function wordsOf(bytes: Uint8Array): DataView {
  if (bytes.length <= keptBytes.length - SLACK_BYTES) {
    keptBytes.set(bytes)
    return keptWords
  }
  const larger = new Uint8Array(bytes.length + SLACK_BYTES)
  larger.set(bytes)
  return new DataView(larger.buffer)
}
