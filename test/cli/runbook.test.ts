/** The run book: the steps of docs/operations.md, docs/backup.md and docs/keys.md as an operator types them. */
import { spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { openStore } from '../../src/index.ts'
import { type CommandRun, PASSWORD, runCommand } from './run-command.ts'
import { fill, makeStore, order, temporaryDirectory } from './test-store.ts'

const NEXT = 'another horse, another battery, another staple'
const MINUTE_MS = 60_000
const JUMPING_CLOCK = fileURLToPath(new URL('../faults/jumping-clock.cjs', import.meta.url))
const MODEL = randomBytes(1_500_000)

const hash = (bytes: NodeJS.ArrayBufferView | string) => createHash('sha256').update(bytes).digest('hex')

const original = await makeStore(async (store) => {
  await store.orders.insertMany(Array.from({ length: 200 }, (_, index) => order(index)))
  await store.fills.insertMany(Array.from({ length: 2_000 }, (_, index) => fill(index, `o-${index % 200}`)))
  await store.bars.append(
    'BTC/USDT',
    '1m',
    Array.from({ length: 5_000 }, (_, index) => ({
      ts: 1_700_000_040_000 + index * MINUTE_MS,
      open: 46_000 + index,
      high: 46_002.5 + index,
      low: 45_999.1 + index,
      close: 46_001 + index,
      volume: index / 7,
    })),
  )
  await store.skills.save({ name: 'fade', kind: 'code', content: 'export const fade = 1', tags: ['live'] })
  await store.artifacts.put('model', MODEL, { tags: ['production'] })
})
const content = await contentOf(original)

/** A closed store of its own, and the place for its backups; commands run as in the guides, with both in the environment. */
class Site {
  readonly root = temporaryDirectory()
  readonly dir = join(this.root, 'state')
  readonly backups = join(this.root, 'backups')

  constructor() {
    cpSync(original, this.dir, { recursive: true })
  }

  async run(command: string, env: Readonly<Record<string, string>> = {}): Promise<CommandRun> {
    return await runCommand({ args: command.split(' '), env: { HOLDFAST_DIR: this.dir, ...env } })
  }

  /** @returns what it printed, once it has ended with 0 */
  async succeed(command: string, env: Readonly<Record<string, string>> = {}): Promise<string> {
    const { exitCode, stdout, stderr } = await this.run(command, env)
    expect(exitCode, `${command}: ${stderr}`).toBe(0)
    return stdout
  }

  async expectClean(dir = this.dir): Promise<void> {
    expect(await this.succeed(`check --dir ${dir}`)).toBe('No problem found.\n')
  }
}

/** All of it; what is large as its SHA-256. */
async function contentOf(dir: string, password = PASSWORD) {
  const store = await openStore({ dir, password, create: false })
  try {
    const bars = await store.bars.range('BTC/USDT', '1m')
    return {
      orders: await store.sql('select * from orders order by id'),
      fills: hash(JSON.stringify(await store.sql('select * from fills order by id'))),
      fillCount: await store.fills.count(),
      bars: [bars.ts, bars.open, bars.high, bars.low, bars.close, bars.volume].map(hash),
      barCount: bars.ts.length,
      skill: await store.skills.get('fade'),
      model: hash(await store.artifacts.get('model', 'production').bytes()),
    }
  } finally {
    await store.close()
  }
}

/** By default one behind the middle, among the fills, which nothing reads while the store is opened. */
function damagePage(path: string, part = 0.7): void {
  const bytes = readFileSync(path)
  const at = Math.floor(bytes.length * part)
  for (let index = at; index < at + 16; index++) bytes[index] = (bytes[index] as number) ^ 0xff
  writeFileSync(path, bytes)
}

/** For the environment of a command. */
function clockAhead({ root }: Site, aheadMs: number): Readonly<Record<string, string>> {
  const path = join(root, 'ahead-ms')
  writeFileSync(path, `${aheadMs}`)
  return { HOLDFAST_TEST_CLOCK: path, NODE_OPTIONS: `--require=${JUMPING_CLOCK}` }
}

const replacedDirectory = (site: Site) =>
  join(site.root, readdirSync(site.root).find((name) => name.startsWith('state.replaced-')) as string)

test('the content that everything here is compared with is all there', () => {
  expect(content.orders).toHaveLength(200)
  expect(content.fillCount).toBe(2_000)
  expect(content.barCount).toBe(5_000)
  expect(content.skill?.content).toBe('export const fade = 1')
  expect(content.model).toBe(hash(MODEL))
})

test('a corrupt page: check names the file, and exits with 11', async () => {
  const site = new Site()
  damagePage(join(site.dir, 'state.db'))
  const { exitCode, stdout, stderr } = await site.run('check')
  expect(stdout, stderr).toMatch(/^error: state\.db: .*\(PAGE_DAMAGED\)/m)
  expect(exitCode).toBe(11)
})

test('a corrupt page that opening needs: check names the file, and exits with 7', async () => {
  const site = new Site()
  damagePage(join(site.dir, 'state.db'), 0)
  const { exitCode, stderr } = await site.run('check')
  expect(stderr).toContain(join(site.dir, 'state.db'))
  expect(stderr).toContain('(STORE_CORRUPT)')
  expect(exitCode).toBe(7)
})

test('a corrupt page: a restore over the store brings back all that was backed up', async () => {
  const site = new Site()
  await site.succeed(`backup --to ${site.backups} --keep-daily 7 --keep-weekly 4 --keep-monthly 12`)
  damagePage(join(site.dir, 'state.db'))
  expect(await site.succeed(`backup verify --from ${site.backups}`)).toContain('is whole, and made by this store')
  await site.succeed(`restore --from ${site.backups} --dir ${site.dir} --force`)
  await site.expectClean()
  expect(await contentOf(site.dir)).toEqual(content)
})

test('a corrupt page: the restore keeps the damaged store aside, as it was', async () => {
  const site = new Site()
  await site.succeed(`backup --to ${site.backups}`)
  damagePage(join(site.dir, 'state.db'))
  const damaged = readFileSync(join(site.dir, 'state.db'))
  const told = await site.succeed(`restore --from ${site.backups} --dir ${site.dir} --force`)
  expect(told).toContain(replacedDirectory(site))
  expect(readFileSync(join(replacedDirectory(site), 'state.db')).equals(damaged)).toBe(true)
})

test('a damaged chunk of an artifact: the file of a restored backup, copied to its place, heals it', async () => {
  const site = new Site()
  await site.succeed(`backup --to ${site.backups}`)
  const chunks = readdirSync(join(site.dir, 'blobs'), { recursive: true, withFileTypes: true })
  const chunk = chunks.find((entry) => entry.isFile())
  const path = join(chunk?.parentPath as string, chunk?.name as string)
  damagePage(path)
  const found = await site.run('check --json')
  expect(found.exitCode).toBe(11)
  const { findings } = JSON.parse(found.stdout)
  expect(findings).toMatchObject([{ code: 'BLOB_DAMAGED' }])
  const file = (findings[0].subject as string).replace(`${site.dir}/`, '')
  await site.succeed(`restore --from ${site.backups} --dir ${site.root}/restored`)
  copyFileSync(join(site.root, 'restored', file), join(site.dir, file))
  await site.expectClean()
})

test('both copies of the keyring lost: one from a backup opens the store again', async () => {
  const site = new Site()
  const kept = join(site.root, 'keyring.json')
  copyFileSync(join(site.dir, 'keyring.json'), kept)
  for (const name of ['keyring.json', 'keyring.backup.json']) rmSync(join(site.dir, name))
  expect((await site.run('status')).exitCode).toBe(7)
  copyFileSync(kept, join(site.dir, 'keyring.json'))
  expect(await contentOf(site.dir)).toEqual(content)
})

test('a leaked password: rotated, the new one opens and the old one is refused', async () => {
  const site = new Site()
  await site.succeed('key rotate-password', { HOLDFAST_NEW_PASSWORD: NEXT })
  expect((await site.run('status')).exitCode).toBe(5)
  expect(await contentOf(site.dir, NEXT)).toEqual(content)
})

test('a leaked password: with a keyring of before it opens the store until the data key is rotated', async () => {
  const site = new Site()
  const [stolen, dir] = [join(site.root, 'stolen.json'), join(site.root, 'thief')]
  copyFileSync(join(site.dir, 'keyring.json'), stolen)
  const opensWithStolen = async () => {
    rmSync(dir, { recursive: true, force: true })
    cpSync(site.dir, dir, { recursive: true })
    for (const name of ['keyring.json', 'keyring.backup.json']) copyFileSync(stolen, join(dir, name))
    return (await site.run(`get orders o-0 --dir ${dir}`)).exitCode
  }
  await site.succeed('key rotate-password', { HOLDFAST_NEW_PASSWORD: NEXT })
  expect(await opensWithStolen()).toBe(0)
  await site.succeed('key rotate-data', { HOLDFAST_PASSWORD: NEXT })
  expect(await opensWithStolen()).toBe(7)
})

test('a new data key: the store is whole, and holds what it held', async () => {
  const site = new Site()
  const before = readFileSync(join(site.dir, 'state.db'))
  expect(await site.succeed('key rotate-data')).toContain('and verified them')
  expect(readFileSync(join(site.dir, 'state.db')).equals(before)).toBe(false)
  await site.expectClean()
  expect(await contentOf(site.dir)).toEqual(content)
})

test('a lost password: the recovery key opens the store, and another password takes the place of the lost one', async () => {
  const site = new Site()
  const recovery = (await site.succeed('key recovery')).trimEnd()
  const { slots } = JSON.parse(await site.succeed('key list --json')) as { slots: { id: string; kind: string }[] }
  const lost = slots.find(({ kind }) => kind === 'password')?.id
  const env = { HOLDFAST_PASSWORD: recovery, HOLDFAST_NEW_PASSWORD: NEXT }
  await site.succeed(`key rotate-password --slot ${lost}`, env)
  expect(await contentOf(site.dir, NEXT)).toEqual(content)
  expect((await site.run('status')).exitCode).toBe(5)
})

test('an expired key: check names each, and is content once they were replaced', async () => {
  const site = new Site()
  const inAYear = clockAhead(site, 365 * 86_400_000)
  const { exitCode, stdout } = await site.run('check --max-age 90d --json', inAYear)
  expect(exitCode).toBe(11)
  const { findings } = JSON.parse(stdout) as { findings: { code: string; subject: string }[] }
  expect(findings).toMatchObject([
    { code: 'KEY_OVERDUE', subject: 'data key' },
    { code: 'KEY_OVERDUE', subject: expect.stringMatching(/^keyslot [0-9a-f]{16} /) },
  ])
  const slot = findings[1]?.subject.split(' ')[1]
  await site.succeed(`key rotate-password --slot ${slot}`, { ...inAYear, HOLDFAST_NEW_PASSWORD: NEXT })
  await site.succeed('key rotate-data', { ...inAYear, HOLDFAST_PASSWORD: NEXT })
  const env = { ...inAYear, HOLDFAST_PASSWORD: NEXT }
  expect(await site.succeed('check --max-age 90d', env)).toBe('No problem found.\n')
  expect(await contentOf(site.dir, NEXT)).toEqual(content)
})

test('the log damaged in the middle: check names it, the owner is refused, and without it the state of before is whole', async () => {
  const site = new Site()
  const killed = join(site.root, 'killed')
  const store = await openStore({ dir: site.dir, password: PASSWORD, create: false })
  await store.checkpoint()
  for (let n = 0; n < 30; n++) await store.kv.set(`late-${n}`, 'x'.repeat(500))
  // Another process copies: closing a file that SQLite has open would drop its locks here.
  spawnSync('cp', ['-r', site.dir, killed])
  await store.close()
  const log = join(killed, 'state.db-wal')
  damagePage(log, 0.1)
  const env = { HOLDFAST_DIR: killed }
  const checked = await site.run('check', env)
  expect(checked.stdout).toMatch(/^error: state\.db-wal: .*\(LOG_DAMAGED\)/m)
  expect(checked.exitCode).toBe(11)
  const refused = await site.run('maintain', env)
  expect(refused.stderr).toContain('state.db-wal is damaged in the middle')
  expect(refused.exitCode).toBe(7)
  renameSync(log, join(site.root, 'state.db-wal.damaged'))
  await site.expectClean(killed)
  expect(await contentOf(killed)).toEqual(content)
})

test('a keyring taken back: refused on every way in, and the newer one put back heals it', async () => {
  const site = new Site()
  const [before, now] = [join(site.root, 'before'), join(site.root, 'now')]
  const copies = ['keyring.json', 'keyring.backup.json']
  const copy = (from: string, to: string) => {
    for (const name of copies) cpSync(join(from, name), join(to, name))
  }
  copy(site.dir, before)
  await site.succeed('key rotate-password', { HOLDFAST_NEW_PASSWORD: NEXT })
  await site.succeed('maintain', { HOLDFAST_PASSWORD: NEXT })
  copy(site.dir, now)
  copy(before, site.dir)
  for (const command of ['status', 'check', 'maintain', 'key recovery']) {
    const { exitCode, stderr } = await site.run(command)
    expect(stderr, command).toContain('(KEYRING_OUTDATED)')
    expect(exitCode, command).toBe(7)
  }
  copy(now, site.dir)
  expect(await contentOf(site.dir, NEXT)).toEqual(content)
})

test('both copies of the keyring lost, and only an older one kept: it opens the store once it was accepted', async () => {
  const site = new Site()
  const kept = join(site.root, 'keyring.json')
  copyFileSync(join(site.dir, 'keyring.json'), kept)
  await site.succeed('key rotate-password', { HOLDFAST_NEW_PASSWORD: NEXT })
  await site.succeed('maintain', { HOLDFAST_PASSWORD: NEXT })
  for (const name of ['keyring.json', 'keyring.backup.json']) rmSync(join(site.dir, name))
  copyFileSync(kept, join(site.dir, 'keyring.json'))
  expect((await site.run('status')).exitCode).toBe(7)
  expect((await site.run('key accept-older')).exitCode).toBe(2)
  await site.succeed('key accept-older --yes-its-passwords-may-open-the-store')
  expect(await contentOf(site.dir)).toEqual(content)
  expect(await site.succeed('audit list --event key.older-accepted --json')).toContain('"acceptedGeneration":1')
  await site.expectClean()
})

test('another host: a copy of the closed directory is a whole store there', async () => {
  const site = new Site()
  const there = join(temporaryDirectory(), 'srv', 'bot', 'state')
  mkdirSync(dirname(there), { recursive: true })
  cpSync(site.dir, there, { recursive: true })
  renameSync(site.dir, `${site.dir}.old`)
  await site.expectClean(there)
  expect(await contentOf(there)).toEqual(content)
})

test('another host: one file from the old one, restored on the new one', async () => {
  const site = new Site()
  const there = temporaryDirectory()
  const archive = join(site.root, 'holdfast.tar')
  await site.succeed(`backup --to ${archive}`)
  copyFileSync(archive, join(there, basename(archive)))
  await site.succeed(`restore --from ${there}/holdfast.tar --dir ${there}/state`)
  await site.expectClean(join(there, 'state'))
  expect(await contentOf(join(there, 'state'))).toEqual(content)
})
