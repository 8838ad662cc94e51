/**
 * An older keyring in the place of both copies brings back a password that was changed because it had leaked: it is
 * refused. What looks alike and is right is not: copies of another age, crashes and backups between the two writes,
 * moments of an archive, standbys.
 */
import { copyFileSync, cpSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { followArchive, openKeyring, openStore, restoreArchive, restoreStore } from './compiled-store.ts'
import { codeOf, refusalOf } from './refusal.ts'
import { KDF, PASSWORD } from './store-settings.ts'
import { temporaryDirectory } from './temporary-directory.ts'
import { openTestStore, type TestStore } from './worker-faults.ts'

vi.setConfig({ testTimeout: 60_000 })

const NEXT = 'another horse, another battery, another staple'
const COPIES = ['keyring.json', 'keyring.backup.json'] as const
const AWARE = { yesItsPasswordsMayOpenTheStore: true } as const

/** A store whose password was changed once, and what its keyring was before. */
class Site {
  readonly root = temporaryDirectory()
  readonly dir = join(this.root, 'state')
  readonly #before = join(this.root, 'before')

  async create(): Promise<this> {
    await (await openTestStore(this.dir)).close()
    this.keep(this.#before)
    return this
  }

  /** @returns this, when the change is on record */
  async withChangedPassword(): Promise<this> {
    await this.changePassword()
    await (await this.open(NEXT)).close()
    return this
  }

  async changePassword(): Promise<void> {
    await openKeyring({ dir: this.dir, password: PASSWORD }).rotatePassword(NEXT, { kdf: KDF })
  }

  async open(password: string, options: Parameters<typeof openTestStore>[1] = {}): Promise<TestStore> {
    const store = await openTestStore(this.dir, { password, create: false, ...options })
    onTestFinished(() => store.close())
    return store
  }

  keep(folder: string): void {
    for (const name of COPIES) cpSync(join(this.dir, name), join(folder, name))
  }

  takeBack(names: readonly string[] = COPIES, folder = this.#before): void {
    for (const name of names) copyFileSync(join(folder, name), join(this.dir, name))
  }

  get keyring(): string {
    return readFileSync(join(this.dir, 'keyring.json'), 'utf8')
  }
}

const site = () => new Site().create()

async function eventsOf(store: TestStore, event: string): Promise<Record<string, unknown>[]> {
  const rows = await store.sql('select data from main."_audit" where event = ? order by id', [event])
  return rows.map(({ data }) => JSON.parse(String(data)))
}

test('a keyring from before a change of the password is refused, for its owner and beside it, and nothing is changed', async () => {
  const where = await (await site()).withChangedPassword()
  where.takeBack()
  const before = where.keyring
  for (const readOnly of [false, true]) {
    const refusal = await refusalOf(where.open(PASSWORD, { readOnly }))
    expect(refusal).toMatchObject({ code: 'KEYRING_OUTDATED', details: { generation: 1, recordedGeneration: 2 } })
  }
  expect(where.keyring).toBe(before)
})

test('the password of now does not open it either, and the newer keyring put back heals it', async () => {
  const where = await (await site()).withChangedPassword()
  const now = join(where.root, 'now')
  where.keep(now)
  where.takeBack()
  expect(await codeOf(where.open(NEXT))).toBe('WRONG_PASSWORD')
  where.takeBack(COPIES, now)
  expect((await where.open(NEXT)).created).toBe(false)
})

test('no change is made to a keyring that was taken back, which would make it look newer', async () => {
  const where = await (await site()).withChangedPassword()
  where.takeBack()
  const keys = openKeyring({ dir: where.dir, password: PASSWORD })
  expect(await codeOf(keys.add(NEXT, { kdf: KDF }))).toBe('KEYRING_OUTDATED')
  expect(await codeOf(keys.rotatePassword(NEXT, { kdf: KDF }))).toBe('KEYRING_OUTDATED')
  expect(await codeOf(keys.exportRaw({ yesGiveMeTheKeys: true }))).toBe('KEYRING_OUTDATED')
  expect((await keys.list()).generation).toBe(1)
})

test.each(COPIES)('of two copies the newer one counts: %s taken back alone is written anew', async (name) => {
  const where = await (await site()).withChangedPassword()
  where.takeBack([name])
  const store = await where.open(NEXT)
  expect(store.restoredKeyringCopies).toEqual([name])
  expect((await store.check()).filter(({ severity }) => severity === 'error')).toEqual([])
})

test('a change of which nothing is on record yet is no alarm: an owner killed in between opens', async () => {
  const where = await site()
  await where.changePassword()
  const store = await where.open(NEXT)
  expect((await store.keys.list()).generation).toBe(2)
})

test('what is changed beside a running owner goes on record while it runs', async () => {
  const where = await site()
  const owner = await where.open(PASSWORD)
  await where.changePassword()
  await expect
    .poll(async () => await owner.sql('select generation from main."_keyring"'), { timeout: 10_000 })
    .toEqual([{ generation: 2 }])
  await owner.close()
  where.takeBack()
  expect(await codeOf(where.open(PASSWORD))).toBe('KEYRING_OUTDATED')
})

test('one that is taken back under a running owner is found by check and told to the audit trail; the store goes on', async () => {
  const where = await (await site()).withChangedPassword()
  const owner = await where.open(NEXT)
  where.takeBack()
  expect((await owner.check()).filter(({ severity }) => severity === 'error')).toMatchObject([
    { code: 'KEYRING_OUTDATED', subject: 'keyring.json', repairable: false },
  ])
  await expect
    .poll(() => eventsOf(owner, 'key.keyring-outdated'), { timeout: 10_000 })
    .toEqual([{ generation: 1, recordedGeneration: 2 }])
  await owner.kv.set('goes', 'on')
  expect(await owner.kv.get('goes')).toMatchObject({ value: 'on' })
})

test('one that was accepted counts, is recorded, and takes the place of the one it was older than', async () => {
  const where = await (await site()).withChangedPassword()
  const [now, keys] = [join(where.root, 'now'), openKeyring({ dir: where.dir, password: PASSWORD })]
  where.keep(now)
  where.takeBack()
  expect(await codeOf(keys.acceptOlder({} as never))).toBe('INVALID_ARGUMENT')
  expect(await keys.acceptOlder({ ...AWARE, actor: 'ops' })).toMatchObject({ generation: 3 })
  const store = await where.open(PASSWORD)
  expect(await eventsOf(store, 'key.older-accepted')).toMatchObject([{ acceptedGeneration: 1, generation: 3 }])
  await store.close()
  where.takeBack(COPIES, now)
  expect(await codeOf(where.open(NEXT))).toBe('KEYRING_OUTDATED')
})

test('one that is not older can not be accepted', async () => {
  const where = await site()
  const keys = openKeyring({ dir: where.dir, password: PASSWORD })
  expect(await codeOf(keys.acceptOlder(AWARE))).toBe('INVALID_ARGUMENT')
})

test('a backup carries both: from before the change, and from between the two writes', async () => {
  const where = await site()
  const [place, restored] = [join(where.root, 'backups'), join(where.root, 'restored')]
  const owner = await where.open(PASSWORD)
  const { id: before } = await owner.backup(place)
  await where.changePassword()
  const { id: between } = await owner.backup(place)
  await owner.close()
  await restoreStore({ from: place, dir: where.dir, id: before, password: PASSWORD, force: true })
  await (await where.open(PASSWORD)).close()
  await restoreStore({ from: place, dir: restored, id: between, password: NEXT })
  await (await openStore({ dir: restored, password: NEXT, create: false })).close()
})

test('a rotation of the data key is on record with its promotion', async () => {
  const where = await site()
  const owner = await where.open(PASSWORD)
  await owner.rotateDataKey()
  await owner.close()
  const again = await where.open(PASSWORD)
  expect(await again.sql('select generation from main."_keyring"')).toEqual([{ generation: 3 }])
})

/** An archive of a store whose password was changed while it was archived. */
async function archived(): Promise<{ readonly where: Site; readonly archive: string; readonly sequence: number }> {
  const where = await site()
  const archive = join(where.root, 'archive')
  const owner = await where.open(PASSWORD, { archive: { dir: archive, intervalMs: 20 } })
  await owner.kv.set('before', 1)
  const [row] = await owner.sql('select "_sequence" from main."kv" where "_key" = ?', ['before'])
  await where.changePassword()
  await owner.kv.set('after', 2)
  await owner.close()
  return { where, archive, sequence: Number(row?._sequence) }
}

/** As after a crash between shipping the state and shipping the keyring. */
function dropLastKeyring(archive: string): void {
  const keyrings = readdirSync(archive, { recursive: true, encoding: 'utf8' }).filter((name) =>
    /\/keyring\/\d+\b[^/]*\.json$/.test(name),
  )
  const numbers = [...new Set(keyrings.map((name) => /\/keyring\/(\d+)/.exec(name)?.[1] as string))].sort()
  expect(numbers.length).toBeGreaterThan(1)
  for (const name of keyrings) if (name.includes(`/keyring/${numbers.at(-1)}`)) rmSync(join(archive, name))
}

test('a moment of an archive from before the change opens with the keyring of now', async () => {
  const { where, archive, sequence } = await archived()
  const dir = join(where.root, 'restored')
  expect((await restoreArchive({ from: archive, dir, sequence, password: NEXT })).problems).toEqual([])
  const store = await openTestStore(dir, { password: NEXT, create: false })
  onTestFinished(() => store.close())
  expect(store.kv.list().map(({ key }) => key)).toEqual(['before'])
})

test('an archive that lacks the last keyring is restored with the one before, and the audit trail is told', async () => {
  const { where, archive } = await archived()
  dropLastKeyring(archive)
  const dir = join(where.root, 'restored')
  expect((await restoreArchive({ from: archive, dir, password: PASSWORD })).problems).toEqual([])
  const store = await openTestStore(dir, { password: PASSWORD, create: false })
  onTestFinished(() => store.close())
  expect(store.kv.list().map(({ key }) => key)).toEqual(['before', 'after'])
  expect(await eventsOf(store, 'key.older-accepted')).toEqual([{ generation: 1, recordedGeneration: 2 }])
})

test('a standby that lacks the last keyring is promoted with the one before, and the audit trail is told', async () => {
  const { where, archive } = await archived()
  dropLastKeyring(archive)
  const dir = join(where.root, 'standby')
  const standby = await followArchive({ from: archive, dir, pollMs: 20 })
  onTestFinished(() => standby.close())
  await standby.caughtUp(20_000)
  await standby.close()
  const store = await openTestStore(dir, { password: PASSWORD, create: false })
  onTestFinished(() => store.close())
  expect(await eventsOf(store, 'key.older-accepted')).toEqual([{ generation: 1, recordedGeneration: 2 }])
  await store.close()
  expect(await codeOf(openTestStore(dir, { password: PASSWORD, create: false }).then((again) => again.close()))).toBe(
    undefined,
  )
})
