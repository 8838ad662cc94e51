/**
 * Queries on documents in memory, with SQLite's rules, so that a hot and a cold collection answer alike: null sorts
 * before numbers, numbers before text, text by code point; a comparison with null never holds; booleans are 0 and 1
 * (https://sqlite.org/datatype3.html#comparison_expressions).
 */
import type { ComparisonWire, ScalarWire, WhereWire } from '../schema/query.ts'

export type Document = Readonly<Record<string, unknown>>

type Comparable = string | number | null

/** A value as SQL sees it. */
export function comparable(value: unknown): Comparable {
  if (typeof value === 'string' || typeof value === 'number') return value
  if (typeof value === 'boolean') return Number(value)
  return value === null || value === undefined ? null : JSON.stringify(value)
}

function rank(value: Comparable): number {
  if (value === null) return 0
  return typeof value === 'number' ? 1 : 2
}

/** Negative, zero or positive as `a` sorts before, with or after `b`. */
export function compareValues(a: Comparable, b: Comparable): number {
  if (typeof a === 'string' && typeof b === 'string') return compareText(a, b)
  if (typeof a === 'number' && typeof b === 'number') return a - b
  return rank(a) - rank(b)
}

/** UTF-16 order differs from SQLite's UTF-8 order where surrogates meet the code units above them. */
function compareText(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let index = 0; index < length; index++) {
    const left = a.charCodeAt(index)
    const right = b.charCodeAt(index)
    if (left !== right)
      return (isSurrogate(left) ? left + 0x10000 : left) - (isSurrogate(right) ? right + 0x10000 : right)
  }
  return a.length - b.length
}

function isSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdfff
}

export function matches(document: Document, where: WhereWire): boolean {
  for (const field in where) {
    const condition = where[field]
    if (condition === undefined) continue
    const value = comparable(document[field])
    const holds =
      typeof condition === 'object' && condition !== null
        ? comparisonHolds(value, condition)
        : value === comparable(condition)
    if (!holds) return false
  }
  return true
}

function comparisonHolds(value: Comparable, comparison: ComparisonWire): boolean {
  const { in: values, ne, gt, gte, lt, lte } = comparison
  if (values !== undefined && !values.some((each) => value === comparable(each))) return false
  if (ne !== undefined && value === comparable(ne)) return false
  return (
    bounded(value, gt, (order) => order > 0) &&
    bounded(value, gte, (order) => order >= 0) &&
    bounded(value, lt, (order) => order < 0) &&
    bounded(value, lte, (order) => order <= 0)
  )
}

function bounded(value: Comparable, bound: ScalarWire | undefined, holds: (order: number) => boolean): boolean {
  if (bound === undefined) return true
  return value !== null && holds(compareValues(value, comparable(bound)))
}

/** Sorts in place; documents that are equal in `field` keep their order, or reverse it with `desc`, as in SQL. */
export function sortDocuments(documents: Document[], field: string, order: 'asc' | 'desc'): void {
  documents.sort((a, b) => compareValues(comparable(a[field]), comparable(b[field])))
  if (order === 'desc') documents.reverse()
}
