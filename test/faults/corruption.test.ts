/**
 * Single bytes go bad, anywhere in any file. Opening and reading everything back gives an error that says so, or exactly
 * the right data: never wrong data, and never less of it in silence.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { serializeKeyring } from '../../src/crypto/keyring.ts'
import { KEYRING_BACKUP_FILE, KEYRING_FILE, readKeyring } from '../../src/crypto/keyring-file.ts'
import { carryOut } from './carry-out.ts'
import { ChildProgram } from './child-program.ts'
import { DatabaseUnderDamage, type Outcome, withFlippedByte } from './damaged-files.ts'
import { digestOf } from './expected-content.ts'
import { isLongRun, reportFigures, seed, seededRandom, shortOrLong } from './fault-run.ts'
import type { WriterArguments } from './programs/writer.ts'
import { codeOf } from './refusal.ts'
import { storedContent } from './stored-content.ts'
import { temporaryDirectory } from './temporary-directory.ts'
import { openTestStore } from './worker-faults.ts'
import { type Step, workload } from './workload.ts'

const LONG_TEST_MS = 1_800_000

/** A store that was filled and closed. */
async function closedStore(): Promise<string> {
  const dir = join(temporaryDirectory(), 'store')
  const store = await openTestStore(dir)
  const steps = workload({ seed: `${seed}/corruption`, round: 1, guarded: false })
  for (let n = 0; n < 300; n++) await carryOut(store, steps.next().value as Step).catch(() => undefined)
  await store.close()
  return dir
}

/** A store whose owner was killed: its last commits are in the write-ahead log only. */
async function killedStore(commits: number): Promise<string> {
  const dir = join(temporaryDirectory(), 'store')
  await (await openTestStore(dir)).close()
  const given: WriterArguments = {
    dir,
    seed: `${seed}/corruption`,
    round: 1,
    guarded: false,
    migrations: null,
    steps: 1_000_000,
  }
  const program = ChildProgram.start('writer', {
    arguments: given,
    environment: { HOLDFAST_FAILPOINT: `commit:after-commit=kill@${commits}` },
  })
  expect((await program.ended).signal, program.errorText).toBe('SIGKILL')
  return dir
}

function tally(outcomes: ReadonlyMap<string, number>): string {
  return [...outcomes].map(([name, count]) => `${name} ${count}`).join(', ')
}

test.each([
  ['state', shortOrLong(100, 3_500)],
  ['market', shortOrLong(40, 1_500)],
] as const)(
  'a damaged byte in %s.db is an error or makes no difference, and the check finds it',
  async (file, cases) => {
    const random = seededRandom(`corrupt ${file}.db`)
    const database = await DatabaseUnderDamage.of(await closedStore(), file)
    const original = database.original('')
    const right = await database.readWith('', original)
    expect(right).toHaveProperty('read')
    expect(await database.countFindings()).toBe(0)
    const outcomes = new Map<string, number>()
    for (let n = 0; n < cases; n++) {
      const offset = random.below(original.length)
      const outcome = await database.readWith('', withFlippedByte(original, offset, random))
      const name = 'refused' in outcome ? outcome.refused : 'right data'
      if ('read' in outcome) expect(outcome, `offset ${offset}`).toEqual(right)
      expect(['STORE_CORRUPT', 'right data'], `offset ${offset}`).toContain(name)
      expect(await database.countFindings(), `offset ${offset}`).toBeGreaterThan(0)
      outcomes.set(name, (outcomes.get(name) ?? 0) + 1)
    }
    reportFigures(`${file}.db of ${original.length} bytes, ${cases} damaged bytes: ${tally(outcomes)}`)
  },
  LONG_TEST_MS,
)

test(
  'a damaged byte in the write-ahead log never brings wrong data, nor an older state but for the last commit',
  async () => {
    const random = seededRandom('corrupt wal')
    const cases = shortOrLong(110, 3_500)
    const database = await DatabaseUnderDamage.of(await killedStore(18), 'state')
    const original = withoutPreallocated(database.original('-wal'))
    const right = (await database.readWith('-wal', original)) as { readonly read: string }
    const states = await statesOfCommits(database, original)
    expect(states.at(-1)).toBe(right.read)
    const outcomes = new Map<string, number>()
    for (let n = 0; n < cases; n++) {
      const offset = random.below(original.length)
      const outcome = await database.readWith('-wal', withFlippedByte(original, offset, random))
      const name = nameOutcome(outcome, states)
      expect(
        ['STORE_CORRUPT', 'right data', 'last commit missing'],
        `offset ${offset} of ${original.length}`,
      ).toContain(name)
      outcomes.set(name, (outcomes.get(name) ?? 0) + 1)
    }
    reportFigures(`state.db-wal with ${states.length - 1} commits, ${cases} damaged bytes: ${tally(outcomes)}`)
  },
  LONG_TEST_MS,
)

function nameOutcome(outcome: Outcome, states: readonly string[]): string {
  if ('refused' in outcome) return outcome.refused
  const commits = states.lastIndexOf(outcome.read)
  if (commits === states.length - 1) return 'right data'
  if (commits === states.length - 2) return 'last commit missing'
  return commits === -1 ? 'wrong data' : 'older state'
}

const WAL_HEADER_BYTES = 32
const FRAME_BYTES = 24 + 4_096

function* frames(wal: Buffer): Generator<{ readonly end: number; readonly isCommit: boolean }> {
  const salt = wal.subarray(16, 24)
  for (let offset = WAL_HEADER_BYTES; offset + FRAME_BYTES <= wal.length; offset += FRAME_BYTES) {
    if (!salt.equals(wal.subarray(offset + 8, offset + 16))) return
    yield { end: offset + FRAME_BYTES, isCommit: wal.readUInt32BE(offset + 4) !== 0 }
  }
}

/** The log up to its last frame; the space behind it is for later ones. */
function withoutPreallocated(wal: Buffer): Buffer {
  return wal.subarray(0, [...frames(wal)].at(-1)?.end ?? WAL_HEADER_BYTES)
}

/** What is read after each commit in the log, from none to all. */
async function statesOfCommits(database: DatabaseUnderDamage, wal: Buffer): Promise<string[]> {
  const ends = [WAL_HEADER_BYTES, ...[...frames(wal)].filter((frame) => frame.isCommit).map((frame) => frame.end)]
  const states: string[] = []
  for (const end of ends) {
    const outcome = await database.readWith('-wal', wal.subarray(0, end))
    if ('refused' in outcome) throw new Error(`a log of ${end} bytes is refused: ${outcome.refused}`)
    states.push(outcome.read)
  }
  return states
}

test(
  'a damaged byte in one copy of the keyring makes no difference, in both it is an error or none',
  async () => {
    const random = seededRandom('corrupt keyring')
    const cases = shortOrLong(40, 1_500)
    const source = await closedStore()
    const dir = join(temporaryDirectory(), 'keyrings')
    mkdirSync(dir)
    const copies = [KEYRING_FILE, KEYRING_BACKUP_FILE]
    const original = readFileSync(join(source, KEYRING_FILE))
    const right = (await readKeyring(source))?.keyring
    if (right === undefined) throw new Error('the store has no keyring')
    const outcomes = new Map<string, number>()
    for (let n = 0; n < cases; n++) {
      const damaged = random.pick([[KEYRING_FILE], [KEYRING_BACKUP_FILE], copies])
      for (const name of copies) {
        const bytes = damaged.includes(name)
          ? withFlippedByte(original, random.below(original.length), random)
          : original
        writeFileSync(join(dir, name), bytes)
      }
      let name = 'right keyring'
      const code = await codeOf(
        readKeyring(dir).then((found) => {
          expect(found && serializeKeyring(found.keyring)).toBe(serializeKeyring(right))
        }),
      )
      if (code !== undefined) name = code
      expect(damaged.length === 1 ? ['right keyring'] : ['right keyring', 'KEYRING_CORRUPT', 'NOT_A_STORE']).toContain(
        name,
      )
      outcomes.set(name, (outcomes.get(name) ?? 0) + 1)
    }
    reportFigures(`keyring.json of ${original.length} bytes, ${cases} damaged: ${tally(outcomes)}`)
  },
  LONG_TEST_MS,
)

test(
  'a store with a damaged byte in any of its files opens with all its data or says what is wrong',
  async () => {
    const random = seededRandom('corrupt any file')
    const cases = shortOrLong(4, 120)
    const sources = [await closedStore(), await killedStore(12)]
    const right: string[] = []
    const outcomes = new Map<string, number>()
    for (let n = -sources.length; n < cases; n++) {
      const which = n < 0 ? n + sources.length : random.below(sources.length)
      const source = sources[which] as string
      const dir = join(temporaryDirectory(), 'copy')
      cpSync(source, dir, { recursive: true })
      const names = [
        'keyring.json',
        'keyring.backup.json',
        'state.db',
        'state.db-wal',
        'market.db',
        'market.db-wal',
        'owner.json',
      ]
      const present = names.filter((name) => existsSync(join(dir, name)))
      const file = random.pick(present)
      const bytes = readFileSync(join(dir, file))
      const offset = random.below(bytes.length)
      if (n >= 0 && bytes.length > 0) writeFileSync(join(dir, file), withFlippedByte(bytes, offset, random))
      const code = await codeOf(
        openTestStore(dir).then(async (store) => {
          try {
            const state = digestOf(await storedContent(store, 'state'))
            const found = `${state} ${digestOf(await storedContent(store, 'market'))}`
            if (n < 0) right.push(found)
            else if (!file.endsWith('-wal')) expect(found, `${file} at ${offset}`).toBe(right[which])
          } finally {
            await store.close()
          }
        }),
      )
      expect([undefined, 'STORE_CORRUPT', 'KEYRING_CORRUPT'], `${file} at ${offset}`).toContain(code)
      if (n < 0) continue
      const name = `${file}: ${code ?? 'right data'}`
      outcomes.set(name, (outcomes.get(name) ?? 0) + 1)
    }
    reportFigures(`whole stores, ${cases} damaged bytes: ${tally(outcomes)}`)
    if (isLongRun) expect(outcomes.size).toBeGreaterThan(5)
  },
  LONG_TEST_MS,
)
