/**
 * Why: the trail has one writer, the owner of the store, and things happen beside it: a password is changed by the
 * command line, a store is restored, somebody tries a wrong password. Whoever did it leaves a note in the store
 * directory, a file each, and the owner takes it into the trail.
 *
 * A note is authenticated under the sub-key `audit-mac` of the data key. A wrong password comes without a key, so its
 * note proves nothing and enters the trail marked as unverified; all of them share one file of bounded size, and
 * however many there are they make an entry every ten minutes at most.
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { appendFile, chmod, lstat, mkdir, open, readdir, readFile, rename, rm, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import { publishFile, stageFile } from '../../crypto/atomic-file.ts'
import { canonicalJson } from '../../crypto/canonical-json.ts'
import { fileError, systemErrorCode } from '../../crypto/file-error.ts'
import { syncPath } from '../../crypto/sync-path.ts'
import { StoreError } from '../../protocol/store-error.ts'
import {
  type AuditEntryInput,
  auditNoteEntry,
  type BuiltInAuditEvent,
  MAX_AUDIT_ENTRY_BYTES,
} from '../../schema/audit-entry.ts'
import type { JsonValue } from '../../schema/json.ts'
import { DIRECTORY_MODE, FILE_MODE } from '../store-files.ts'

export const AUDIT_INBOX = 'audit-inbox'

/** More than this and something is wrong: no owner has taken them in, or somebody fills the disk. */
const MAX_NOTES = 1_000
/** An entry and what stands around it. */
const MAX_NOTE_BYTES = MAX_AUDIT_ENTRY_BYTES + 1_024
const NOTE_NAME = /^\d{13}-([0-9a-f]{32})\.note$/
const WRONG_PASSWORDS = 'wrong-passwords'
const WRONG_PASSWORDS_TAKEN = 'wrong-passwords.taken'
const MAX_WRONG_PASSWORD_BYTES = 4_096
/** What a process that died while leaving a note may have left. */
const STALE_TEMPORARY_MS = 60_000

const note = z.strictObject({
  format: z.literal('holdfast-audit-note'),
  version: z.literal(1),
  id: z.string().regex(/^[0-9a-f]{32}$/),
  at: z.int().nonnegative(),
  actor: z.string(),
  event: z.string(),
  data: z.record(z.string(), z.unknown()),
  causationId: z.string().nullable(),
  mac: z.string(),
})

/** What is to be recorded; `at`, in Unix milliseconds, is now unless given. */
export interface AuditNoteEntry extends Omit<AuditEntryInput, 'event'> {
  readonly event: BuiltInAuditEvent | `${string}.${string}`
  readonly at?: number
}

/** A note that is to become an entry. */
export interface AuditNote {
  /** Once in the trail it is never taken again. */
  readonly id: string
  readonly at: number
  readonly actor: string
  readonly event: string
  readonly data: Readonly<Record<string, JsonValue>>
  readonly causationId: string | null
}

export interface TakenNotes {
  readonly notes: readonly AuditNote[]
  /** Names of files that are no notes, or not authenticated under this key; they stay where they are. */
  readonly refused: readonly string[]
}

/** Wrong passwords since they were last taken. `isComplete` is false when there was no room to count them all. */
export interface WrongPasswords {
  readonly id: string
  readonly attempts: number
  readonly firstAt: number
  readonly lastAt: number
  readonly isComplete: boolean
}

/**
 * Leaves a note for the owner of the store in `dir`: durable when it resolves, and in the trail when an owner has taken
 * it in, a second later or at the next open.
 *
 * @param auditKey the sub-key `audit-mac` of the data key; neither kept nor changed
 * @throws StoreError `INVALID_DOCUMENT` for an entry that is none or larger than 16 KiB, `QUEUE_FULL` when 1,000 notes
 * wait already, `DISK_FULL`, `PERMISSION_DENIED`, `IO_ERROR`
 */
export async function leaveAuditNote(dir: string, auditKey: Uint8Array, entry: AuditNoteEntry): Promise<void> {
  const { at = Date.now(), ...rest } = entry
  const parsed = auditNoteEntry.safeParse(rest)
  const problems = parsed.error?.issues.map((issue) => issue.path.map(String).join('.') || '(entry)') ?? []
  if (!Number.isSafeInteger(at) || at < 0) problems.push('at')
  const { actor, event, data = {}, causationId = null } = parsed.data ?? rest
  const content = { actor, event, data, causationId }
  if (problems.length === 0 && canonicalJson(content).length > MAX_AUDIT_ENTRY_BYTES) problems.push('data')
  if (problems.length > 0) {
    throw new StoreError('INVALID_DOCUMENT', `Not a valid audit entry: see ${problems.join(', ')}.`, {
      details: { problems },
    })
  }
  const id = randomBytes(16).toString('hex')
  const body = { format: 'holdfast-audit-note', version: 1, id, at, ...content } as const
  const inbox = await makeInbox(dir)
  await assertRoom(inbox)
  const text = JSON.stringify({ ...body, mac: macOf(auditKey, body).toString('hex') })
  await publishFile(await stageFile(join(inbox, `${String(at).padStart(13, '0')}-${id}.note`), text))
}

/** Reads the notes that wait, oldest first, and changes nothing but temporary files of processes long gone. */
export async function readAuditNotes(dir: string, auditKey: Uint8Array): Promise<TakenNotes> {
  const inbox = join(dir, AUDIT_INBOX)
  const notes: AuditNote[] = []
  const refused: string[] = []
  for (const name of (await namesIn(inbox)).sort()) {
    if (name === WRONG_PASSWORDS || name === WRONG_PASSWORDS_TAKEN) continue
    if (name.endsWith('.tmp')) {
      await removeStale(join(inbox, name))
      continue
    }
    if (notes.length + refused.length >= MAX_NOTES) break
    const read = await readNote(join(inbox, name), auditKey)
    if (read !== undefined && NOTE_NAME.exec(name)?.[1] === read.id) notes.push(read)
    else refused.push(name)
  }
  return { notes, refused }
}

/** Removes a note that is in the trail. */
export async function removeAuditNote(dir: string, { id, at }: Pick<AuditNote, 'id' | 'at'>): Promise<void> {
  await rm(join(dir, AUDIT_INBOX, `${String(at).padStart(13, '0')}-${id}.note`), { force: true })
}

/**
 * Leaves word of a wrong password. Never fails: whoever is refused is to hear of that, and of nothing else.
 */
export async function noteWrongPassword(dir: string, at: number = Date.now()): Promise<void> {
  try {
    const path = join(await makeInbox(dir), WRONG_PASSWORDS)
    const bytes = (await lstat(path).catch(() => undefined))?.size ?? 0
    const now = new Date(at)
    if (bytes < MAX_WRONG_PASSWORD_BYTES) await appendFile(path, `${at}\n`, { mode: FILE_MODE })
    else await utimes(path, now, now)
  } catch {
    // A directory that can't be written to has other guardians.
  }
}

/** What was left since the last time. It stays on disk, out of the way of later ones, until `removeWrongPasswords`. */
export async function takeWrongPasswords(dir: string): Promise<WrongPasswords | undefined> {
  const inbox = join(dir, AUDIT_INBOX)
  const taken = join(inbox, WRONG_PASSWORDS_TAKEN)
  try {
    const info = await lstat(taken).catch(() => undefined)
    if (info === undefined) await rename(join(inbox, WRONG_PASSWORDS), taken)
    const { size, mtimeMs } = info ?? (await lstat(taken))
    const content = await readBounded(taken, MAX_WRONG_PASSWORD_BYTES)
    const times = content.toString('latin1').split('\n').map(Number).filter(isTime)
    const isComplete = size < MAX_WRONG_PASSWORD_BYTES
    const lastAt = isComplete ? Math.max(0, ...times) : Math.round(mtimeMs)
    return {
      id: createHash('sha256').update(content).update(String(mtimeMs)).digest('hex').slice(0, 32),
      attempts: Math.max(1, times.length),
      firstAt: times.reduce((least, time) => Math.min(least, time), lastAt),
      lastAt,
      isComplete,
    }
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined
    throw fileError(error, 'read', taken)
  }
}

/** Forgets what `takeWrongPasswords` returned: it is in the trail. */
export async function removeWrongPasswords(dir: string): Promise<void> {
  await rm(join(dir, AUDIT_INBOX, WRONG_PASSWORDS_TAKEN), { force: true, recursive: true })
}

function isTime(value: number): boolean {
  return Number.isSafeInteger(value) && value > 0
}

async function makeInbox(dir: string): Promise<string> {
  const inbox = join(dir, AUDIT_INBOX)
  try {
    await mkdir(inbox, { mode: DIRECTORY_MODE })
    await chmod(inbox, DIRECTORY_MODE)
    await syncPath(dir)
  } catch (error) {
    if (systemErrorCode(error) !== 'EEXIST') throw fileError(error, 'write', inbox)
  }
  return inbox
}

async function assertRoom(inbox: string): Promise<void> {
  const waiting = (await namesIn(inbox)).length
  if (waiting < MAX_NOTES) return
  throw new StoreError(
    'QUEUE_FULL',
    `${inbox} holds ${waiting} files already, so nothing was recorded. Open the store as its owner, which takes them in, and look at what is left there.`,
    { details: { waiting } },
  )
}

async function namesIn(inbox: string): Promise<string[]> {
  try {
    return await readdir(inbox)
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return []
    throw fileError(error, 'read', inbox)
  }
}

async function readNote(path: string, auditKey: Uint8Array): Promise<AuditNote | undefined> {
  try {
    const { mac, ...body } = note.parse(JSON.parse((await readBounded(path, MAX_NOTE_BYTES)).toString('utf8')))
    const { actor, event, data, causationId } = body
    const expected = macOf(auditKey, body as NoteBody)
    const given = Buffer.from(mac, 'hex')
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined
    const { id, at } = body
    return { id, at, actor, event, data: data as Record<string, JsonValue>, causationId }
  } catch {
    return undefined
  }
}

type NoteBody = Omit<z.infer<typeof note>, 'mac' | 'data'> & { readonly data: Readonly<Record<string, JsonValue>> }

function macOf(auditKey: Uint8Array, body: NoteBody): Buffer {
  return createHmac('sha256', auditKey).update(canonicalJson(body)).digest()
}

/** The beginning of a file, which somebody may have made as large as the disk; a link is not followed. */
async function readBounded(path: string, maxBytes: number): Promise<Buffer> {
  const info = await lstat(path)
  if (!info.isFile()) throw new StoreError('IO_ERROR', `${path} is no file.`, { details: { path } })
  if (info.size <= maxBytes) return (await readFile(path)).subarray(0, maxBytes)
  const file = await open(path, 'r')
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(maxBytes), 0, maxBytes, 0)
    return buffer.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}

async function removeStale(path: string): Promise<void> {
  const info = await lstat(path).catch(() => undefined)
  if (info !== undefined && Date.now() - info.mtimeMs > STALE_TEMPORARY_MS) await rm(path, { force: true })
}
