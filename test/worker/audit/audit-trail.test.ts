/** What the store records by itself, and what comes in from beside the owner. */
import { copyFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openStore, type Store } from '../../../src/index.ts'
import { codeOf, openTempStore, PASSWORD, tempDir } from '../../client/fixtures/temp-store.ts'
import { migrationsFolder } from '../fixtures/backend.ts'

const eventsOf = async (store: Store) => (await store.audit.list()).map(({ event }) => event)

async function closedStore(): Promise<string> {
  const store = await openTempStore({ dir: join(tempDir(), 'state') })
  await store.close()
  return store.dir
}

async function leaveNotes(dir: string, ...actors: readonly string[]): Promise<void> {
  const beside = await openStore({ dir, password: PASSWORD, readOnly: true })
  for (const actor of actors) await beside.audit.note({ actor, event: 'desk.noted' })
  await beside.close()
}

test('the life of a store is recorded: made, opened, closed, migrated', async () => {
  const dir = await closedStore()
  const migrations = migrationsFolder({ '0001_mine.sql': 'CREATE TABLE "mine" ("x")' })
  const store = await openTempStore({ dir, migrations })
  const life = (await store.audit.list()).filter(({ event }) => event.startsWith('store.'))
  expect(life.map(({ event, actor }) => [event, actor])).toEqual([
    ['store.created', 'holdfast'],
    ['store.opened', 'holdfast'],
    ['store.closed', 'holdfast'],
    ['store.opened', 'holdfast'],
  ])
  const applied = await store.audit.list({ event: 'migration.applied' })
  expect(applied.at(-1)?.data).toEqual({ file: 'state', name: '0001_mine', origin: 'user' })
  expect(await store.audit.verify()).toMatchObject({ ok: true })
})

test('a migration of the user can not change the trail', async () => {
  for (const sql of [
    `UPDATE "_audit" SET "actor" = 'x'`,
    'DELETE FROM "_audit"',
    'REPLACE INTO "_audit" SELECT * FROM "_audit"',
  ]) {
    const dir = await closedStore()
    const migrations = migrationsFolder({ '0001_mine.sql': sql })
    expect(await codeOf(openTempStore({ dir, migrations }))).toBe('MIGRATION_FAILED')
    const store = await openTempStore({ dir })
    expect(await store.audit.verify()).toMatchObject({ ok: true })
  }
})

test('one that takes the triggers away is found out by the chain', async () => {
  const dir = await closedStore()
  const sql = `DROP TRIGGER "_audit_no_update"; UPDATE "_audit" SET "actor" = 'x' WHERE "id" = 1`
  const store = await openTempStore({ dir, migrations: migrationsFolder({ '0001_mine.sql': sql }) })
  expect((await store.audit.verify()).problems).toMatchObject([{ kind: 'changed', id: 1 }])
})

describe('notes', () => {
  test('left while nobody had the store open are taken in by the next open, once, and are gone', async () => {
    const dir = await closedStore()
    await leaveNotes(dir, 'one', 'two')
    const inbox = join(dir, 'audit-inbox')
    const kept = join(tempDir(), 'kept')
    mkdirSync(kept)
    for (const name of readdirSync(inbox)) copyFileSync(join(inbox, name), join(kept, name))
    const store = await openTempStore({ dir })
    expect((await store.audit.list({ event: 'desk.noted' })).map(({ actor }) => actor)).toEqual(['one', 'two'])
    expect(readdirSync(inbox)).toEqual([])
    for (const name of readdirSync(kept)) copyFileSync(join(kept, name), join(inbox, name))
    await expect.poll(() => readdirSync(inbox), { timeout: 20_000 }).toEqual([])
    expect(await store.audit.list({ event: 'desk.noted' })).toHaveLength(2)
    expect(await store.audit.verify()).toMatchObject({ ok: true })
  })

  test('that are not authentic stay where they are, and are counted', async () => {
    const dir = await closedStore()
    mkdirSync(join(dir, 'audit-inbox'), { mode: 0o700 })
    writeFileSync(join(dir, 'audit-inbox', `${'1'.repeat(13)}-${'a'.repeat(32)}.note`), '{"actor":"mallory"}')
    const store = await openTempStore({ dir })
    expect((await store.status()).audit).toMatchObject({ waitingNotes: 0, refusedNotes: 1 })
    expect(await store.audit.list({ actor: 'mallory' })).toEqual([])
  })
})

test('wrong passwords are recorded by the next owner, as one entry that says it is not verified', async () => {
  const dir = await closedStore()
  for (const readOnly of [false, true, true]) {
    expect(await codeOf(openStore({ dir, password: 'not the password of it', readOnly }))).toBe('WRONG_PASSWORD')
  }
  const store = await openTempStore({ dir })
  const [entry, second] = await store.audit.list({ event: 'password.wrong' })
  expect(entry).toMatchObject({ actor: 'unknown', data: { attempts: 3, isComplete: true, verified: false } })
  expect(second).toBeUndefined()
  expect(existsSync(join(dir, 'audit-inbox', 'wrong-passwords'))).toBe(false)
  expect(await eventsOf(store)).toContain('store.opened')
  expect(await codeOf(openStore({ dir, password: 'not the password of it', readOnly: true }))).toBe('WRONG_PASSWORD')
  await store.close()
  expect(existsSync(join(dir, 'audit-inbox', 'wrong-passwords'))).toBe(true)
})
