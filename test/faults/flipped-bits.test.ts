/**
 * A bit flips in a file of any kind that a store may have: databases, yearly files of archived trades, blobs of artifacts, files of the
 * session cache, the keyring and its copy, the head of the audit trail. Reading everything back gives what was written or an error that
 * says so, what is not damaged is there, and a check names the file.
 */
import { cpSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { reportFigures, seededRandom, shortOrLong } from './fault-run.ts'
import { codeOf } from './refusal.ts'
import { temporaryDirectory } from './temporary-directory.ts'
import { closedAt, writeRoundTrip } from './traded-year.ts'
import { openTestStore, type TestStore } from './worker-faults.ts'

const LONG_TEST_MS = 1_200_000
const TRADES = 150

/** Kinds of files by their names; `told`: by the check, whatever the bit. */
const KINDS: readonly { readonly name: string; readonly pattern: RegExp; readonly told: boolean }[] = [
  { name: 'keyring', pattern: /^keyring\.json$/, told: true },
  { name: 'copy of the keyring', pattern: /^keyring\.backup\.json$/, told: true },
  { name: 'state.db', pattern: /^state\.db$/, told: true },
  { name: 'market.db', pattern: /^market\.db$/, told: true },
  { name: 'yearly file', pattern: /^archive\/trades-\d+\.db$/, told: true },
  { name: 'blob', pattern: /^blobs\/..\//, told: true },
  { name: 'cache file', pattern: /^cache\//, told: true },
  { name: 'audit head', pattern: /^audit-head\.json$/, told: true },
  { name: 'owner', pattern: /^owner\.json$/, told: false },
]
const OPENING = [undefined, 'STORE_CORRUPT', 'KEYRING_CORRUPT']

async function furnishedStore(dir: string): Promise<void> {
  const store = await openTestStore(dir)
  for (let n = 0; n < 200; n++) void store.kv.set(`k-${n}`, `${n}`.repeat(50))
  for (let n = 0; n < TRADES; n++) {
    void writeRoundTrip(store, n)
  }
  const points = Array.from({ length: 400 }, (_, n) => ({ ts: n, open: 1, high: 2, low: 1, close: n, volume: n }))
  await store.bars.append('X', '1m', points)
  await store.artifacts.put('model', Buffer.from(Array.from({ length: 60_000 }, (_, n) => n * n)))
  await store.skills.save({ name: 'skill', content: 'const a = 1' })
  await store.sessionCache.storeBars('X', points.slice(0, 50))
  await store.archiveTrades({ before: closedAt(120) })
  await store.close()
}

/** Each part by itself, so that damage in one is told apart from the others. */
const READS: Readonly<Record<string, (store: TestStore) => Promise<unknown>>> = {
  kv: async (store) => store.kv.list(),
  trades: (store) => store.trades.list({ orderBy: 'closedAt', includeArchived: true, limit: 1_000 }),
  fills: async (store) => (await store.fills.list({ includeArchived: true, limit: 1_000 })).map(({ id }) => id).sort(),
  bars: async (store) => [...(await store.bars.range('X', '1m')).close],
  artifact: async (store) => Buffer.from(await store.artifacts.get('model').bytes()).toString('base64'),
  skill: async (store) => (await store.skills.get('skill'))?.content,
  cache: (store) => store.sessionCache.getBars('X'),
}

async function readAll(
  store: TestStore,
): Promise<Record<string, { readonly content?: string; readonly code?: string }>> {
  const outcomes: Record<string, { content?: string; code?: string }> = {}
  for (const [name, read] of Object.entries(READS)) {
    let content: string | undefined
    const code = await codeOf(
      read(store).then((found) => {
        content = JSON.stringify(found)
      }),
    )
    outcomes[name] = { ...(content !== undefined && { content }), ...(code !== undefined && { code }) }
  }
  return outcomes
}

test(
  'a flipped bit in any kind of file is an error or makes no difference, and a check names what is damaged',
  async () => {
    const random = seededRandom('flipped bits')
    const root = temporaryDirectory()
    const source = join(root, 'source')
    await furnishedStore(source)
    const whole = await openTestStore(source)
    const right = await readAll(whole)
    expect(Object.values(right).filter(({ code }) => code !== undefined)).toEqual([])
    await whole.close()
    const names = readdirSync(source, { recursive: true, encoding: 'utf8' })
    const figures: string[] = []
    for (const { name: kind, pattern, told } of KINDS) {
      const ofKind = names.filter((name) => pattern.test(name) && statSync(join(source, name)).isFile())
      expect(ofKind.length, kind).toBeGreaterThan(0)
      const counts: Record<string, number> = {}
      for (let flip = 0; flip < shortOrLong(2, 60); flip++) {
        const dir = join(root, 'damaged')
        rmSync(dir, { recursive: true, force: true })
        cpSync(source, dir, { recursive: true })
        const name = random.pick(ofKind)
        const bytes = readFileSync(join(dir, name))
        const offset = random.below(bytes.length)
        bytes[offset] = (bytes[offset] as number) ^ (1 << random.below(8))
        writeFileSync(join(dir, name), bytes)
        const where = `${name}, byte ${offset}`
        let outcome = 'right'
        // Looked at before an owner has put right what it can.
        let findings = 0
        const code = await codeOf(
          openTestStore(dir, { readOnly: true }).then(async (store) => {
            findings = (await store.check()).length
            await store.close()
          }),
        )
        expect(OPENING, where).toContain(code)
        const opening = await codeOf(
          openTestStore(dir).then(async (store) => {
            for (const [part, { content, code: refused }] of Object.entries(await readAll(store))) {
              if (refused !== undefined) outcome = refused
              else expect(content, `${part} after ${where}`).toBe(right[part]?.content)
            }
            await store.close()
          }),
        )
        expect(OPENING, where).toContain(opening)
        if (told && code === undefined) expect(findings, where).toBeGreaterThan(0)
        const said = opening ?? outcome
        counts[said] = (counts[said] ?? 0) + 1
      }
      figures.push(`${kind}: ${Object.entries(counts).map(([said, count]) => `${count} ${said}`)}`)
    }
    reportFigures(`flipped bits\n  ${figures.join('\n  ')}`)
  },
  LONG_TEST_MS,
)
