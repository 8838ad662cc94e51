/** From what a caller passes to what the trail keeps: validated, measured, a copy of its own. */
import type * as z from 'zod'
import { AUDIT_COLLECTION } from '../../protocol/audit.ts'
import { StoreError } from '../../protocol/store-error.ts'
import { type AuditEntryInput, auditEntryInput, MAX_AUDIT_ENTRY_BYTES } from '../../schema/audit-entry.ts'
import type { JsonValue } from '../../schema/json.ts'
import { CollectionState } from '../collection-state.ts'
import { freezeParsed, OPERATION_BYTES } from '../document.ts'
import { Operation } from '../operation.ts'

/** An entry as this process has appended it; its place in the chain is the worker's to give. */
export interface AppendedAuditEntry {
  /** Unix milliseconds, when it was accepted. */
  readonly at: number
  readonly actor: string
  readonly event: string
  readonly data: Readonly<Record<string, JsonValue>>
  readonly causationId: string | null
}

/** The trail on its way through the commit queue: a collection that is appended to and has no keys. */
export function createTrailState(): CollectionState {
  const spec = {
    name: AUDIT_COLLECTION,
    key: 'id',
    fields: [],
    indexes: [],
    unique: [],
    references: {},
    sealed: [],
    hot: false,
    file: 'state',
  } as const
  return new CollectionState(spec, auditEntryInput)
}

/** @throws StoreError `INVALID_DOCUMENT` with the path of each problem, never a value */
export function prepareAuditEntry(trail: CollectionState, input: unknown): Operation {
  const entry = parseAuditEntry(input)
  const bytes = Buffer.byteLength(JSON.stringify(entry))
  return new Operation(trail, 'insert', '', entry as unknown as Record<string, unknown>, null, OPERATION_BYTES + bytes)
}

/** @throws StoreError `INVALID_DOCUMENT` with the path of each problem, never a value */
export function parseAuditEntry(input: unknown): AppendedAuditEntry {
  const { actor, event, data = {}, causationId = null } = parse(input)
  const json = JSON.stringify({ actor, event, data, causationId })
  if (Buffer.byteLength(json) > MAX_AUDIT_ENTRY_BYTES) {
    throw invalidEntry([`(entry): larger than ${MAX_AUDIT_ENTRY_BYTES} bytes as JSON`])
  }
  const copy = JSON.parse(json) as Omit<AppendedAuditEntry, 'at'>
  const entry = { at: Date.now(), ...copy }
  freezeParsed(entry)
  return entry
}

/** What a getter throws is its author's and might quote the value. */
function parse(input: unknown): AuditEntryInput {
  let issues: string[]
  try {
    const parsed = auditEntryInput.safeParse(input)
    if (parsed.success) return parsed.data
    issues = parsed.error.issues.map(describe)
  } catch {
    issues = ['(entry): could not be read']
  }
  throw invalidEntry(issues)
}

/** The names of fields nobody knows are the caller's; everything else in a message is of our own schema. */
function describe({ code, path, message }: z.core.$ZodIssue): string {
  if (code === 'unrecognized_keys') return 'takes actor, event, data and causationId, and nothing else'
  return `${path.length === 0 ? '(entry)' : path.map(String).join('.')}: ${message}`
}

function invalidEntry(issues: readonly string[]): StoreError {
  return new StoreError('INVALID_DOCUMENT', `Not a valid audit entry: ${issues.join('; ')}`, { details: { issues } })
}
