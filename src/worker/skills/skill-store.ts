/**
 * Skills in `state.db`. A version never changes once it is saved; the current version of each skill is in the full-text
 * index, which is kept in step by the same transaction. A call that is sent again, because nobody heard its answer, is
 * known by its operation.
 */
import { createHash } from 'node:crypto'
import { canonicalJson } from '../../crypto/canonical-json.ts'
import type {
  DependentSkill,
  FullSkillWire,
  MetricSummary,
  NeededSkill,
  PerformanceHistoryRequest,
  PerformanceRecordWire,
  PerformanceSummary,
  SavedSkill,
  SkillDeleteRequest,
  SkillDependencyWire,
  SkillListRequest,
  SkillMatchWire,
  SkillMethods,
  SkillPerformanceRequest,
  SkillRequest,
  SkillSaveRequest,
  SkillSearchRequest,
  SkillSummary,
  SkillsStatus,
  SkillVersionWire,
  SkillWire,
} from '../../protocol/skills.ts'
import { StoreError } from '../../protocol/store-error.ts'
import type { AuditRecord, Committer, TransactionStatements } from '../committer.ts'
import type { BindValue, Connection, Row } from '../driver.ts'
import { failpoint } from '../failpoint.ts'
import { toStoreError } from '../io-error.ts'
import type { ReadPool } from '../read-pool.ts'
import { StatementCache } from '../statement-cache.ts'
import { identifierWords } from './identifiers.ts'
import { assertNoCycle, neededVersions } from './skill-dependencies.ts'
import { listSkills, searchSkills } from './skill-search.ts'

export const SKILL_METHODS = [
  'skillSave',
  'skillGet',
  'skillHistory',
  'skillDependencies',
  'skillDependents',
  'skillRecordPerformance',
  'skillPerformanceHistory',
  'skillPerformance',
  'skillList',
  'skillSearch',
  'skillDelete',
] as const satisfies readonly (keyof SkillMethods)[]

/** Of the names in one entry of the audit trail. */
const RECORDED_BYTES = 8 * 1024
/** What Holdfast records on its own behalf. */
const SELF = 'holdfast'

export interface SkillStoreOptions {
  readonly dir: string
  readonly readers: ReadPool
  /** Null for a store that is only read. */
  readonly committer: Committer | null
}

const VERSION_COLUMNS = `s."name", v."version", v."version" = s."version" AS "isCurrent", v."kind", v."description", v."tags",
  v."note", v."savedAt", v."bytes",
  (SELECT json_group_array(json_object('name', t."name", 'version', d."pinned") ORDER BY d."position")
   FROM "_skillDependencies" d JOIN "_skills" t ON t."id" = d."dependency"
   WHERE d."skill" = v."skill" AND d."version" = v."version") AS "dependencies"`

const VERSIONS = '"_skills" s JOIN "_skillVersions" v ON v."skill" = s."id"'

/** The index has to be told what it held: it keeps no texts of its own. */
const UNINDEX_SQL = `INSERT INTO "_skillSearch" ("_skillSearch", "rowid", "name", "tags", "description", "identifiers", "content")
SELECT 'delete', "id", "name", "tags", "description", "identifiers", "content" FROM "_currentSkills" WHERE "id" = ?`

const INDEX_SQL = `INSERT INTO "_skillSearch" ("rowid", "name", "tags", "description", "identifiers", "content")
SELECT "id", "name", "tags", "description", "identifiers", "content" FROM "_currentSkills" WHERE "id" = ?`

const INSERT_VERSION_SQL = `INSERT INTO "_skillVersions"
("skill", "version", "kind", "savedAt", "hash", "operation", "tags", "note", "bytes", "description", "metadata", "identifiers", "content")
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

export class SkillStore implements SkillMethods {
  readonly #dir: string
  readonly #readers: ReadPool
  readonly #committer: Committer | null

  constructor({ dir, readers, committer }: SkillStoreOptions) {
    this.#dir = dir
    this.#readers = readers
    this.#committer = committer
  }

  async skillSave({ operation, skills }: SkillSaveRequest): Promise<readonly SavedSkill[]> {
    const prepared = skills.map(prepareSkill)
    return await this.#transact(async (writing, { audit }) => {
      const before = await writing.query(
        'SELECT s."name", v."version" FROM "_skillVersions" v JOIN "_skills" s ON s."id" = v."skill" WHERE v."operation" = ?',
        [operation],
      )
      if (before.length > 0) return await this.#savedBefore(writing, skills, before)
      const saved = await writing.save(prepared, operation)
      await audit(savings(saved))
      await failpoint('skills:before-commit')
      return saved
    })
  }

  /** What the same call has done already. */
  async #savedBefore(writing: Writing, skills: readonly SkillWire[], before: readonly Row[]): Promise<SavedSkill[]> {
    const versions = new Map(before.map((row) => [String(row.name), Number(row.version)]))
    const saved: SavedSkill[] = []
    for (const { name } of skills) {
      const version = versions.get(name)
      const current = version ?? (await writing.existing(name)).version
      saved.push({ name, version: current, isNew: version !== undefined })
    }
    return saved
  }

  async skillGet({ name, version }: SkillRequest): Promise<FullSkillWire | null> {
    const [row] = await this.#read(
      `SELECT ${VERSION_COLUMNS}, v."metadata", v."content" FROM ${VERSIONS}
       WHERE s."name" = ?1 AND s."deletedAt" IS NULL AND v."version" = coalesce(?2, s."version")`,
      [name, version],
    )
    if (row === undefined) return null
    return { ...versionOf(row), metadata: String(row.metadata), content: String(row.content) }
  }

  async skillHistory({ name }: { readonly name: string }): Promise<readonly SkillVersionWire[]> {
    const rows = await this.#read(
      `SELECT ${VERSION_COLUMNS} FROM ${VERSIONS} WHERE s."name" = ? AND s."deletedAt" IS NULL ORDER BY v."version" DESC`,
      [name],
    )
    return rows.map(versionOf)
  }

  async skillDependencies({ name, version }: SkillRequest): Promise<readonly NeededSkill[] | null> {
    const [row] = await this.#read(
      `SELECT v."skill", v."version" FROM ${VERSIONS}
       WHERE s."name" = ?1 AND s."deletedAt" IS NULL AND v."version" = coalesce(?2, s."version")`,
      [name, version],
    )
    if (row === undefined) return null
    const query = (sql: string, parameters: readonly BindValue[]) => this.#read(sql, parameters)
    return await neededVersions(query, Number(row.skill), Number(row.version))
  }

  async skillDependents({ name }: { readonly name: string }): Promise<readonly DependentSkill[]> {
    const rows = await this.#read(
      `SELECT s."name", d."version", d."version" = s."version" AS "isCurrent", d."pinned"
       FROM "_skills" needed JOIN "_skillDependencies" d ON d."dependency" = needed."id" JOIN "_skills" s ON s."id" = d."skill"
       WHERE needed."name" = ? ORDER BY s."name", d."version"`,
      [name],
    )
    return rows.map((row) => ({
      name: String(row.name),
      version: Number(row.version),
      isCurrent: row.isCurrent === 1,
      pinned: row.pinned === null ? null : Number(row.pinned),
    }))
  }

  async skillRecordPerformance(request: SkillPerformanceRequest): Promise<void> {
    await this.#transact((writing) => writing.recordPerformance(request))
  }

  async skillPerformanceHistory(request: PerformanceHistoryRequest): Promise<readonly PerformanceRecordWire[]> {
    const { name, version, from, to, limit } = request
    const rows = await this.#read(
      `SELECT p."version", p."at", p."metrics" FROM "_skillPerformance" p JOIN "_skills" s ON s."id" = p."skill"
       WHERE s."name" = ?1 AND (?2 IS NULL OR p."version" = ?2) AND (?3 IS NULL OR p."at" >= ?3) AND (?4 IS NULL OR p."at" < ?4)
       ORDER BY p."at" DESC, p."id" DESC LIMIT ?5`,
      [name, version, from, to, limit],
    )
    return rows.map((row) => ({ version: Number(row.version), at: Number(row.at), metrics: String(row.metrics) }))
  }

  async skillPerformance({ name, version }: SkillRequest): Promise<PerformanceSummary> {
    const records = `FROM "_skillPerformance" p JOIN "_skills" s ON s."id" = p."skill"
      WHERE s."name" = ?1 AND (?2 IS NULL OR p."version" = ?2)`
    const [total] = await this.#read(
      `SELECT count(*) AS "records", min(p."at") AS "first", max(p."at") AS "last" ${records}`,
      [name, version],
    )
    const rows = await this.#read(
      `SELECT "key", count(*) AS "count", avg("value") AS "mean", min("value") AS "min", max("value") AS "max",
         max(CASE WHEN "age" = 1 THEN "value" END) AS "last"
       FROM (
         SELECT m."key", m."value", row_number() OVER (PARTITION BY m."key" ORDER BY p."at" DESC, p."id" DESC) AS "age"
         FROM (SELECT p."id", p."at", p."metrics" ${records}) p, json_each(p."metrics") m
       ) GROUP BY "key" ORDER BY "key"`,
      [name, version],
    )
    const metrics = rows.map((row): [string, MetricSummary] => [
      String(row.key),
      {
        count: Number(row.count),
        mean: Number(row.mean),
        min: Number(row.min),
        max: Number(row.max),
        last: Number(row.last),
      },
    ])
    return {
      records: Number(total?.records),
      firstAt: (total?.first as number | null) ?? null,
      lastAt: (total?.last as number | null) ?? null,
      metrics: Object.fromEntries(metrics),
    }
  }

  async skillList(request: SkillListRequest): Promise<readonly SkillSummary[]> {
    return await listSkills((sql, parameters) => this.#read(sql, parameters), request)
  }

  async skillSearch(request: SkillSearchRequest): Promise<readonly SkillMatchWire[]> {
    return await searchSkills((sql, parameters) => this.#read(sql, parameters), request)
  }

  async skillDelete({ operation, name }: SkillDeleteRequest): Promise<boolean> {
    return await this.#transact((writing, { audit }) => writing.delete(name, operation, audit))
  }

  async status(): Promise<SkillsStatus> {
    const [row] = await this.#read(
      `SELECT (SELECT count(*) FROM "_skills" WHERE "deletedAt" IS NULL) AS "skills",
         (SELECT count(*) FROM "_skillVersions") AS "versions"`,
      [],
    )
    return { skills: Number(row?.skills), versions: Number(row?.versions) }
  }

  async #transact<T>(work: (writing: Writing, statements: TransactionStatements) => Promise<T>): Promise<T> {
    if (this.#committer === null) {
      throw new StoreError('READ_ONLY', 'This store was opened with readOnly: true. Open it as its owner to write.')
    }
    const result = await this.#committer.transact(async (connection, statements) => {
      const writing = new Writing(connection)
      try {
        return await work(writing, statements)
      } finally {
        await writing.end()
      }
    })
    await failpoint('skills:committed')
    return result
  }

  async #read(sql: string, parameters: readonly BindValue[]): Promise<Row[]> {
    try {
      return await this.#readers.query(sql, parameters)
    } catch (error) {
      throw await toStoreError(error, this.#dir)
    }
  }
}

/** An entry takes 16 KiB, so skills that are saved together may need several. */
function savings(saved: readonly SavedSkill[]): AuditRecord[] {
  const records: AuditRecord[] = []
  let skills: { readonly name: string; readonly version: number }[] = []
  let bytes = 0
  const flush = () => {
    if (skills.length > 0) records.push({ actor: SELF, event: 'skill.saved', data: { skills } })
    skills = []
    bytes = 0
  }
  for (const { name, version, isNew } of saved) {
    if (!isNew) continue
    const ownBytes = Buffer.byteLength(JSON.stringify({ name, version })) + 1
    if (bytes + ownBytes > RECORDED_BYTES) flush()
    skills.push({ name, version })
    bytes += ownBytes
  }
  flush()
  return records
}

interface PreparedSkill extends SkillWire {
  readonly hash: Buffer
  readonly identifiers: string
}

function prepareSkill(skill: SkillWire): PreparedSkill {
  const { kind, description, content, metadata, tags, dependencies } = skill
  const whole = {
    kind,
    description,
    content,
    metadata: JSON.parse(metadata),
    tags,
    dependencies: dependencies.map(({ name, version }) => [name, version]),
  }
  return {
    ...skill,
    hash: createHash('sha256').update(canonicalJson(whole)).digest(),
    identifiers: identifierWords(`${skill.name}\n${description}\n${content}`),
  }
}

interface ExistingSkill {
  readonly id: number
  /** 0 before its first version is saved. */
  readonly version: number
  readonly isDeleted: boolean
}

/** The steps of one transaction. */
class Writing {
  readonly #statements: StatementCache

  constructor(connection: Connection) {
    this.#statements = new StatementCache(connection)
  }

  async query(sql: string, parameters: readonly BindValue[]): Promise<Row[]> {
    return await (await this.#statements.prepare(sql)).all(parameters)
  }

  async #run(sql: string, parameters: readonly BindValue[]): Promise<number> {
    return await (await this.#statements.prepare(sql)).run(parameters)
  }

  async end(): Promise<void> {
    await this.#statements.clear()
  }

  /** @throws StoreError `NOT_FOUND` */
  async existing(name: string): Promise<ExistingSkill> {
    const found = await this.#find(name)
    if (found === undefined || found.isDeleted) throw notFound(name)
    return found
  }

  async #find(name: string): Promise<ExistingSkill | undefined> {
    const [row] = await this.query('SELECT "id", "version", "deletedAt" FROM "_skills" WHERE "name" = ?', [name])
    if (row === undefined) return undefined
    return { id: Number(row.id), version: Number(row.version), isDeleted: row.deletedAt !== null }
  }

  /** All versions first, then what they depend on: skills that are saved together may name each other in any order. */
  async save(skills: readonly PreparedSkill[], operation: Uint8Array): Promise<SavedSkill[]> {
    const saved: SavedSkill[] = []
    const added: { readonly skill: PreparedSkill; readonly id: number; readonly version: number }[] = []
    const now = Date.now()
    for (const skill of skills) {
      const found = (await this.#find(skill.name)) ?? (await this.#create(skill.name, now))
      if (await this.#isCurrent(found, skill.hash)) {
        saved.push({ name: skill.name, version: found.version, isNew: false })
        continue
      }
      const version = found.version + 1
      await this.#run(UNINDEX_SQL, [found.id])
      await this.#addVersion(found.id, version, skill, operation, now)
      await this.#run(INDEX_SQL, [found.id])
      added.push({ skill, id: found.id, version })
      saved.push({ name: skill.name, version, isNew: true })
    }
    for (const { skill, id, version } of added) await this.#addDependencies(id, version, skill.dependencies)
    for (const { id, version, skill } of added) {
      if (skill.dependencies.length > 0) await assertNoCycle((sql, values) => this.query(sql, values), id, version)
    }
    return saved
  }

  async #create(name: string, now: number): Promise<ExistingSkill> {
    const [row] = await this.query(
      'INSERT INTO "_skills" ("name", "version", "createdAt", "updatedAt") VALUES (?1, 0, ?2, ?2) RETURNING "id"',
      [name, now],
    )
    return { id: Number(row?.id), version: 0, isDeleted: false }
  }

  async #isCurrent({ id, version, isDeleted }: ExistingSkill, hash: Uint8Array): Promise<boolean> {
    if (version === 0 || isDeleted) return false
    const [row] = await this.query('SELECT "hash" FROM "_skillVersions" WHERE "skill" = ? AND "version" = ?', [
      id,
      version,
    ])
    return Buffer.from(row?.hash as Uint8Array).equals(hash)
  }

  async #addVersion(id: number, version: number, skill: PreparedSkill, operation: Uint8Array, now: number) {
    await this.#run(INSERT_VERSION_SQL, [
      id,
      version,
      skill.kind,
      now,
      skill.hash,
      operation,
      JSON.stringify(skill.tags),
      skill.note,
      Buffer.byteLength(skill.content),
      skill.description,
      skill.metadata,
      skill.identifiers,
      skill.content,
    ])
    await this.#run(
      `UPDATE "_skills" SET "version" = ?2, "updatedAt" = ?3, "createdAt" = iif("deletedAt" IS NULL, "createdAt", ?3),
       "deletedAt" = NULL, "deletedBy" = NULL WHERE "id" = ?1`,
      [id, version, now],
    )
    await this.#run('DELETE FROM "_skillTags" WHERE "skill" = ?', [id])
    for (const tag of skill.tags) {
      await this.#run('INSERT OR IGNORE INTO "_skillTags" ("tag", "skill") VALUES (?, ?)', [tag, id])
    }
  }

  async #addDependencies(id: number, version: number, dependencies: readonly SkillDependencyWire[]): Promise<void> {
    for (const [position, { name, version: pinned }] of dependencies.entries()) {
      const needed = await this.#find(name)
      if (needed === undefined || needed.isDeleted || needed.version === 0) throw missing(name, null)
      if (pinned !== null && !(await this.#hasVersion(needed.id, pinned))) throw missing(name, pinned)
      await this.#run(
        'INSERT INTO "_skillDependencies" ("skill", "version", "position", "dependency", "pinned") VALUES (?, ?, ?, ?, ?)',
        [id, version, position, needed.id, pinned],
      )
    }
  }

  async #hasVersion(id: number, version: number): Promise<boolean> {
    const sql = 'SELECT 1 FROM "_skillVersions" WHERE "skill" = ? AND "version" = ?'
    return (await this.query(sql, [id, version])).length > 0
  }

  async recordPerformance({ operation, name, version, at, metrics }: SkillPerformanceRequest): Promise<void> {
    const sent = await this.query('SELECT 1 FROM "_skillPerformance" WHERE "operation" = ?', [operation])
    if (sent.length > 0) return
    const { id, version: current } = await this.existing(name)
    const measured = version ?? current
    if (!(await this.#hasVersion(id, measured))) throw notFound(name, measured)
    await this.#run(
      'INSERT INTO "_skillPerformance" ("skill", "version", "at", "metrics", "operation") VALUES (?, ?, ?, ?, ?)',
      [id, measured, at, metrics, operation],
    )
    await this.#run(
      `UPDATE "_skills" SET "sharpe" = ?2 ->> '$.sharpe', "sharpeAt" = ?3
       WHERE "id" = ?1 AND ?2 ->> '$.sharpe' IS NOT NULL AND ("sharpeAt" IS NULL OR "sharpeAt" <= ?3)`,
      [id, metrics, at],
    )
  }

  /** Its name and the number of its last version stay, so that no number is given twice; everything else goes. */
  async delete(name: string, operation: Uint8Array, audit: TransactionStatements['audit']): Promise<boolean> {
    const [row] = await this.query('SELECT "id", "deletedAt", "deletedBy" FROM "_skills" WHERE "name" = ?', [name])
    if (row === undefined) return false
    if (row.deletedAt !== null) return Buffer.from(row.deletedBy as Uint8Array).equals(operation)
    const id = Number(row.id)
    const dependents = await this.query(
      `SELECT DISTINCT s."name" FROM "_skillDependencies" d JOIN "_skills" s ON s."id" = d."skill"
       WHERE d."dependency" = ? AND d."skill" <> d."dependency" ORDER BY s."name"`,
      [id],
    )
    if (dependents.length > 0) throw stillNeeded(name, dependents)
    await this.#run(UNINDEX_SQL, [id])
    for (const table of ['_skillTags', '_skillPerformance', '_skillDependencies', '_skillVersions']) {
      await this.#run(`DELETE FROM "${table}" WHERE "skill" = ?`, [id])
    }
    await this.#run(
      'UPDATE "_skills" SET "deletedAt" = ?2, "deletedBy" = ?3, "sharpe" = NULL, "sharpeAt" = NULL WHERE "id" = ?1',
      [id, Date.now(), operation],
    )
    await audit([{ actor: SELF, event: 'skill.deleted', data: { name } }])
    await failpoint('skills:before-commit')
    return true
  }
}

function versionOf(row: Row): SkillVersionWire {
  return {
    name: String(row.name),
    version: Number(row.version),
    isCurrent: row.isCurrent === 1,
    kind: String(row.kind),
    description: String(row.description),
    tags: JSON.parse(String(row.tags)) as string[],
    note: row.note === null ? null : String(row.note),
    savedAt: Number(row.savedAt),
    contentBytes: Number(row.bytes),
    dependencies: JSON.parse(String(row.dependencies)) as SkillDependencyWire[],
  }
}

function notFound(name: string, version?: number): StoreError {
  return new StoreError(
    'NOT_FOUND',
    `There is no such ${version === undefined ? 'skill' : 'version of the skill'}. store.skills.list() tells what there is.`,
    { details: version === undefined ? { name } : { name, version } },
  )
}

function missing(name: string, version: number | null): StoreError {
  return new StoreError(
    'CONSTRAINT',
    'A dependency does not exist. Save it first, or together with what needs it. Nothing was saved.',
    { details: version === null ? { dependency: name } : { dependency: name, version } },
  )
}

function stillNeeded(name: string, dependents: readonly Row[]): StoreError {
  return new StoreError(
    'CONSTRAINT',
    'Other skills still depend on this one, in a current or an earlier version; details.dependents names them. Nothing was deleted.',
    { details: { name, dependents: dependents.map((row) => String(row.name)) } },
  )
}
