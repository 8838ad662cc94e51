/**
 * What an entry of the audit trail is: the one table of built-in events, the names that programs may use for their own,
 * and the bounds of every part. The trail is only worth what it is bounded by: an entry that could be of any size could
 * fill the disk that the trades need.
 */
import * as z from 'zod'
import type { JsonValue } from './json.ts'

/** What Holdfast records by itself, and when. Each namespace in here is reserved: programs name theirs differently. */
export const AUDIT_EVENTS = Object.freeze({
  'store.created': 'a store was made',
  'store.opened': 'an owner opened the store',
  'store.closed': 'its owner closed it in order; after a crash there is none',
  'store.restored': 'the store was brought back from a backup or an archive',
  'store.repaired': 'what can be derived (indexes, search, a copy of the keyring) was made anew',
  'password.wrong': 'somebody tried to open the store with a password that is none; not authenticated',
  'key.password-rotated': 'the data key was wrapped under another password',
  'key.data-rotated': 'the database was encrypted under a new data key',
  'key.slot-added': 'a keyslot was added',
  'key.slot-removed': 'a keyslot was removed',
  'key.cost-raised': 'the cost of argon2id was raised',
  'key.exported': 'the raw key was given out',
  'key.keyring-outdated': 'an older keyring was found in the place of the one on record',
  'key.older-accepted': 'an older keyring was made the one that counts',
  'wallet.revealed': 'a sealed field was opened',
  'migration.applied': 'a migration was applied',
  'worker.restarted': 'a store worker died and another took over',
  'reconcile.run': 'the store was brought up to date with an exchange',
  'backup.made': 'a backup was made and verified',
  'archive.started': 'a generation of the archive was begun',
  'standby.promoted': 'a standby became the store',
  'trades.archived': 'closed trades were moved to a store file of their own',
  'artifact.deleted': 'versions of an artifact were deleted',
  'artifact.shredded': 'keys of chunks were overwritten: nobody can decrypt these any more',
  'artifact.collected': 'garbage of artifacts was collected',
  'skill.saved': 'new versions of skills were saved',
  'skill.deleted': 'a skill was deleted, with all of its versions',
  'audit.carried-over': 'entries of a version without a chain were taken into it',
  'audit.alarm': 'the trail and its head did not agree when the store was opened',
} as const)

export type BuiltInAuditEvent = keyof typeof AUDIT_EVENTS

export const builtInAuditEvent: z.ZodType<BuiltInAuditEvent> = z.enum(
  Object.keys(AUDIT_EVENTS) as [BuiltInAuditEvent, ...BuiltInAuditEvent[]],
)

const RESERVED_NAMESPACES = new Set(Object.keys(AUDIT_EVENTS).map(namespaceOf))
/** Recorded by way of the public API: `reconcile` has no other. */
const CLIENT_EVENTS: ReadonlySet<string> = new Set<BuiltInAuditEvent>(['reconcile.run'])
const MAX_NAME_LENGTH = 200
const MAX_DATA_DEPTH = 16
/** Of actor, event, data and causation together, as JSON in UTF-8. */
export const MAX_AUDIT_ENTRY_BYTES = 16 * 1024

const OWN_EVENT = /^[A-Za-z][\w-]*(?:[.:/][\w-]+)+$/
const CONTROL = /\p{Cc}/u

/** Text as it comes back from a database: well-formed, and nothing a terminal would obey. */
const auditName = z
  .string()
  .min(1)
  .max(MAX_NAME_LENGTH)
  .refine((text) => text.isWellFormed() && !CONTROL.test(text), 'must be well-formed, without control characters')

/** A program's own event: `orders.approved`, `risk/limit-raised`; built-in namespaces are not to be had. */
export const ownAuditEvent = auditName
  .refine((name) => OWN_EVENT.test(name), 'must have a namespace, such as "orders.approved"')
  .refine(
    (name) => CLIENT_EVENTS.has(name) || !RESERVED_NAMESPACES.has(namespaceOf(name)),
    'is in a namespace that is reserved for Holdfast',
  )

const auditData = z.custom<Readonly<Record<string, JsonValue>>>(
  (value) => isPlainObject(value) && isJson(value, 0),
  `must be an object of JSON values, at most ${MAX_DATA_DEPTH} levels deep`,
)

const common = { actor: auditName, data: auditData.optional(), causationId: auditName.optional() }

/** What a program appends. */
export const auditEntryInput = z.strictObject({ ...common, event: ownAuditEvent })

/** What a process beside the owner may leave in the inbox: either. */
export const auditNoteEntry = z.strictObject({ ...common, event: z.union([builtInAuditEvent, ownAuditEvent]) })

/**
 * An entry of your own. `actor` says who did it, `event` what (`namespace.name`), `data` the particulars, `causationId`
 * what brought it about (an order, a request, another entry).
 */
export interface AuditEntryInput {
  readonly actor: string
  readonly event: string
  readonly data?: Readonly<Record<string, JsonValue>> | undefined
  readonly causationId?: string | undefined
}

function namespaceOf(event: string): string {
  return /^[\w-]+/.exec(event)?.[0] ?? event
}

function isPlainObject(value: unknown): value is object {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const prototype = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** Members that are undefined are left out, as JSON does; anything else that JSON has no word for is refused. */
function isJson(value: unknown, depth: number): boolean {
  if (depth > MAX_DATA_DEPTH) return false
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return true
  if (typeof value === 'number') return Number.isFinite(value)
  if (Array.isArray(value)) return Array.from(value).every((each) => isJson(each, depth + 1))
  return isPlainObject(value) && Object.values(value).every((each) => each === undefined || isJson(each, depth + 1))
}
