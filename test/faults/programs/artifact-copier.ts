/** Puts an artifact that is made as it is read, gets it back, and reports by how much the process grew at each. */
import { createCipheriv, createHash } from 'node:crypto'
import { openStore } from '../../../src/index.ts'
import { KDF, PASSWORD } from '../store-settings.ts'
import { programArguments, report } from './report.ts'

const PIECE_BYTES = 1024 * 1024
const SAMPLE_MS = 10

const { dir, bytes } = programArguments<{ readonly dir: string; readonly bytes: number }>()
const store = await openStore({ dir, password: PASSWORD, kdf: KDF })
const put = createHash('sha256')
const got = createHash('sha256')

async function* content(): AsyncGenerator<Uint8Array> {
  const noise = createCipheriv('aes-256-ctr', Buffer.alloc(32, 7), Buffer.alloc(16))
  const zeros = Buffer.alloc(PIECE_BYTES)
  for (let at = 0; at < bytes; at += PIECE_BYTES) {
    const piece = noise.update(zeros)
    put.update(piece)
    yield piece
  }
}

async function peakOf(work: string, run: () => Promise<void>): Promise<void> {
  const idleBytes = process.memoryUsage.rss()
  const startedAt = performance.now()
  let peak = 0
  const sample = () => {
    peak = Math.max(peak, process.memoryUsage.rss() - idleBytes)
  }
  const timer = setInterval(sample, SAMPLE_MS)
  await run()
  sample()
  clearInterval(timer)
  report('peak', work, peak, Math.round(performance.now() - startedAt))
}

await peakOf('put', async () => {
  await store.artifacts.put('large', content())
})
await peakOf('get', async () => {
  for await (const piece of store.artifacts.get('large')) got.update(piece as Uint8Array)
})
report('same', String(put.digest('hex') === got.digest('hex')))
await peakOf('verify', async () => {
  await store.artifacts.verify()
})
await store.close()
