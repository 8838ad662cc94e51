/**
 * From what a caller passes to what the store keeps: validated, checked to be JSON all through, frozen and measured in
 * one walk. What is frozen is the store's own copy, never the caller's object.
 */
import { StoreError } from '../protocol/store-error.ts'
import type { CollectionSpec } from '../schema/define-collection.ts'
import type { CollectionState } from './collection-state.ts'
import { Operation } from './operation.ts'
import { describeIssues, formatPath } from './schema-issues.ts'

const MAX_DEPTH = 100
const MAX_KEY_LENGTH = 1_024
const MAX_DOCUMENT_LENGTH = 16 * 1024 * 1024
/** Memory a pending write takes beside its document. */
export const OPERATION_BYTES = 200

/**
 * A put or an insert of `input`.
 *
 * @throws StoreError `INVALID_DOCUMENT` with the path of each problem, never a value.
 */
export function prepareWrite(
  target: CollectionState,
  kind: 'put' | 'insert',
  input: unknown,
  ifVersion: number | null,
): Operation {
  const { spec } = target
  const walk: Walk = { spec, length: 0 }
  const document = freezeObject(parse(target, input), walk, [], true)
  const key = assertKey(spec, document[spec.key])
  if (spec.sealed.length > 0) assertSealable(spec, document)
  if (walk.length > MAX_DOCUMENT_LENGTH) {
    throw invalidDocument(spec, [`(document): larger than ${MAX_DOCUMENT_LENGTH} characters`])
  }
  return new Operation(target, kind, key, document, ifVersion, OPERATION_BYTES + walk.length)
}

/** What a transform, a check or a getter throws is its author's and might quote the value. */
function parse({ spec, schema }: CollectionState, input: unknown): Record<string, unknown> {
  let issues: string[]
  try {
    const parsed = schema.safeParse(input)
    if (parsed.success) return parsed.data as Record<string, unknown>
    issues = describeIssues(schema, input)
  } catch (cause) {
    throw invalidDocument(spec, ['(document): its schema failed on it, or it is nested too deeply'], cause)
  }
  throw invalidDocument(spec, issues)
}

/** Only text can be sealed; anything else would lie in the table as it is. */
function assertSealable(spec: CollectionSpec, document: Record<string, unknown>): void {
  const issues = spec.sealed
    .filter((field) => {
      const value = document[field]
      return value !== undefined && value !== null && !(typeof value === 'string' && value.isWellFormed())
    })
    .map((field) => `${field}: a sealed field must be well-formed text, or null`)
  if (issues.length > 0) throw invalidDocument(spec, issues)
}

/** Freezes a document that came from the store's own JSON. */
export function freezeParsed(value: unknown): void {
  if (typeof value !== 'object' || value === null) return
  for (const name in value) freezeParsed((value as Record<string, unknown>)[name])
  Object.freeze(value)
}

/** @throws StoreError `INVALID_DOCUMENT` for what cannot be a key. */
export function assertKey(spec: CollectionSpec, key: unknown): string {
  if (typeof key === 'string' && key.length > 0 && key.length <= MAX_KEY_LENGTH) {
    if (!key.includes('\0') && key.isWellFormed()) return key
  }
  throw invalidDocument(spec, [
    `${spec.key}: the key must be a string of 1 to ${MAX_KEY_LENGTH} characters, well-formed and without NUL`,
  ])
}

type Path = readonly (string | number)[]

interface Walk {
  readonly spec: CollectionSpec
  /** Characters of the strings met, and some for everything else: about the length as JSON. */
  length: number
}

/** Quotes, colon, comma; a number or a literal. */
const FIELD_LENGTH = 8

function freezeObject(
  source: Record<string, unknown>,
  walk: Walk,
  path: Path,
  isOwn: boolean,
): Record<string, unknown> {
  const target: Record<string, unknown> = isOwn ? source : {}
  let hasUndefined = false
  for (const name in source) {
    const value = source[name]
    walk.length += name.length + FIELD_LENGTH
    if (typeof value === 'string') {
      walk.length += value.length
      if (!isOwn) setOwn(target, name, value)
    } else if (value === undefined) hasUndefined = true
    else {
      const frozen = freezeValue(value, walk, path, name)
      if (!isOwn || !Object.is(frozen, value)) setOwn(target, name, frozen)
    }
  }
  return Object.freeze(isOwn && hasUndefined ? withoutUndefined(target) : target)
}

/** A plain assignment to `__proto__` would set the prototype and lose the value. */
function setOwn(target: Record<string, unknown>, name: string, value: unknown): void {
  if (name === '__proto__') Object.defineProperty(target, name, { value, enumerable: true })
  else target[name] = value
}

function withoutUndefined(source: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(source).filter(([, value]) => value !== undefined))
}

function freezeValue(value: unknown, walk: Walk, parent: Path, name: string | number): unknown {
  switch (typeof value) {
    case 'string':
      walk.length += value.length + FIELD_LENGTH
      return value
    case 'boolean':
      return value
    case 'number':
      // JSON has no -0.
      if (Number.isFinite(value)) return value + 0
      break
    case 'object': {
      if (value === null) return null
      const path = [...parent, name]
      if (path.length > MAX_DEPTH) throw invalidDocument(walk.spec, [`${formatPath(parent)}: nested too deeply`])
      if (Array.isArray(value)) {
        walk.length += value.length
        // Array.from shows a hole as undefined, where map would leave it one.
        return Object.freeze(Array.from(value, (element, index) => freezeValue(element, walk, path, index)))
      }
      const prototype = Object.getPrototypeOf(value)
      if (prototype === Object.prototype || prototype === null) {
        return freezeObject(value as Record<string, unknown>, walk, path, false)
      }
    }
  }
  throw invalidDocument(walk.spec, [
    `${formatPath([...parent, name])}: not a JSON value; use strings, numbers or plain objects`,
  ])
}

function invalidDocument(spec: CollectionSpec, issues: readonly string[], cause?: unknown): StoreError {
  return new StoreError('INVALID_DOCUMENT', `Not a valid document for "${spec.name}": ${issues.join('; ')}`, {
    details: { collection: spec.name, issues },
    cause,
  })
}
