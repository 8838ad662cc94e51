import { createCipheriv, randomBytes } from 'node:crypto'
import { closeSync, fsyncSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { openHoldfast } from '../contenders/holdfast.ts'
import type { Metrics } from '../job.ts'
import { median } from '../measure/percentiles.ts'
import type { WorkloadContext } from './workload.ts'

const MIB = 1024 * 1024
const PIECES = 128
const TURNS = 3

/** Put, get, AES-256-GCM on the main thread and a plain write with a sync by turns, of the same content in memory. */
export async function run({ job }: WorkloadContext): Promise<Metrics> {
  mkdirSync(job.storeDir, { recursive: true })
  const store = await openHoldfast(job.storeDir, job.secrets)
  const plain = join(job.storeDir, '..', `plain-${process.pid}`)
  const rates = { put: [] as number[], get: [] as number[], raw: [] as number[], write: [] as number[] }
  const bytes = PIECES * MIB
  for (let turn = 0; turn < TURNS; turn++) {
    const content = Array.from({ length: PIECES }, () => randomBytes(MIB))
    rates.raw.push(bytes / (await timed(() => seal(content))))
    rates.put.push(bytes / (await timed(() => store.artifacts.put('model', content))))
    rates.get.push(bytes / (await timed(() => readAll(store.artifacts.get('model')))))
    rates.write.push(bytes / (await timed(() => writeAndSync(plain, content))))
    rmSync(plain)
  }
  await store.close()
  const megabytesPerSecond = (of: readonly number[]) => median(of) / 1_000
  return {
    rawMegabytesPerSecond: megabytesPerSecond(rates.raw),
    putMegabytesPerSecond: megabytesPerSecond(rates.put),
    getMegabytesPerSecond: megabytesPerSecond(rates.get),
    writeMegabytesPerSecond: megabytesPerSecond(rates.write),
    putRatio: median(rates.put) / median(rates.raw),
    getRatio: median(rates.get) / median(rates.raw),
  }
}

function seal(content: readonly Buffer[]): void {
  const key = randomBytes(32)
  for (const piece of content) {
    const cipher = createCipheriv('aes-256-gcm', key, randomBytes(12))
    cipher.update(piece)
    cipher.final()
    cipher.getAuthTag()
  }
}

async function readAll(stream: AsyncIterable<Uint8Array>): Promise<void> {
  let bytes = 0
  for await (const piece of stream) bytes += piece.length
  if (bytes !== PIECES * MIB) throw new Error('the artifact came back with another length')
}

function writeAndSync(path: string, content: readonly Buffer[]): void {
  const descriptor = openSync(path, 'w')
  for (const piece of content) writeSync(descriptor, piece)
  fsyncSync(descriptor)
  closeSync(descriptor)
}

async function timed(work: () => unknown): Promise<number> {
  const start = performance.now()
  await work()
  return performance.now() - start
}
