/**
 * Times of a file as Unix milliseconds. Numbers are counted in the unit that is given, or in the one that their number of
 * digits names beyond doubt: between September 2001 and the year 2286 seconds have 10 digits, milliseconds 13,
 * microseconds 16, nanoseconds 19. A file that changes the number of digits on its way (Binance's spot files did at the
 * turn to 2025) is refused at that line rather than taken apart by guess. Dates are ISO 8601, with a blank for the T where the file
 * has it; without an offset they are read as `utcOffset` says.
 */
import { StoreError } from '../../../protocol/store-error.ts'
import { fileFault } from './file-fault.ts'

export const TIME_UNITS = ['s', 'ms', 'us', 'ns'] as const

export type TimeUnit = (typeof TIME_UNITS)[number]

const PER_MS: Readonly<Record<TimeUnit, number>> = { s: 0.001, ms: 1, us: 1_000, ns: 1_000_000 }
const UNIT_OF_DIGITS: Readonly<Record<number, TimeUnit>> = { 10: 's', 13: 'ms', 16: 'us', 19: 'ns' }
const INTEGER = /^[0-9]+$/
const NUMBER = /^-?[0-9]+(?:\.[0-9]+)?$/
const DATE = /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?(Z|[+-]\d{2}:?\d{2})?)?$/
/** histdata.com: `20200101 170000065`. */
const COMPACT_DATE = /^(\d{4})(\d{2})(\d{2}) (\d{2})(\d{2})(\d{2})(\d{3})?()$/
const OFFSET = /^(?:Z|([+-])(\d{2}):?(\d{2}))$/
const MS_PER_MINUTE = 60_000

export interface TimeOptions {
  /** Unit of numbers; without it their digits must name it. */
  readonly timeUnit?: TimeUnit | undefined
  /** Offset of dates that name none: `Z`, `-05:00`. Default: `Z`. */
  readonly utcOffset?: string | undefined
}

export class TimeReader {
  #unit: TimeUnit | undefined
  readonly #isUnitGiven: boolean
  readonly #offsetMs: number
  #minute = ''
  #minuteMs = 0

  constructor({ timeUnit, utcOffset = 'Z' }: TimeOptions) {
    this.#unit = timeUnit
    this.#isUnitGiven = timeUnit !== undefined
    const offsetMs = offsetOf(utcOffset)
    if (offsetMs === undefined) {
      throw new StoreError('INVALID_ARGUMENT', 'utcOffset is Z or an offset such as -05:00. Correct it.')
    }
    this.#offsetMs = offsetMs
  }

  /** Of dates that name none. */
  get offsetMs(): number {
    return this.#offsetMs
  }

  read(text: string | null | undefined, line: number): number {
    if (text === null || text === undefined) throw fileFault(line, 'there is no time')
    const trimmed = text.trim()
    if (NUMBER.test(trimmed)) return this.#fromNumber(trimmed, line)
    const date = this.#fromDate(trimmed)
    if (date === undefined) throw fileFault(line, 'the time is neither a number nor a date')
    return date
  }

  #fromNumber(text: string, line: number): number {
    if (!this.#isUnitGiven) {
      const digits = text.indexOf('.') === -1 ? text.length : text.indexOf('.')
      const unit = UNIT_OF_DIGITS[digits]
      if (unit === undefined) {
        throw fileFault(
          line,
          'the number of digits of the time names no unit (10 s, 13 ms, 16 µs, 19 ns); say it with timeUnit',
        )
      }
      if (this.#unit !== undefined && unit !== this.#unit) {
        throw fileFault(
          line,
          'the time has another number of digits than before, so its unit has changed; split the file here or convert it',
        )
      }
      this.#unit = unit
    }
    const unit = this.#unit as TimeUnit
    // Nanoseconds leave the range of exact integers: the last six digits are the fraction of the millisecond.
    const ms =
      unit === 'ns' && INTEGER.test(text) && text.length > 6
        ? Number(`${text.slice(0, -6)}.${text.slice(-6)}`)
        : unit === 's'
          ? Number(text) * 1_000
          : Number(text) / PER_MS[unit]
    return unit === 's' && text.includes('.') ? Math.round(ms * 1_000) / 1_000 : ms
  }

  /** Dates of neighbouring rows share their minute, so that is computed once. */
  #fromDate(text: string): number | undefined {
    const match = DATE.exec(text) ?? COMPACT_DATE.exec(text)
    if (match === null) return undefined
    const [, year, month, day, hour = '00', minute = '00', second = '00', fraction = '', zone = ''] = match
    const key = `${year}-${month}-${day}T${hour}:${minute}:00`
    if (key !== this.#minute) {
      const ms = Date.parse(`${key}Z`)
      // Date.parse would turn February 30 into March.
      if (Number.isNaN(ms) || !new Date(ms).toISOString().startsWith(key.slice(0, 16))) return undefined
      this.#minute = key
      this.#minuteMs = ms
    }
    const seconds = Number(second)
    if (seconds > 59) return undefined
    const offsetMs = zone === '' ? this.#offsetMs : offsetOf(zone)
    if (offsetMs === undefined) return undefined
    const fractionMs =
      fraction === '' ? 0 : Number(`${fraction}000`.slice(0, 3) + (fraction.length > 3 ? `.${fraction.slice(3)}` : ''))
    return this.#minuteMs - offsetMs + seconds * 1_000 + fractionMs
  }
}

function offsetOf(text: string): number | undefined {
  const match = OFFSET.exec(text)
  if (match === null) return undefined
  const [, sign, hours, minutes] = match
  if (sign === undefined) return 0
  const ms = (Number(hours) * 60 + Number(minutes)) * MS_PER_MINUTE
  return sign === '-' ? -ms : ms
}
