/** No lock-in: with the raw keys another implementation of SQLCipher 4 opens the files. It is there after `npm install` in bench/. */
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openTempStore } from './fixtures/temp-store.ts'

interface OtherDatabase {
  pragma(text: string): unknown
  prepare(sql: string): { pluck(): { get(): unknown }; get(): unknown }
  close(): void
}
type OtherDriver = new (path: string, options: { readonly: boolean; fileMustExist: boolean }) => OtherDatabase

const PACKAGE = 'better-sqlite3-multiple-ciphers'
const otherDriver = loadFromBench()
if (otherDriver === undefined) console.log(`raw keys: skipped, ${PACKAGE} is not installed in bench/`)

function loadFromBench(): OtherDriver | undefined {
  try {
    return createRequire(join(import.meta.dirname, '../../bench/package.json'))(PACKAGE) as OtherDriver
  } catch {
    return undefined
  }
}

test.skipIf(otherDriver === undefined)('another SQLCipher opens both files with the exported keys', async () => {
  const store = await openTempStore()
  await store.kv.set('shared', 'with another program')
  await store.rotateDataKey({ actor: 'test' })
  const keys = await store.keys.exportRaw({ actor: 'test', yesGiveMeTheKeys: true })
  await store.close()

  expect(keys.map(({ file }) => file)).toEqual(['state.db', 'market.db'])
  for (const { file, key } of keys) {
    const database = new (otherDriver as OtherDriver)(join(store.dir, file), { readonly: true, fileMustExist: true })
    database.pragma(`cipher = 'sqlcipher'`)
    database.pragma('legacy = 4')
    database.pragma(`key = "x'${key}'"`)
    expect(database.prepare('PRAGMA integrity_check').pluck().get()).toBe('ok')
    if (file === 'state.db') {
      const document = database.prepare(`SELECT "_doc" FROM "kv" WHERE "_key" = 'shared'`).pluck().get()
      expect(JSON.parse(String(document))).toMatchObject({ value: 'with another program' })
    }
    database.close()
  }
})
