/**
 * Somebody with the key of the database, to whom SQL is no obstacle: the triggers go first. What the chain and its heads
 * show of it, and what they can't.
 */
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { type StoreKeys, unlockKeyring } from '../../../src/crypto/keyring.ts'
import { readKeyring } from '../../../src/crypto/keyring-file.ts'
import { passwordBytes } from '../../../src/crypto/password.ts'
import { deriveSubKey } from '../../../src/crypto/sub-key.ts'
import { type AuditProblemKind, type AuditVerification, openStore } from '../../../src/index.ts'
import { chainEntry } from '../../../src/worker/audit/audit-chain.ts'
import { writeHead } from '../../../src/worker/audit/audit-head.ts'
import { AuditKeys } from '../../../src/worker/audit/audit-keys.ts'
import { AuditReader } from '../../../src/worker/audit/audit-reader.ts'
import { AUDIT_COLUMNS } from '../../../src/worker/audit/audit-writer.ts'
import { type BindValue, type Connection, queryOnce } from '../../../src/worker/driver.ts'
import { openKeyedDatabase } from '../../../src/worker/keyed-database.ts'
import { sqlcipherDriver } from '../../../src/worker/sqlcipher-driver.ts'
import { codeOf, openTempStore, PASSWORD, tempDir } from '../../client/fixtures/temp-store.ts'

const ENTRIES = 20
const HEAD_FILE = 'audit-head.json'
const original = join(tempDir(afterAll), 'original')
await fillOriginal()
const { storeId, ...storeKeys } = await unlockOriginal()
const auditKeys = new AuditKeys(storeKeys, storeId)
/** As it was noted elsewhere after the store was closed. */
const notedHead = (await verify(original)).head

async function fillOriginal(): Promise<void> {
  const store = await openTempStore({ dir: original }, afterAll)
  const { entries } = (await store.status()).audit
  for (let n = entries + 1; n < ENTRIES; n++) await store.audit.append({ actor: `actor ${n}`, event: 'desk.did' })
  await store.close()
}

async function unlockOriginal(): Promise<StoreKeys & { readonly storeId: string }> {
  const keyring = (await readKeyring(original))?.keyring
  if (keyring === undefined) throw new Error('no keyring')
  return { ...(await unlockKeyring(keyring, passwordBytes(PASSWORD))), storeId: keyring.storeId }
}

function copyOfOriginal(): string {
  const dir = join(tempDir(), 'copy')
  cpSync(original, dir, { recursive: true })
  return dir
}

/** Over the files themselves, without the work of opening a store: the keys are those of the original, as in every copy. */
async function verify(dir: string, head?: string): Promise<AuditVerification> {
  const database = await openState(dir, 'read-only')
  try {
    const query = (sql: string, parameters: readonly BindValue[]) => queryOnce(database, sql, parameters)
    return await new AuditReader({ dir, keys: auditKeys, query }).verify(head ?? null)
  } finally {
    await database.close()
  }
}

function openState(dir: string, mode: 'read-only' | 'read-write'): Promise<Connection> {
  return openKeyedDatabase(sqlcipherDriver, join(dir, 'state.db'), {
    key: deriveSubKey(storeKeys.dataKey, storeId, 'database:state'),
    role: 'writer',
    mode,
    durability: 'full',
    busyTimeoutMs: 1_000,
  })
}

/** Opens the file of state under its key, and puts the triggers back afterwards, as somebody careful would. */
async function tamper(dir: string, work: (database: Connection) => Promise<unknown>): Promise<void> {
  const database = await openState(dir, 'read-write')
  const triggers = await queryOnce(
    database,
    `SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = '_audit'`,
  )
  expect(triggers).toHaveLength(3)
  for (const { name } of triggers) await database.exec(`DROP TRIGGER "${String(name)}"`)
  await work(database)
  for (const { sql } of triggers) await database.exec(String(sql))
  await database.close()
}

async function tampered(sql: string): Promise<string> {
  const dir = copyOfOriginal()
  await tamper(dir, (database) => database.exec(sql))
  return dir
}

/** What the owner does next: opens the store, which is not refused, and goes on. */
async function goOn(dir: string): Promise<void> {
  const store = await openTempStore({ dir })
  await store.audit.append({ actor: 'later', event: 'desk.did' })
  await store.close()
}

const ALL = `SELECT ${AUDIT_COLUMNS} FROM "_audit" ORDER BY "id"`
const COPY = (to: string, from: string) =>
  `UPDATE "_audit" SET ("at", "actor", "event", "data", "causationId", "note", "sequence", "previous", "mac") = (SELECT "at", "actor", "event", "data", "causationId", "note", "sequence", "previous", "mac" FROM ${from}) WHERE "id" = ${to}`

test('a trail that nobody touched is whole, with and without a head that was noted', async () => {
  expect(await verify(original)).toEqual({ ok: true, entries: ENTRIES, head: notedHead, problems: [] })
  expect(await verify(original, notedHead)).toMatchObject({ ok: true })
  expect(await verify(original, readFileSync(join(original, HEAD_FILE), 'utf8'))).toMatchObject({ ok: true })
})

test('a head that is older than the trail is fine: it lags behind after a crash', async () => {
  const dir = copyOfOriginal()
  await goOn(dir)
  expect(await verify(dir, notedHead)).toMatchObject({ ok: true, problems: [] })
  cpSync(join(original, HEAD_FILE), join(dir, HEAD_FILE))
  expect(await verify(dir)).toMatchObject({ ok: true, problems: [] })
})

describe('detected, with the first entry named:', () => {
  const changes: readonly (readonly [what: string, sql: string, kind: AuditProblemKind, id: number])[] = [
    ...(['actor', 'event', 'data'] as const)
      .map(
        (column) =>
          [`another ${column}`, `UPDATE "_audit" SET "${column}" = '{}' WHERE "id" = 7`, 'changed', 7] as const,
      )
      .map(([what, sql, kind, id]) => [what, sql.replace(`"data" = '{}'`, `"data" = '{"n":1}'`), kind, id] as const),
    ['another time', 'UPDATE "_audit" SET "at" = "at" + 1 WHERE "id" = 7', 'changed', 7],
    ['a cause', `UPDATE "_audit" SET "causationId" = 'x' WHERE "id" = 7`, 'changed', 7],
    ['a note', `UPDATE "_audit" SET "note" = 'x' WHERE "id" = 7`, 'changed', 7],
    ['another batch', 'UPDATE "_audit" SET "sequence" = "sequence" + 1 WHERE "id" = 7', 'changed', 7],
    ['another MAC', 'UPDATE "_audit" SET "mac" = randomblob(32) WHERE "id" = 7', 'changed', 7],
    ['another MAC before it', 'UPDATE "_audit" SET "previous" = randomblob(32) WHERE "id" = 7', 'changed', 7],
    ['the first entry changed', `UPDATE "_audit" SET "actor" = 'x' WHERE "id" = 1`, 'changed', 1],
    ['the last entry changed', `UPDATE "_audit" SET "actor" = 'x' WHERE "id" = ${ENTRIES}`, 'changed', ENTRIES],
    ['every entry changed', `UPDATE "_audit" SET "actor" = 'x'`, 'changed', 1],
    ['one removed from the middle', 'DELETE FROM "_audit" WHERE "id" = 7', 'removed', 7],
    ['some removed from the middle', 'DELETE FROM "_audit" WHERE "id" BETWEEN 7 AND 9', 'removed', 7],
    ['the first removed', 'DELETE FROM "_audit" WHERE "id" = 1', 'removed', 1],
    [
      'one removed and the others moved up',
      'DELETE FROM "_audit" WHERE "id" = 7; UPDATE "_audit" SET "id" = "id" - 1 WHERE "id" > 7',
      'moved',
      7,
    ],
    [
      'two swapped, one after the other',
      `CREATE TEMP TABLE t AS SELECT * FROM "_audit" WHERE "id" = 7; ${COPY('7', '"_audit" WHERE "id" = 8')}; ${COPY('8', 't')}`,
      'moved',
      7,
    ],
    [
      'two swapped, far apart',
      `CREATE TEMP TABLE t AS SELECT * FROM "_audit" WHERE "id" = 4; ${COPY('4', '"_audit" WHERE "id" = 15')}; ${COPY('15', 't')}`,
      'moved',
      4,
    ],
    ['one entry twice', COPY('9', '"_audit" WHERE "id" = 8'), 'moved', 9],
    ['the last removed', `DELETE FROM "_audit" WHERE "id" = ${ENTRIES}`, 'cut', ENTRIES],
    ['the last ones removed', `DELETE FROM "_audit" WHERE "id" > 12`, 'cut', 13],
    ['all removed', `DELETE FROM "_audit"`, 'cut', 1],
    [
      'a forged one at the end',
      `INSERT INTO "_audit" SELECT "id" + 1, "at", 'mallory', "event", "data", null, null, "sequence", "mac", randomblob(32) FROM "_audit" WHERE "id" = ${ENTRIES}`,
      'changed',
      ENTRIES + 1,
    ],
    [
      'an old one at the end',
      `INSERT INTO "_audit" SELECT ${ENTRIES + 1}, "at", "actor", "event", "data", null, null, "sequence", "previous", "mac" FROM "_audit" WHERE "id" = 9`,
      'moved',
      ENTRIES + 1,
    ],
    [
      'a forged one in between',
      `UPDATE "_audit" SET "id" = -"id" WHERE "id" > 6; UPDATE "_audit" SET "id" = 1 - "id" WHERE "id" < 0; INSERT INTO "_audit" SELECT 7, "at", 'mallory', "event", "data", null, null, "sequence", "mac", randomblob(32) FROM "_audit" WHERE "id" = 6`,
      'changed',
      7,
    ],
    [
      'one before the first',
      `INSERT INTO "_audit" SELECT 0, "at", 'mallory', "event", "data", null, null, 0, zeroblob(32), randomblob(32) FROM "_audit" WHERE "id" = 1`,
      'changed',
      0,
    ],
  ]
  test.each(changes)('%s', async (_, sql, kind, id) => {
    const dir = await tampered(sql)
    const result = await verify(dir)
    expect(result.ok).toBe(false)
    expect(result.problems).toMatchObject([{ kind, id }])
    expect(result.problems[0]?.message).toContain(String(id))
    expect(result.entries).toBe(Math.max(0, id - 1))
  })

  test('what was found is still found after the owner went on', async () => {
    const dir = await tampered(`UPDATE "_audit" SET "actor" = 'x' WHERE "id" = 7`)
    await goOn(dir)
    expect((await verify(dir)).problems).toMatchObject([{ kind: 'changed', id: 7 }])
  })

  test('a cut that the owner opened over: recorded, until a head is noted after somebody has looked', async () => {
    const dir = await tampered('DELETE FROM "_audit" WHERE "id" > 15')
    await goOn(dir)
    await goOn(dir)
    const result = await verify(dir)
    expect(result.problems).toMatchObject([{ kind: 'alarm', id: 17 }])
    expect(result.problems[0]?.message).toContain('entries 16 to 20 were missing at the end')
    expect(await verify(dir, result.head)).toMatchObject({ ok: true })
    expect((await verify(dir, notedHead)).problems).toMatchObject([{ kind: 'rebuilt', id: ENTRIES }])
  })

  test('the head taken away, with or without a cut', async () => {
    const dir = copyOfOriginal()
    rmSync(join(dir, HEAD_FILE))
    expect((await verify(dir)).problems).toMatchObject([{ kind: 'head-missing', id: null }])
    await goOn(dir)
    expect((await verify(dir)).problems).toMatchObject([{ kind: 'alarm', id: ENTRIES + 2 }])
  })

  test('the head changed in any byte, or that of another store', async () => {
    const dir = copyOfOriginal()
    const path = join(dir, HEAD_FILE)
    const head = readFileSync(path)
    for (let index = 0; index < head.length - 1; index++) {
      const changed = Buffer.from(head)
      changed[index] = (changed[index] as number) ^ 1
      writeFileSync(path, changed)
      expect((await verify(dir)).problems, `byte ${index}`).toMatchObject([{ kind: 'head-invalid' }])
    }
    const other = await openTempStore()
    cpSync(join(other.dir, HEAD_FILE), path)
    expect((await verify(dir)).problems).toMatchObject([{ kind: 'head-invalid' }])
  })

  test('the log cut at its end, which takes no key', async () => {
    const dir = join(tempDir(), 'killed')
    const store = await openTempStore({ dir })
    await store.checkpoint()
    for (let n = 0; n < 10; n++) await store.audit.append({ actor: 'a', event: 'desk.did' })
    const { entries, head } = (await store.status()).audit
    await expect
      .poll(() => readFileSync(join(dir, HEAD_FILE), 'utf8'), { timeout: 20_000 })
      .toContain(`"entries":${entries},`)
    const copy = join(tempDir(), 'copy')
    cpSync(dir, copy, { recursive: true, filter: (path) => !path.endsWith('-wal') && !path.endsWith('-shm') })
    const beside = await openStore({ dir: copy, password: PASSWORD, readOnly: true })
    expect((await beside.audit.verify()).problems).toMatchObject([{ kind: 'cut' }])
    expect((await beside.audit.verify({ head })).problems).toMatchObject([{ kind: 'cut' }])
    await beside.close()
  })
})

describe('only a head that was noted elsewhere shows', () => {
  /** The whole directory as it was earlier. */
  async function olderAndNewer(): Promise<{ readonly older: string; readonly head: string; readonly entries: number }> {
    const dir = copyOfOriginal()
    await goOn(dir)
    const { head, entries } = await verify(dir)
    return { older: copyOfOriginal(), head, entries }
  }

  test('that the whole directory was put back', async () => {
    const { older, head } = await olderAndNewer()
    expect(await verify(older)).toMatchObject({ ok: true })
    expect((await verify(older, head)).problems).toMatchObject([{ kind: 'cut', id: ENTRIES + 1 }])
  })

  test('that it was put back and went on', async () => {
    const { older, head, entries } = await olderAndNewer()
    await goOn(older)
    await goOn(older)
    expect(await verify(older)).toMatchObject({ ok: true })
    expect((await verify(older, head)).problems).toMatchObject([{ kind: 'rebuilt', id: entries }])
  })

  test('that somebody with the data key made the whole trail anew, head and all', async () => {
    const dir = copyOfOriginal()
    const { chainKey } = auditKeys
    await tamper(dir, async (database) => {
      const rows = await queryOnce(database, ALL)
      await database.exec('DELETE FROM "_audit"')
      let position = { id: 0, mac: new Uint8Array(32), sequence: 0 } as Parameters<typeof chainEntry>[1]
      for (const row of rows.slice(0, -3)) {
        const entry = chainEntry(chainKey, position, {
          ...(row as never as Parameters<typeof chainEntry>[2]),
          actor: 'nobody',
        })
        const values = [
          entry.id,
          entry.at,
          entry.actor,
          entry.event,
          entry.data,
          entry.causationId,
          entry.note,
          entry.sequence,
          entry.previous,
          entry.mac,
        ]
        await queryOnce(database, `INSERT INTO "_audit" (${AUDIT_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?)`, values)
        position = entry
      }
      await writeHead(dir, chainKey, storeId, position)
    })
    expect(await verify(dir)).toMatchObject({ ok: true, entries: ENTRIES - 3 })
    expect((await verify(dir, notedHead)).problems).toMatchObject([{ kind: 'cut', id: ENTRIES - 2 }])
  })
})

test.each([
  '',
  '57',
  'x:y',
  '57:8f3a',
  '-1:00000000000000000000000000000000',
  '{}',
  '57:8f3a0b12c4d5e6f708192a3b4c5d6e7f0',
])('the head %j is none', async (head) => {
  expect(await codeOf(verify(original, head))).toBe('INVALID_ARGUMENT')
})
