/**
 * Goes through the whole trail and names the first entry that is not where or what it was. What it can tell apart, and
 * what nobody can, is in docs/audit.md; test/worker/audit/tampering.test.ts tries each.
 */
import type { AuditProblem, AuditVerification } from '../../protocol/audit.ts'
import type { BindValue, Row } from '../driver.ts'
import { type ChainedEntry, entryMac, GENESIS, hex, isAuthentic } from './audit-chain.ts'
import { type AuditHead, type FoundHead, headText } from './audit-head.ts'
import { AUDIT_COLUMNS } from './audit-writer.ts'

/** Verified in one go, between which others get their turn. */
const PAGE_ROWS = 250
/** Places near its own at which an entry out of place is looked for. */
const MOVED_WITHIN = 1_000

export interface VerificationSource {
  readonly key: Uint8Array
  query(sql: string, parameters: readonly BindValue[]): Promise<Row[]>
}

/** @param noted a head that was kept elsewhere; it also vouches for what was found before it was noted */
export async function verifyTrail(
  source: VerificationSource,
  found: FoundHead,
  noted: AuditHead | null,
): Promise<AuditVerification> {
  const heads = [...(found.state === 'valid' ? [found.head] : []), ...(noted === null ? [] : [noted])]
  const chain = new ChainReader(source, heads, noted?.entries ?? 0)
  await chain.readAll()
  const problems = [...chain.problems]
  if (found.state === 'missing' && chain.entries > 0) {
    problems.push({
      kind: 'head-missing',
      id: null,
      message: 'audit-head.json is missing, so a cut at the end would not show. Compare with a head noted elsewhere.',
    })
  }
  if (found.state === 'invalid') {
    problems.push({
      kind: 'head-invalid',
      id: null,
      message:
        'audit-head.json is damaged or not of this store, so a cut at the end would not show. Compare with a head noted elsewhere.',
    })
  }
  return {
    ok: problems.length === 0,
    entries: chain.entries,
    head: headText({ id: chain.entries, mac: chain.lastMac }),
    problems,
  }
}

class ChainReader {
  readonly problems: AuditProblem[] = []
  entries = 0
  lastMac: Uint8Array = GENESIS
  readonly #source: VerificationSource
  readonly #heads: readonly AuditHead[]
  readonly #vouchedFor: number
  #isBroken = false

  constructor(source: VerificationSource, heads: readonly AuditHead[], vouchedFor: number) {
    this.#source = source
    this.#heads = heads
    this.#vouchedFor = vouchedFor
  }

  async readAll(): Promise<void> {
    const sql = `SELECT ${AUDIT_COLUMNS} FROM "_audit" WHERE "id" > ? ORDER BY "id" LIMIT ${PAGE_ROWS}`
    this.#compareWithHeads()
    let last = Number.MIN_SAFE_INTEGER
    while (!this.#isBroken) {
      const rows = await this.#source.query(sql, [last])
      for (const row of rows) {
        const entry = entryOf(row)
        last = entry.id
        await this.#take(entry)
        if (this.#isBroken) return
      }
      if (rows.length < PAGE_ROWS) break
    }
    for (const head of this.#heads) if (head.entries > this.entries) this.#reportCut(head)
  }

  async #take(entry: ChainedEntry): Promise<void> {
    const { key } = this.#source
    const expected = this.entries + 1
    if (!isAuthentic(key, entry)) {
      const origin = originOf(key, entry)
      if (origin === undefined) {
        this.#break(
          'changed',
          entry.id,
          `Entry ${entry.id} is not what was written: it was changed, or the store never wrote it.`,
        )
      } else {
        this.#break(
          'moved',
          entry.id,
          `At place ${entry.id} stands entry ${origin}: entries were removed or put elsewhere from here on.`,
        )
      }
    } else if (entry.id !== expected) {
      const missing = entry.id === expected + 1 ? `Entry ${expected} is` : `Entries ${expected} to ${entry.id - 1} are`
      this.#break('removed', expected, `${missing} missing.`)
    } else if (hex(entry.previous) !== hex(this.lastMac)) {
      this.#break(
        'changed',
        entry.id,
        `Entry ${entry.id} is of this trail, but not of one with these entries before it: one of them was made anew.`,
      )
    } else {
      this.entries = entry.id
      this.lastMac = entry.mac
      this.#compareWithHeads()
      if (entry.event === 'audit.alarm' && entry.id > this.#vouchedFor) this.#reportAlarm(entry)
    }
  }

  #compareWithHeads(): void {
    for (const head of this.#heads) {
      if (head.entries !== this.entries || hex(this.lastMac).startsWith(head.macPrefix)) continue
      this.problems.push({
        kind: 'rebuilt',
        id: this.entries,
        message: `Entry ${this.entries} is not the one the head was taken of: the trail was put back and went on, or was made anew, up to there.`,
      })
    }
  }

  #reportCut({ entries }: AuditHead): void {
    const first = this.entries + 1
    const missing = entries === first ? `Entry ${first} is` : `Entries ${first} to ${entries} are`
    const message = `${missing} missing at the end: the head knows ${entries}, the trail has ${this.entries}.`
    if (!this.problems.some((problem) => problem.message === message)) {
      this.problems.push({ kind: 'cut', id: first, message })
    }
  }

  #reportAlarm({ id, data }: ChainedEntry): void {
    const { reason } = JSON.parse(data) as { readonly reason?: unknown }
    this.problems.push({
      kind: 'alarm',
      id,
      message: `Entry ${id} records what the owner found when it opened the store: ${String(reason)}. Look into it, then verify with a head noted after it.`,
    })
  }

  #break(kind: AuditProblem['kind'], id: number, message: string): void {
    this.#isBroken = true
    this.problems.push({ kind, id, message })
  }
}

/** The place an entry was written for, when it is near. */
function originOf(key: Uint8Array, entry: ChainedEntry): number | undefined {
  const mac = hex(entry.mac)
  const first = Math.max(1, entry.id - MOVED_WITHIN)
  for (let id = first; id <= entry.id + MOVED_WITHIN; id++) {
    if (entryMac(key, { ...entry, id }).toString('hex') === mac) return id
  }
  return undefined
}

function entryOf(row: Row): ChainedEntry {
  return {
    id: Number(row.id),
    at: Number(row.at),
    actor: String(row.actor),
    event: String(row.event),
    data: String(row.data),
    causationId: row.causationId === null ? null : String(row.causationId),
    note: row.note === null ? null : String(row.note),
    sequence: Number(row.sequence),
    previous: row.previous as Uint8Array,
    mac: row.mac as Uint8Array,
  }
}
