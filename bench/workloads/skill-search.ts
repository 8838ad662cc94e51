import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import Database from 'better-sqlite3-multiple-ciphers'
import { openHoldfast } from '../contenders/holdfast.ts'
import { DURABLE_PRAGMAS } from '../contenders/sql-schema.ts'
import type { Metrics } from '../job.ts'
import { summarizeLatencies } from '../measure/percentiles.ts'
import type { WorkloadContext } from './workload.ts'

const SKILLS = 10_000
const WORDS_EACH = 120
const VOCABULARY = 8_000
const SAVED_AT_ONCE = 250
const SEARCHES = 2_000
const WARM_UP = 200
const LIMIT = 20
const TAGS = ['live', 'paper', 'btc', 'eth', 'draft']

interface BenchSkill {
  readonly name: string
  readonly kind: string
  readonly description: string
  readonly content: string
  readonly tags: string[]
}

/** Words by Zipf's law, as texts have them: the most frequent ones are in most skills, most are in a few. */
class Vocabulary {
  #state = 42
  readonly #weights: Float64Array

  constructor() {
    let sum = 0
    this.#weights = Float64Array.from({ length: VOCABULARY }, (_, rank) => {
      sum += 1 / (rank + 3)
      return sum
    })
  }

  random(): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0
    return this.#state / 2 ** 32
  }

  word(): string {
    const target = this.random() * (this.#weights.at(-1) as number)
    let low = 0
    let high = VOCABULARY - 1
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#weights[middle] as number) < target) low = middle + 1
      else high = middle
    }
    return wordOf(low)
  }

  text(words: number): string {
    return Array.from({ length: words }, () => this.word()).join(' ')
  }

  pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.random() * from.length)] as T
  }
}

function wordOf(rank: number): string {
  return `${'bcdfghklmnprstvz'[rank % 16]}${'aeiou'[Math.floor(rank / 16) % 5]}${rank.toString(36)}`
}

function skillsOf(vocabulary: Vocabulary): BenchSkill[] {
  return Array.from({ length: SKILLS }, (_, n) => ({
    name: `skill-${n} ${vocabulary.word()}`,
    kind: 'code',
    description: vocabulary.text(10),
    content: vocabulary.text(WORDS_EACH),
    tags: [vocabulary.pick(TAGS)],
  }))
}

/** A word, two, a phrase, the beginning of a word, with and without a filter. */
function queriesOf(vocabulary: Vocabulary): { readonly text: string; readonly tags: string[] }[] {
  const kinds = [
    () => vocabulary.word(),
    () => vocabulary.text(2),
    () => vocabulary.text(3),
    () => `"${vocabulary.text(2)}"`,
    () => `${vocabulary.word().slice(0, 3)}*`,
    () => `${vocabulary.word()} ${vocabulary.word().slice(0, 3)}*`,
  ]
  return Array.from({ length: SEARCHES + WARM_UP }, (_, n) => ({
    text: (kinds[n % kinds.length] as () => string)(),
    tags: n % 4 === 0 ? [vocabulary.pick(TAGS)] : [],
  }))
}

export async function run({ job }: WorkloadContext): Promise<Metrics> {
  const vocabulary = new Vocabulary()
  const skills = skillsOf(vocabulary)
  const queries = queriesOf(vocabulary)
  if (job.contender === 'bs3mc') return plainFts(job, skills, queries)

  const store = await openHoldfast(job.storeDir, job.secrets)
  const start = performance.now()
  for (let n = 0; n < SKILLS; n += SAVED_AT_ONCE) await store.skills.saveMany(skills.slice(n, n + SAVED_AT_ONCE))
  const savedPerSecond = SKILLS / ((performance.now() - start) / 1_000)
  const figures = await timedSearches(queries, async ({ text, tags }) => {
    await store.skills.search(text, { tags, limit: LIMIT })
  })
  await store.close()
  return { savedPerSecond, ...figures }
}

/** What one would write by hand: one table of FTS5 in the same encrypted format, asked on the main thread. */
async function plainFts(
  { storeDir, secrets }: WorkloadContext['job'],
  skills: readonly BenchSkill[],
  queries: readonly { readonly text: string; readonly tags: string[] }[],
): Promise<Metrics> {
  mkdirSync(storeDir, { recursive: true })
  const database = new Database(join(storeDir, 'skills.db'))
  for (const pragma of [`cipher = 'sqlcipher'`, 'legacy = 4', `key = "x'${secrets.rawKey}'"`]) database.pragma(pragma)
  for (const pragma of DURABLE_PRAGMAS) database.exec(pragma)
  database.exec(`CREATE VIRTUAL TABLE skills USING fts5 (name, tags, description, content, prefix = '2 3')`)
  const insert = database.prepare('INSERT INTO skills VALUES (?, ?, ?, ?)')
  const start = performance.now()
  for (let n = 0; n < SKILLS; n += SAVED_AT_ONCE) {
    database.transaction(() => {
      for (const { name, tags, description, content } of skills.slice(n, n + SAVED_AT_ONCE)) {
        insert.run(name, tags.join(' '), description, content)
      }
    })()
  }
  const savedPerSecond = SKILLS / ((performance.now() - start) / 1_000)
  const search = database.prepare(
    `SELECT name, rank, snippet(skills, 3, '[', ']', '…', 16) AS found FROM skills WHERE skills MATCH ? ORDER BY rank LIMIT ${LIMIT}`,
  )
  const figures = await timedSearches(queries, ({ text, tags }) => {
    search.all([text, ...tags.map((tag) => `tags : "${tag}"`)].join(' AND '))
  })
  database.close()
  return { savedPerSecond, ...figures }
}

async function timedSearches<Q>(queries: readonly Q[], search: (query: Q) => Promise<void> | void): Promise<Metrics> {
  const latenciesMs: number[] = []
  for (const [index, query] of queries.entries()) {
    const start = performance.now()
    await search(query)
    if (index >= WARM_UP) latenciesMs.push(performance.now() - start)
  }
  const { p50, p99, max } = summarizeLatencies(latenciesMs)
  return { p50Ms: p50, p99Ms: p99, maxMs: max }
}
