/**
 * Why: a chain whose last entries are cut off is still a chain. So the number of entries and the last MAC are kept
 * outside the table, under a MAC, in a file that is replaced whole after commits. It may lag behind the table (a crash);
 * a table that lags behind the head has been cut. Whoever can put back both gets away with it on this disk: against that
 * only a head that was noted elsewhere helps, for which there is a short form.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { lstat, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import { publishFile, stageFile } from '../../crypto/atomic-file.ts'
import { canonicalJson } from '../../crypto/canonical-json.ts'
import { fileError, systemErrorCode } from '../../crypto/file-error.ts'
import { StoreError } from '../../protocol/store-error.ts'
import { type ChainPosition, hex } from './audit-chain.ts'

export const AUDIT_HEAD_FILE = 'audit-head.json'

const MAX_HEAD_BYTES = 4_096
/** 128 bits: enough that nobody finds another entry that fits, short enough to be written down. */
const SHORT_MAC_DIGITS = 32
const MAC_PATTERN = /^[0-9a-f]{64}$/
const SHORT_FORM = /^(\d{1,15}):([0-9a-f]{32})$/

const headSchema = z.strictObject({
  format: z.literal('holdfast-audit-head'),
  version: z.literal(1),
  storeId: z.string(),
  entries: z.int().nonnegative(),
  lastMac: z.string().regex(MAC_PATTERN),
  at: z.int().nonnegative(),
  mac: z.string().regex(MAC_PATTERN),
})

type HeadBody = Omit<z.infer<typeof headSchema>, 'mac'>

/** What a head says: so many entries, and the MAC of the last begins like this (hexadecimal). */
export interface AuditHead {
  readonly entries: number
  readonly macPrefix: string
}

export type FoundHead =
  | { readonly state: 'missing' }
  | { readonly state: 'invalid' }
  | { readonly state: 'valid'; readonly head: AuditHead }

/** The form to note elsewhere: `57:` and the first 128 bits of the last MAC. */
export function headText({ id, mac }: Pick<ChainPosition, 'id' | 'mac'>): string {
  return `${id}:${hex(mac).slice(0, SHORT_MAC_DIGITS)}`
}

/**
 * Reads a head that was noted: the short form, or the content of `audit-head.json`.
 *
 * @throws StoreError `INVALID_ARGUMENT` for anything else, and for a file that is not of this store
 */
export function parseHead(text: string, key: Uint8Array, storeId: string): AuditHead {
  const trimmed = text.trim()
  const short = SHORT_FORM.exec(trimmed)
  if (short !== null) return { entries: Number(short[1]), macPrefix: short[2] as string }
  const head = parseSigned(trimmed, key, storeId)
  if (head !== undefined) return head
  throw new StoreError(
    'INVALID_ARGUMENT',
    'This is not a head of this trail. It looks like 57:8f3a0b… (holdfast status prints it), or is the content of audit-head.json.',
  )
}

export async function readHead(dir: string, key: Uint8Array, storeId: string): Promise<FoundHead> {
  const path = join(dir, AUDIT_HEAD_FILE)
  try {
    const { size } = await lstat(path)
    const head = size > MAX_HEAD_BYTES ? undefined : parseSigned(await readFile(path, 'utf8'), key, storeId)
    return head === undefined ? { state: 'invalid' } : { state: 'valid', head }
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return { state: 'missing' }
    throw fileError(error, 'read', path)
  }
}

/** Replaces the head; durable when it resolves. Call it for what is durable in the table alone. */
export async function writeHead(
  dir: string,
  key: Uint8Array,
  storeId: string,
  { id, mac }: Pick<ChainPosition, 'id' | 'mac'>,
): Promise<void> {
  const body: HeadBody = {
    format: 'holdfast-audit-head',
    version: 1,
    storeId,
    entries: id,
    lastMac: hex(mac),
    at: Date.now(),
  }
  const text = `${JSON.stringify({ ...body, mac: macOf(key, body).toString('hex') })}\n`
  await publishFile(await stageFile(join(dir, AUDIT_HEAD_FILE), text))
}

function parseSigned(text: string, key: Uint8Array, storeId: string): AuditHead | undefined {
  try {
    const { mac, ...body } = headSchema.parse(JSON.parse(text))
    if (body.storeId !== storeId || !timingSafeEqual(Buffer.from(mac, 'hex'), macOf(key, body))) return undefined
    return { entries: body.entries, macPrefix: body.lastMac }
  } catch {
    return undefined
  }
}

function macOf(key: Uint8Array, body: HeadBody): Buffer {
  return createHmac('sha256', key).update(canonicalJson(body)).digest()
}
