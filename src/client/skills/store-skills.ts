/** Skills as a program sees them: save, find, learn how they did. */
import { randomBytes } from 'node:crypto'
import * as z from 'zod'
import {
  type DependentSkill,
  type NeededSkill,
  type PerformanceSummary,
  type SavedSkill,
  type SkillDependencyWire,
  type SkillFilter,
  type SkillSummary,
  type SkillVersionWire,
  type SkillWire,
  SNIPPET_CLOSE,
  SNIPPET_OPEN,
} from '../../protocol/skills.ts'
import { StoreError } from '../../protocol/store-error.ts'
import type { JsonValue } from '../../schema/json.ts'
import {
  MAX_SKILL_CONTENT_BYTES,
  MAX_SKILL_METADATA_BYTES,
  skillInput,
  skillKind,
  skillName,
  skillPerformance,
  skillTag,
  skillVersion,
} from '../../schema/skill.ts'
import { freezeParsed } from '../document.ts'
import { PartWrites } from '../part-writes.ts'
import type { StoreCore } from '../store-core.ts'

/** What `save` takes. */
export interface SkillInput {
  readonly name: string
  /** `code`, `text` or a word of your own; default `text`. */
  readonly kind?: string | undefined
  /** A line or two about what it is for; found by search before its content. */
  readonly description?: string | undefined
  /** Up to 4 MiB. */
  readonly content: string
  /** JSON, up to 256 KiB. */
  readonly metadata?: Readonly<Record<string, JsonValue>> | undefined
  readonly tags?: readonly string[] | undefined
  /** Skills it builds on: by name, following their current version, or pinned to one. */
  readonly dependencies?: readonly (string | NeededSkill)[] | undefined
  /** What is new in this version. */
  readonly note?: string | undefined
}

/** A version of a skill without its content. */
export interface SkillVersion extends Omit<SkillVersionWire, 'dependencies'> {
  /** `version` where it is pinned. */
  readonly dependencies: readonly SkillDependency[]
}

export interface SkillDependency {
  readonly name: string
  readonly version?: number
}

/** A version of a skill. */
export interface Skill extends SkillVersion {
  readonly content: string
  readonly metadata: Readonly<Record<string, JsonValue>>
}

/** Metrics by name. `at` is when they were measured, in Unix milliseconds; default: now. */
export interface SkillPerformance {
  readonly at?: number | undefined
  readonly sharpe?: number | undefined
  readonly [metric: string]: number | undefined
}

/** What was recorded. */
export interface PerformanceRecord {
  readonly version: number
  readonly at: number
  readonly metrics: Readonly<Record<string, number>>
}

export interface SkillFilterOptions {
  readonly kind?: string | undefined
  /** All of them, in whatever case. */
  readonly tags?: readonly string[] | undefined
  /** At least this Sharpe ratio in the newest performance record that has one. */
  readonly minSharpe?: number | undefined
  /** Default: 20 of a search, 1,000 of a list. */
  readonly limit?: number | undefined
}

export interface SkillSearchOptions extends SkillFilterOptions {
  /** Whether a skill has to have all words, which is the default, or any of them. */
  readonly match?: 'all' | 'any' | undefined
  /** Put around what was found in snippets; default `['[', ']']`. */
  readonly highlight?: readonly [open: string, close: string] | undefined
  /** Words in a snippet, up to 64; default 16. */
  readonly snippetTokens?: number | undefined
}

export interface SkillListOptions extends SkillFilterOptions {
  /** Names behind this one: where the page before ended. */
  readonly after?: string | undefined
}

/** What a search finds, best first. */
export interface SkillMatch extends SkillSummary {
  /** By bm25: higher is better. Compare within one search only. */
  readonly score: number
  /** Where it was found in description or content, else the beginning of either. */
  readonly snippet: string
}

export interface PerformanceHistoryOptions {
  /** Default: all. */
  readonly version?: number | undefined
  /** Unix milliseconds: from this moment on, and before that one. */
  readonly from?: number | undefined
  readonly to?: number | undefined
  /** Default 1,000. */
  readonly limit?: number | undefined
}

/** Versioned skills, full-text search over them, and how they performed. */
export interface StoreSkills {
  /**
   * Saves a new version, durable when it resolves; the same as the current version again makes none. Rejects with
   * `INVALID_DOCUMENT`, `CONSTRAINT` when a dependency does not exist or leads back to the skill (`details.path`),
   * `QUEUE_FULL`, `DISK_FULL`, `READ_ONLY`.
   *
   * @example
   * await store.skills.save({
   *   name: 'btc-mean-reversion', kind: 'code', content: source, tags: ['btc', 'mean-reversion'],
   *   dependencies: ['zscore', { name: 'position-sizing', version: 3 }],
   * })
   */
  save(skill: SkillInput): Promise<SavedSkill>
  /** Up to 250 at once, whole or not at all; they may depend on each other in any order. Otherwise like `save`. */
  saveMany(skills: readonly SkillInput[]): Promise<readonly SavedSkill[]>
  /** The current version, or the one of that number; undefined when there is none. */
  get(name: string, version?: number): Promise<Skill | undefined>
  /** All versions without their contents, newest first. */
  history(name: string): Promise<readonly SkillVersion[]>
  /**
   * Everything a skill needs, over any number of steps, in the order to load it: each behind what it needs itself. Rejects
   * with `NOT_FOUND`.
   */
  dependencies(name: string, version?: number): Promise<readonly NeededSkill[]>
  /** The versions of skills that name this one as a dependency. */
  dependents(name: string): Promise<readonly DependentSkill[]>
  /**
   * Records how a skill did: any metrics, of the current version unless another is given. Durable when it resolves. Rejects
   * with `NOT_FOUND`, `INVALID_DOCUMENT`, `QUEUE_FULL`, `DISK_FULL`, `READ_ONLY`.
   *
   * @example await store.skills.recordPerformance('btc-mean-reversion', { sharpe: 1.8, winRate: 0.56, trades: 120 })
   */
  recordPerformance(name: string, performance: SkillPerformance): Promise<void>
  recordPerformance(name: string, version: number, performance: SkillPerformance): Promise<void>
  /** What was recorded, newest first. */
  performanceHistory(name: string, options?: PerformanceHistoryOptions): Promise<readonly PerformanceRecord[]>
  /** Count, mean, minimum, maximum and last of each metric, over all versions or one. */
  performance(name: string, version?: number): Promise<PerformanceSummary>
  /** By name. */
  list(options?: SkillListOptions): Promise<readonly SkillSummary[]>
  /**
   * Full-text search over name, tags, description and content of the current versions, best first. All words have to be
   * there; `"a phrase"`, `rever*` for words that begin so, `-word` for without, `a OR b` for either. Case and accents do not
   * matter, and `mean reversion` finds `meanReversion`. No text is a syntax error. Rejects with `INVALID_QUERY` for one that
   * is too long or only excludes.
   *
   * @example await store.skills.search('mean reversion BTC', { minSharpe: 1, tags: ['live'] })
   */
  search(text: string, options?: SkillSearchOptions): Promise<readonly SkillMatch[]>
  /**
   * Deletes all versions and what was recorded about them; a skill of that name that is saved later goes on with the next
   * version number. False when there was none. Rejects with `CONSTRAINT` while others depend on it (`details.dependents`).
   */
  delete(name: string): Promise<boolean>
}

const MAX_WAITING = 10_000
const MAX_SKILLS_AT_ONCE = 250
const MAX_LIMIT = 10_000
const DEFAULT_SEARCH_LIMIT = 20
const DEFAULT_LIST_LIMIT = 1_000
const OPERATION_BYTES = 16

const limit = z.int().nonnegative().max(MAX_LIMIT)
const filterShape = {
  kind: skillKind.optional(),
  tags: z.array(skillTag).max(16).optional(),
  minSharpe: z.number().optional(),
  limit: limit.optional(),
}
const listOptions = z.strictObject({ ...filterShape, after: z.string().optional() })
const searchOptions = z.strictObject({
  ...filterShape,
  match: z.enum(['all', 'any']).optional(),
  highlight: z.tuple([z.string(), z.string()]).optional(),
  snippetTokens: z.int().positive().max(64).optional(),
})
const historyOptions = z.strictObject({
  version: skillVersion.optional(),
  from: z.number().optional(),
  to: z.number().optional(),
  limit: limit.optional(),
})

export class SkillLibrary implements StoreSkills {
  readonly #core: StoreCore
  readonly #writes: PartWrites

  constructor(core: StoreCore) {
    this.#core = core
    this.#writes = new PartWrites(core, MAX_WAITING)
  }

  /** Writes accepted and not yet durable. */
  get depth(): number {
    return this.#writes.depth
  }

  async save(skill: SkillInput): Promise<SavedSkill> {
    const [saved] = await this.saveMany([skill])
    return saved as SavedSkill
  }

  async saveMany(skills: readonly SkillInput[]): Promise<readonly SavedSkill[]> {
    if (!Array.isArray(skills) || skills.length > MAX_SKILLS_AT_ONCE) {
      throw new StoreError('INVALID_ARGUMENT', `saveMany takes an array of up to ${MAX_SKILLS_AT_ONCE} skills.`)
    }
    const wires = skills.map(skillWire)
    if (new Set(wires.map(({ name }) => name)).size !== wires.length) {
      throw new StoreError('INVALID_ARGUMENT', 'saveMany takes each skill once.')
    }
    if (wires.length === 0) return []
    return await this.#writes.send('skillSave', { operation: randomBytes(OPERATION_BYTES), skills: wires })
  }

  async get(name: string, version?: number): Promise<Skill | undefined> {
    const request = skillRequest(name, version)
    await this.#settled()
    const found = await this.#core.supervisor.read('skillGet', request)
    if (found === null) return undefined
    const metadata = JSON.parse(found.metadata) as Record<string, JsonValue>
    freezeParsed(metadata)
    return Object.freeze({ ...versionOf(found), content: found.content, metadata })
  }

  async history(name: string): Promise<readonly SkillVersion[]> {
    const request = { name: parseName(name) }
    await this.#settled()
    return (await this.#core.supervisor.read('skillHistory', request)).map(versionOf)
  }

  async dependencies(name: string, version?: number): Promise<readonly NeededSkill[]> {
    const request = skillRequest(name, version)
    await this.#settled()
    const needed = await this.#core.supervisor.read('skillDependencies', request)
    if (needed !== null) return needed
    throw new StoreError('NOT_FOUND', 'There is no such skill, or it has no such version.', {
      details: version === undefined ? { name } : { name, version },
    })
  }

  async dependents(name: string): Promise<readonly DependentSkill[]> {
    const request = { name: parseName(name) }
    await this.#settled()
    return await this.#core.supervisor.read('skillDependents', request)
  }

  async recordPerformance(
    name: string,
    versionOrPerformance: number | SkillPerformance,
    performance?: SkillPerformance,
  ): Promise<void> {
    const hasVersion = performance !== undefined || typeof versionOrPerformance !== 'object'
    const request = skillRequest(name, hasVersion ? (versionOrPerformance as number) : undefined)
    const given = definedOf(hasVersion ? performance : versionOrPerformance)
    const { at = Date.now(), ...metrics } = parse(skillPerformance, given, 'INVALID_DOCUMENT', 'performance record')
    await this.#writes.send('skillRecordPerformance', {
      ...request,
      operation: randomBytes(OPERATION_BYTES),
      at,
      metrics: JSON.stringify(metrics),
    })
  }

  async performanceHistory(
    name: string,
    options: PerformanceHistoryOptions = {},
  ): Promise<readonly PerformanceRecord[]> {
    const { version, from, to, limit: most } = parse(historyOptions, options, 'INVALID_ARGUMENT', 'question')
    const request = { ...skillRequest(name, version), from: from ?? null, to: to ?? null }
    await this.#settled()
    const records = await this.#core.supervisor.read('skillPerformanceHistory', {
      ...request,
      limit: most ?? DEFAULT_LIST_LIMIT,
    })
    return records.map(({ metrics, ...record }) => ({ ...record, metrics: JSON.parse(metrics) }))
  }

  async performance(name: string, version?: number): Promise<PerformanceSummary> {
    const request = skillRequest(name, version)
    await this.#settled()
    return await this.#core.supervisor.read('skillPerformance', request)
  }

  async list(options: SkillListOptions = {}): Promise<readonly SkillSummary[]> {
    const { after = null, limit: most, ...filter } = parse(listOptions, options, 'INVALID_ARGUMENT', 'question')
    await this.#settled()
    const request = { ...filterOf(filter), after, limit: most ?? DEFAULT_LIST_LIMIT }
    return await this.#core.supervisor.read('skillList', request)
  }

  async search(text: string, options: SkillSearchOptions = {}): Promise<readonly SkillMatch[]> {
    if (typeof text !== 'string') throw new StoreError('INVALID_ARGUMENT', 'search takes a text to look for.')
    const checked = parse(searchOptions, options, 'INVALID_ARGUMENT', 'question')
    const { match = 'all', highlight = ['[', ']'], snippetTokens = 16 } = checked
    await this.#settled()
    const matches = await this.#core.supervisor.read('skillSearch', {
      ...filterOf(checked),
      text,
      match,
      limit: checked.limit ?? DEFAULT_SEARCH_LIMIT,
      snippetTokens,
    })
    return matches.map((each) => ({
      ...each,
      snippet: each.snippet.replaceAll(SNIPPET_OPEN, () => highlight[0]).replaceAll(SNIPPET_CLOSE, () => highlight[1]),
    }))
  }

  async delete(name: string): Promise<boolean> {
    return await this.#writes.send('skillDelete', {
      operation: randomBytes(OPERATION_BYTES),
      name: parseName(name),
    })
  }

  /** What was accepted before a question is seen by it. */
  async #settled(): Promise<void> {
    this.#core.assertOpen()
    await this.#writes.settled()
  }
}

function skillWire(input: SkillInput): SkillWire {
  const skill = parse(skillInput, input, 'INVALID_DOCUMENT', 'skill')
  const metadata = JSON.stringify(skill.metadata ?? {})
  const problems: string[] = []
  if (Buffer.byteLength(skill.content) > MAX_SKILL_CONTENT_BYTES) {
    problems.push(`content: larger than ${MAX_SKILL_CONTENT_BYTES} bytes; keep it as an artifact`)
  }
  if (Buffer.byteLength(metadata) > MAX_SKILL_METADATA_BYTES) {
    problems.push(`metadata: larger than ${MAX_SKILL_METADATA_BYTES} bytes as JSON`)
  }
  const dependencies = (skill.dependencies ?? []).map((each) =>
    typeof each === 'string' ? { name: each, version: null } : each,
  )
  if (new Set(dependencies.map(({ name }) => name)).size !== dependencies.length) {
    problems.push('dependencies: each skill once')
  }
  if (problems.length > 0) throw invalid('INVALID_DOCUMENT', 'skill', problems)
  return {
    name: skill.name,
    kind: skill.kind ?? 'text',
    description: skill.description ?? '',
    content: skill.content,
    metadata,
    tags: distinctTags(skill.tags ?? []),
    dependencies,
    note: skill.note ?? null,
  }
}

/** Tags that differ only in the case of their letters are one. */
function distinctTags(tags: readonly string[]): string[] {
  const distinct = new Map(tags.map((tag) => [tag.toLowerCase(), tag]))
  return [...distinct.values()].sort()
}

function versionOf({ dependencies, ...version }: SkillVersionWire): SkillVersion {
  return { ...version, dependencies: dependencies.map(dependencyOf) }
}

function dependencyOf({ name, version }: SkillDependencyWire): SkillDependency {
  return version === null ? { name } : { name, version }
}

function filterOf({ kind, tags, minSharpe }: z.output<typeof searchOptions> | SkillFilterOptions): SkillFilter {
  return { kind: kind ?? null, tags: tags ?? [], minSharpe: minSharpe ?? null }
}

function parseName(name: unknown): string {
  return parse(skillName, name, 'INVALID_ARGUMENT', 'name')
}

function skillRequest(name: unknown, version: unknown): { readonly name: string; readonly version: number | null } {
  return {
    name: parseName(name),
    version: version === undefined ? null : parse(skillVersion, version, 'INVALID_ARGUMENT', 'version'),
  }
}

function definedOf(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined))
}

/** What a getter throws is its author's and might quote the value. */
function parse<T>(
  schema: z.ZodType<T>,
  value: unknown,
  code: 'INVALID_ARGUMENT' | 'INVALID_DOCUMENT',
  what: string,
): T {
  let problems: string[]
  try {
    const parsed = schema.safeParse(value)
    if (parsed.success) return parsed.data
    problems = parsed.error.issues.map(describe)
  } catch {
    problems = ['could not be read']
  }
  throw invalid(code, what, problems)
}

/** Names of fields nobody knows are the caller's; everything else in a message is of our own schema. */
function describe({ code, path, message }: z.core.$ZodIssue): string {
  if (code === 'unrecognized_keys') return 'has a field that is none of it'
  return path.length === 0 ? message : `${path.map(String).join('.')}: ${message}`
}

function invalid(code: 'INVALID_ARGUMENT' | 'INVALID_DOCUMENT', what: string, problems: readonly string[]): StoreError {
  return new StoreError(code, `Not a valid ${what}: ${problems.join('; ')}`, { details: { issues: problems } })
}
