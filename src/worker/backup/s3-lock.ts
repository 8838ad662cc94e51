/**
 * A lock as an object: written only where there is none, renewed while its holder lives, and taken over once it has
 * not been renewed for `lockSeconds`. Its age is told by the server's clock alone, so that hosts with other clocks agree.
 *
 * It is a lease: no server drops it the moment its holder dies, and nothing fences off a request that was sent while the
 * lease held and arrives after it has ended. Servers that ignore conditions only give an advisory lock: written, looked
 * at again a moment later, and nobody's if two were written in the same moment.
 */
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import * as z from 'zod'
import { StoreError } from '../../protocol/store-error.ts'
import type { PutCondition, S3Bucket, S3Lease } from './s3-bucket.ts'

/** Both moments of an age are cut to whole seconds. */
const AGE_MARGIN_MS = 2000
const ADVISORY_SETTLE_MS = 1000
const RENEWALS_PER_LEASE = 4

const leaseSchema = z.object({
  format: z.literal('holdfast-lock'),
  version: z.literal(1),
  owner: z.string(),
  host: z.string(),
  pid: z.number(),
  leaseMs: z.number(),
  /** Makes each renewal another content, hence another ETag. */
  renewals: z.number(),
})

export class S3Lock {
  readonly #bucket: S3Bucket
  readonly #path: string
  readonly #owner = randomUUID()
  readonly #leaseMs: number
  #renewals = 0
  #etag = ''
  #heldSince = moment()
  #isLost = false
  #timer: NodeJS.Timeout | undefined
  #renewing: Promise<void> | undefined

  private constructor(bucket: S3Bucket, path: string) {
    this.#bucket = bucket
    this.#path = path
    this.#leaseMs = bucket.location.lockSeconds * 1000
  }

  /** @throws StoreError `TARGET_BUSY`; `INVALID_ARGUMENT` when the server ignores conditions and `lock=advisory` is not set */
  static async acquire(bucket: S3Bucket, path: string): Promise<S3Lock> {
    const lock = new S3Lock(bucket, path)
    const found = await bucket.getLease(path)
    if (found !== undefined && !hasEnded(found, lock.#leaseMs)) throw busy(bucket, found)
    if (bucket.location.lock === 'advisory') await lock.#takeAdvisory()
    else await lock.#take(found === undefined ? { absent: true } : { etag: found.etag })
    lock.#timer = setInterval(() => {
      lock.#renewing ??= lock.#renew().finally(() => {
        lock.#renewing = undefined
      })
    }, lock.#leaseMs / RENEWALS_PER_LEASE)
    lock.#timer.unref()
    return lock
  }

  /** @throws StoreError `TARGET_BUSY` when another has taken over, `IO_ERROR` while the lease can't be renewed */
  assertHeld(): void {
    const { text } = this.#bucket.location
    if (this.#isLost) {
      throw new StoreError(
        'TARGET_BUSY',
        `The lock in ${text} has gone to another process while this one could not reach it. Start again when that is done.`,
        { details: { location: text } },
      )
    }
    if (sinceMs(this.#heldSince) < this.#leaseMs) return
    throw new StoreError(
      'IO_ERROR',
      `The lock in ${text} could not be renewed in time, so nothing more is written. Check the network, then try again.`,
      { details: { location: text } },
    )
  }

  async release(): Promise<void> {
    clearInterval(this.#timer)
    await this.#renewing
    // Past its lease it may be another's by now; then it is left to its end.
    if (this.#isLost || sinceMs(this.#heldSince) >= this.#leaseMs) return
    // What was done under the lock is done: without an answer the lock ends by itself.
    await this.#bucket.remove(this.#path).catch(() => undefined)
  }

  async #take(condition: PutCondition): Promise<void> {
    const since = moment()
    const outcome = await this.#bucket.putIf(this.#path, this.#content(), condition)
    if (outcome === 'unsupported') throw unsupported(this.#bucket)
    if (outcome === 'refused') {
      // Ours, when the answer to a first attempt was lost.
      if (!(await this.#adopt(since))) throw busy(this.#bucket, await this.#bucket.getLease(this.#path))
      return
    }
    // A server that knows no conditions takes this one too.
    if ((await this.#bucket.putIf(this.#path, this.#content(), { absent: true })) !== 'refused') {
      await this.#bucket.remove(this.#path)
      throw unsupported(this.#bucket)
    }
    this.#etag = outcome.etag
    this.#heldSince = since
  }

  async #takeAdvisory(): Promise<void> {
    const since = moment()
    await this.#bucket.put(this.#path, this.#content())
    await sleep(ADVISORY_SETTLE_MS)
    if (!(await this.#adopt(since))) throw busy(this.#bucket, await this.#bucket.getLease(this.#path))
  }

  async #renew(): Promise<void> {
    if (this.#isLost) return
    try {
      const since = moment()
      this.#renewals += 1
      if (this.#bucket.location.lock === 'advisory') {
        if (!(await this.#adopt(this.#heldSince))) {
          this.#isLost = true
          return
        }
        await this.#bucket.put(this.#path, this.#content())
        this.#heldSince = since
        return
      }
      const outcome = await this.#bucket.putIf(this.#path, this.#content(), { etag: this.#etag })
      if (typeof outcome !== 'string') {
        this.#etag = outcome.etag
        this.#heldSince = since
      } else if (!(await this.#adopt(this.#heldSince))) {
        this.#isLost = true
      }
    } catch {
      // Told by `assertHeld` if it goes on until the lease ends.
    }
  }

  /** Whether the object there is this holder's; if so, it is held since then. */
  async #adopt(since: Moment): Promise<boolean> {
    const found = await this.#bucket.getLease(this.#path)
    if (found === undefined || parse(found.text)?.owner !== this.#owner) return false
    this.#etag = found.etag
    this.#heldSince = since
    return true
  }

  #content(): Buffer {
    return Buffer.from(
      JSON.stringify({
        format: 'holdfast-lock',
        version: 1,
        owner: this.#owner,
        host: hostname(),
        pid: process.pid,
        leaseMs: this.#leaseMs,
        renewals: this.#renewals,
      } satisfies z.infer<typeof leaseSchema>),
    )
  }
}

/** By both clocks: one stands still while a machine sleeps, the other can be set back. */
interface Moment {
  readonly monotonicMs: number
  readonly wallMs: number
}

function moment(): Moment {
  return { monotonicMs: performance.now(), wallMs: Date.now() }
}

function sinceMs({ monotonicMs, wallMs }: Moment): number {
  return Math.max(performance.now() - monotonicMs, Date.now() - wallMs)
}

/** A lock that can't be read ends like one of our own. */
function hasEnded({ text, ageMs }: S3Lease, fallbackMs: number): boolean {
  return ageMs > (parse(text)?.leaseMs ?? fallbackMs) + AGE_MARGIN_MS
}

function parse(text: string): z.infer<typeof leaseSchema> | undefined {
  try {
    return leaseSchema.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}

function busy({ location }: S3Bucket, found: S3Lease | undefined): StoreError {
  const owner = found === undefined ? undefined : parse(found.text)
  const who = owner === undefined ? '' : ` (process ${owner.pid} on ${owner.host})`
  const seconds = Math.ceil((owner?.leaseMs ?? location.lockSeconds * 1000) / 1000)
  return new StoreError(
    'TARGET_BUSY',
    `Another backup or prune is at work in ${location.text}${who}. Try again when it is done; should it have died, its lock ends ${seconds} s after.`,
    { details: { location: location.text, ...(owner === undefined ? {} : { host: owner.host, pid: owner.pid }) } },
  )
}

function unsupported({ location }: S3Bucket): StoreError {
  return new StoreError(
    'INVALID_ARGUMENT',
    `The server of ${location.text} ignores conditional writes (If-None-Match), so it can't keep two backups apart. If you see to it that there is one at a time, add lock=advisory to the location.`,
    { details: { location: location.text } },
  )
}
