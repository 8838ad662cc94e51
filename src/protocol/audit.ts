/** What crosses the thread boundary about the audit trail, apart from the writes, which travel in batches. */
import type { JsonValue } from '../schema/json.ts'

/** The table of the trail. In a batch it stands for a collection: its documents are entries without their place. */
export const AUDIT_COLLECTION = '_audit'

/** An entry as it stands in the trail. MACs are hexadecimal, times Unix milliseconds. */
export interface AuditEntry {
  /** 1, 2, 3, … without gaps. */
  readonly id: number
  readonly at: number
  readonly actor: string
  readonly event: string
  readonly data: Readonly<Record<string, JsonValue>>
  readonly causationId: string | null
  /** Of the note it was made from, when it came from beside the owner. */
  readonly note: string | null
  /** Of the last batch of writes that appended to the trail, this entry or one before. */
  readonly sequence: number
  readonly previous: string
  readonly mac: string
}

export interface AuditFilter {
  /** Unix milliseconds: from this moment on. */
  readonly from?: number | undefined
  /** Unix milliseconds: before this moment. */
  readonly to?: number | undefined
  readonly actor?: string | undefined
  /** An event, or all of a namespace: `wallet.*`. */
  readonly event?: string | undefined
}

export interface AuditPageRequest {
  readonly filter: AuditFilter
  readonly order: 'asc' | 'desc'
  /** Entries behind this one, in that order; null for the first page. */
  readonly afterId: number | null
  readonly maxRows: number
}

/** `json` is an array of entries; `lastId` is where to go on, null at the end. */
export interface AuditPage {
  readonly json: string
  readonly count: number
  readonly lastId: number | null
}

export interface AuditNoteRequest {
  readonly actor: string
  readonly event: string
  readonly data: Readonly<Record<string, JsonValue>>
  readonly causationId: string | null
}

/**
 * `changed`: its content is not what was written, or it was never written by the store. `removed`: entries are missing
 * before it. `moved`: it belongs to another place. `cut`: entries at the end are missing. `rebuilt`: the trail is a
 * chain, but another one than the head is of. `head-missing`, `head-invalid`: the head in the store directory can't tell.
 * `alarm`: the owner found one of these when it opened the store, and recorded it.
 */
export type AuditProblemKind =
  | 'changed'
  | 'removed'
  | 'moved'
  | 'cut'
  | 'rebuilt'
  | 'head-missing'
  | 'head-invalid'
  | 'alarm'

export interface AuditProblem {
  readonly kind: AuditProblemKind
  /** The first entry it concerns; null when it concerns none in particular. */
  readonly id: number | null
  readonly message: string
}

export interface AuditVerification {
  /** True when there are no problems. */
  readonly ok: boolean
  /** Entries that were verified: all of them, or those before the first problem of the chain. */
  readonly entries: number
  /** The head of what was verified, in its short form, to be noted elsewhere. */
  readonly head: string
  readonly problems: readonly AuditProblem[]
}

export interface AuditStatus {
  readonly entries: number
  /** The short form to note elsewhere; `audit verify --head` takes it. */
  readonly head: string
  /** Notes in the inbox that wait for the owner. */
  readonly waitingNotes: number
  /** Files in the inbox that are no authentic notes. */
  readonly refusedNotes: number
}
