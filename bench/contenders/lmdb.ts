/**
 * lmdb-js with encryption and its own batching.
 *
 * `overlappingSync: false` makes a put's promise resolve after fdatasync of the data and a synchronous write of the meta
 * page, LMDB's classic durability. With the default, `true`, the promise resolves once the write is visible; `flushed`
 * then resolves after fdatasync, but the mark that makes the next boot trust that transaction is only written
 * afterwards and not synced, so a power cut could still take the last one. What is compared here is what survives.
 */
import { mkdirSync } from 'node:fs'
import { type Database, open, type RootDatabase } from 'lmdb'
import { type Bar, generateBars, generateDocuments, type OrderDocument } from '../documents.ts'
import type { Contender, Secrets } from './contender.ts'

type StoredBar = Omit<Bar, 'id'>

interface Databases {
  readonly root: RootDatabase
  readonly docs: Database<OrderDocument, string>
  readonly archive: Database<OrderDocument, string>
  readonly bars: Database<StoredBar, string>
}

interface Extremes {
  count: number
  low: number
  high: number
  closeSum: number
  volume: number
}

/** Writes that may be under way while a fixture is filled. */
const SEED_CHUNK = 20_000

export const contender: Contender = {
  async open(dir, secrets) {
    const { root, docs, archive, bars } = openDatabases(dir, secrets)
    return {
      put: (document) => docs.put(document.id, document) as Promise<unknown> as Promise<void>,
      putArchived: (document) => archive.put(document.id, document) as Promise<unknown> as Promise<void>,
      get: (id) => docs.get(id),
      async loadBars({ documents: newBars }) {
        // Batches of one event turn are one transaction: when the last put is on disk, all are.
        let last: Promise<unknown> | undefined
        for (const { id, ...bar } of newBars) last = bars.put(id, bar)
        await last
        return newBars.length
      },
      async aggregateBars() {
        const bySymbol = new Map<string, Extremes>()
        let count = 0
        for (const { value } of bars.getRange()) {
          let extremes = bySymbol.get(value.symbol)
          if (extremes === undefined) {
            extremes = { count: 0, low: Infinity, high: -Infinity, closeSum: 0, volume: 0 }
            bySymbol.set(value.symbol, extremes)
          }
          extremes.count++
          extremes.low = Math.min(extremes.low, value.low)
          extremes.high = Math.max(extremes.high, value.high)
          extremes.closeSum += value.close
          extremes.volume += value.volume
          count++
        }
        return count
      },
      close: () => root.close(),
    }
  },

  async seed(dir, secrets, content) {
    const { root, docs, archive, bars } = openDatabases(dir, secrets)
    let written = 0
    const write = async (put: Promise<unknown>) => {
      if (++written % SEED_CHUNK === 0) await put
    }
    for (const document of generateDocuments(content.hotDocuments)) await write(docs.put(document.id, document))
    for (const document of generateDocuments(content.archivedDocuments)) {
      await write(archive.put(document.id, document))
    }
    for (const { id, ...bar } of generateBars(content.bars)) await write(bars.put(id, bar))
    await root.flushed
    await root.close()
  },
}

function openDatabases(dir: string, secrets: Secrets): Databases {
  mkdirSync(dir, { recursive: true })
  // The key is 32 bytes given as a string: half of the hexadecimal digits, as buffers are refused by lmdb 3.5.
  const root = open({ path: dir, encryptionKey: secrets.rawKey.slice(0, 32), overlappingSync: false })
  // Structures kept once a database, not in each record: smaller records, faster decoding.
  const sharedStructuresKey = Symbol.for('structures')
  return {
    root,
    docs: root.openDB<OrderDocument, string>({ name: 'docs', sharedStructuresKey }),
    archive: root.openDB<OrderDocument, string>({ name: 'archive', sharedStructuresKey }),
    bars: root.openDB<StoredBar, string>({ name: 'bars', sharedStructuresKey }),
  }
}
