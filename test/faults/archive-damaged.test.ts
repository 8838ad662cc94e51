/**
 * What becomes of an archive that is damaged anywhere: each kind of file in it, flipped and cut. A restore gives what
 * was, or what was up to a point that it names, or refuses with a code and leaves nothing.
 */
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { isStoreError, restoreArchive } from './compiled-store.ts'
import { reportFigures, seededRandom, shortOrLong } from './fault-run.ts'
import type { Random } from './random.ts'
import { PASSWORD } from './store-settings.ts'
import { temporaryDirectory } from './temporary-directory.ts'
import { openTestStore, type TestStore } from './worker-faults.ts'

vi.setConfig({ testTimeout: 600_000 })

const WRITES = 12

async function shipped(store: TestStore): Promise<void> {
  await vi.waitFor(
    async () => expect((await store.status()).archive).toMatchObject({ generation: expect.any(String), lagBytes: 0 }),
    { timeout: 20_000, interval: 10 },
  )
}

/** A store with two passwords in its life and some segments of each database. */
async function madeArchive(root: string): Promise<string> {
  const archiveDir = join(root, 'archive')
  const store = await openTestStore(join(root, 'store'), { archive: { dir: archiveDir, intervalMs: 20 } })
  onTestFinished(() => store.close())
  await shipped(store)
  for (let n = 1; n <= WRITES; n++) {
    await store.kv.set('n', n)
    await store.kv.set(`k-${n}`, 'x'.repeat(500))
    await store.tickRows.put({ id: `t-${n}`, symbol: 'BTC/USDT', at: n, price: '1' })
    if (n % 4 === 0) await shipped(store)
    if (n === 4) await store.artifacts.put('model', Buffer.from('weights of a model'))
    if (n === 8) await store.keys.add('another password for the store')
  }
  await store.close()
  return archiveDir
}

type Damage = (bytes: Buffer, random: Random) => Buffer

const DAMAGES: Readonly<Record<string, Damage>> = {
  flipped: (bytes, random) => {
    const at = random.below(bytes.length)
    bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8))
    return bytes
  },
  cut: (bytes, random) => bytes.subarray(0, random.below(bytes.length)),
  emptied: () => Buffer.alloc(0),
  lengthened: (bytes, random) => Buffer.concat([bytes, Buffer.from(random.text(random.between(1, 5_000)))]),
}

/** The codes of a refusal: never a wrong answer, never an error that nobody foresaw. */
const REFUSALS = new Set([
  'ARCHIVE_DAMAGED',
  'BACKUP_NOT_FOUND',
  'KEYRING_CORRUPT',
  'STORE_FROM_FUTURE',
  'WRONG_PASSWORD',
])

async function outcomeOf(archiveDir: string, into: string): Promise<'whole' | 'named' | string> {
  let problems: readonly string[]
  let missingFiles: readonly string[]
  try {
    ;({ problems, missingFiles } = await restoreArchive({ from: archiveDir, dir: into, password: PASSWORD }))
  } catch (error) {
    expect(existsSync(into), 'nothing is left of a refused restore').toBe(false)
    if (!isStoreError(error)) throw error
    expect([...REFUSALS]).toContain(error.code)
    return error.code
  }
  const store = await openTestStore(into, { readOnly: true })
  try {
    const found = Number(store.kv.value('n') ?? 0)
    if (problems.length === 0) expect(found).toBe(WRITES)
    // What comes before a damage is a state that was.
    const own = store.kv.list().filter(({ key }) => key.startsWith('k-'))
    expect([found - 1, found]).toContain(own.length)
    const [row] = await store.sql('select count(*) "n" from ticks', [], { file: 'market' })
    expect(Number(row?.n)).toBeLessThanOrEqual(WRITES)
    const { damage } = await store.artifacts.verify()
    expect(damage.map(({ file, problem }) => [file, problem])).toEqual(missingFiles.map((file) => [file, 'missing']))
    return problems.length === 0 ? 'whole' : 'named'
  } finally {
    await store.close()
  }
}

const KINDS: Readonly<Record<string, RegExp>> = {
  'base of state': /\/base\/state\.db$/,
  'base of market': /\/base\/market\.db$/,
  head: /\/head\.json$/,
  manifest: /\/manifest\.json$/,
  keyring: /\/keyring\/\d+(\.copy)?\.json$/,
  'list of files': /\/files\/\d+\.json$/,
  'chunk of an artifact': /^archive-files\/blobs\//,
  'segment of state': /\/state\/\d+\.segment$/,
  'segment of market': /\/market\/\d+\.segment$/,
}

test('each kind of file in an archive, flipped, cut, emptied or lengthened, gives what was or is refused with a code', async () => {
  const root = temporaryDirectory()
  const archiveDir = await madeArchive(root)
  const random = seededRandom('archive damage')
  const names = readdirSync(archiveDir, { recursive: true, encoding: 'utf8' }).filter((name) =>
    statSync(join(archiveDir, name)).isFile(),
  )
  const figures: string[] = []
  let number = 0
  for (const [kind, pattern] of Object.entries(KINDS)) {
    const ofKind = names.filter((name) => pattern.test(name))
    expect(ofKind.length, kind).toBeGreaterThan(0)
    const counts = new Map<string, number>()
    const { flipped, ...others } = DAMAGES
    const chosen = random.shuffle(Object.entries(others)).slice(0, shortOrLong(1, 3))
    for (const [how, damage] of [['flipped', flipped as Damage] as const, ...chosen]) {
      for (let round = 0; round < shortOrLong(1, how === 'flipped' ? 40 : 8); round++) {
        const path = join(archiveDir, random.pick(ofKind))
        const before = readFileSync(path)
        writeFileSync(path, damage(Buffer.from(before), random))
        number += 1
        const into = join(root, `restored-${number}`)
        const outcome = await outcomeOf(archiveDir, into).catch((error: unknown) => {
          throw new Error(`${kind}, ${how}: ${path}`, { cause: error })
        })
        rmSync(into, { recursive: true, force: true })
        writeFileSync(path, before)
        counts.set(outcome, (counts.get(outcome) ?? 0) + 1)
      }
    }
    figures.push(`${kind}: ${[...counts].map(([outcome, count]) => `${count} ${outcome}`).join(', ')}`)
  }
  reportFigures(`damaged archives\n  ${figures.join('\n  ')}`)
  expect(await outcomeOf(archiveDir, join(root, 'restored-last'))).toBe('whole')
})

test('an archive in which files of the same kind have changed places is told', async () => {
  const root = temporaryDirectory()
  const archiveDir = await madeArchive(root)
  const names = readdirSync(archiveDir, { recursive: true, encoding: 'utf8' })
  for (const pattern of [KINDS['segment of state'], KINDS['segment of market']] as RegExp[]) {
    const [first = '', second = ''] = names.filter((name) => pattern.test(name)).sort()
    const paths = [join(archiveDir, first), join(archiveDir, second)] as const
    const [one, two] = paths.map((path) => readFileSync(path)) as [Buffer, Buffer]
    writeFileSync(paths[0], two)
    writeFileSync(paths[1], one)
    expect(await outcomeOf(archiveDir, join(root, 'swapped'))).not.toBe('whole')
    rmSync(join(root, 'swapped'), { recursive: true, force: true })
    writeFileSync(paths[0], one)
    writeFileSync(paths[1], two)
  }
})

test('a damaged copy of the newest keyring is named, and the other one is used', async () => {
  const root = temporaryDirectory()
  const archiveDir = await madeArchive(root)
  const copies = readdirSync(archiveDir, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\/keyring\//.test(name) && name.endsWith('.json'))
    .sort()
  expect(copies.map((name) => name.slice(-20).replace(/^[^\d]*/, ''))).toEqual([
    '0000000001.copy.json',
    '0000000001.json',
    '0000000002.copy.json',
    '0000000002.json',
  ])
  const random = seededRandom('damaged keyrings')
  const restore = async (damaged: readonly string[], password: string) => {
    const before = damaged.map((name) => readFileSync(join(archiveDir, name)))
    for (const [n, name] of damaged.entries()) {
      writeFileSync(join(archiveDir, name), (DAMAGES.flipped as Damage)(Buffer.from(before[n] as Buffer), random))
    }
    const dir = join(root, 'restored')
    try {
      const { problems } = await restoreArchive({ from: archiveDir, dir, password })
      const store = await openTestStore(dir, { readOnly: true, password })
      expect(store.kv.value('n')).toBe(WRITES)
      await store.close()
      return problems
    } finally {
      rmSync(dir, { recursive: true, force: true })
      for (const [n, name] of damaged.entries()) writeFileSync(join(archiveDir, name), before[n] as Buffer)
    }
  }
  const added = 'another password for the store'
  for (const newest of [copies[2], copies[3]] as string[]) {
    const problems = await restore([newest], added)
    // The first copy is looked at first; as long as it is whole nobody misses the other one.
    expect(problems.join()).toBe(newest.endsWith('.copy.json') ? '' : `${newest} is damaged.`)
  }
  const both = await restore([copies[2], copies[3]] as string[], PASSWORD)
  expect(both.join()).toMatch(/0000000002\.json is damaged.*0000000002\.copy\.json is damaged/)
})
