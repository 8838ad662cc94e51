/**
 * Search over the current version of every skill, ranked by FTS5's bm25 with a weight for each column. Two steps in one
 * statement: filters and rank find the best, for which SQLite keeps no more rows than are asked for; then these alone
 * have their snippets cut. FTS5's own order by `rank` sorts all that match, and ranks them before the filters.
 */
import {
  type SkillFilter,
  type SkillListRequest,
  type SkillMatchWire,
  type SkillSearchRequest,
  type SkillSummary,
  SNIPPET_CLOSE,
  SNIPPET_OPEN,
} from '../../protocol/skills.ts'
import type { BindValue, Row } from '../driver.ts'
import { matchExpression } from './match-expression.ts'

type Query = (sql: string, parameters: readonly BindValue[]) => Promise<Row[]>

const SUMMARY_COLUMNS = `s."name", s."version", v."kind", v."description", v."tags", s."sharpe", s."createdAt", s."updatedAt"`
const CURRENT = `JOIN "_skillVersions" v ON v."skill" = s."id" AND v."version" = s."version"`

/** name, tags, description, identifiers, content. */
const RANK = 'bm25("_skillSearch", 10.0, 6.0, 4.0, 2.0, 1.0)'

/** Columns of the index, by number. */
const DESCRIPTION = 2
const CONTENT = 4

export async function listSkills(query: Query, request: SkillListRequest): Promise<SkillSummary[]> {
  const { sql, values } = filterSql(request)
  const rows = await query(
    `SELECT ${SUMMARY_COLUMNS} FROM "_skills" s ${CURRENT}
     WHERE s."deletedAt" IS NULL AND s."name" > ?${sql} ORDER BY s."name" LIMIT ?`,
    [request.after ?? '', ...values, request.limit],
  )
  return rows.map(summaryOf)
}

/** A text without a word in it finds what the filters let through, newest first. */
export async function searchSkills(query: Query, request: SkillSearchRequest): Promise<SkillMatchWire[]> {
  const expression = matchExpression(request.text, request.match)
  const filters = filterSql(request)
  if (expression === null) {
    const rows = await query(
      `SELECT ${SUMMARY_COLUMNS} FROM "_skills" s ${CURRENT}
       WHERE s."deletedAt" IS NULL${filters.sql} ORDER BY s."updatedAt" DESC, s."id" DESC LIMIT ?`,
      [...filters.values, request.limit],
    )
    return rows.map((row) => ({ ...summaryOf(row), score: 0, snippet: '' }))
  }
  const cut = (column: number) => `snippet("_skillSearch", ${column}, ?, ?, '…', ?)`
  const marks = [SNIPPET_OPEN, SNIPPET_CLOSE, request.snippetTokens]
  const joins = filters.sql === '' ? '' : `CROSS JOIN "_skills" s ON s."id" = f."rowid" ${CURRENT}`
  const rows = await query(
    `WITH best AS MATERIALIZED (
       SELECT f."rowid" AS "id", ${RANK} AS "rank" FROM "_skillSearch" f ${joins}
       WHERE "_skillSearch" MATCH ?${filters.sql} ORDER BY 2 LIMIT ?
     )
     SELECT ${SUMMARY_COLUMNS}, -b."rank" AS "score", ${cut(DESCRIPTION)} AS "inDescription", ${cut(CONTENT)} AS "inContent"
     FROM best b CROSS JOIN "_skillSearch" f ON f."rowid" = b."id" CROSS JOIN "_skills" s ON s."id" = b."id" ${CURRENT}
     WHERE "_skillSearch" MATCH ? ORDER BY b."rank", b."id"`,
    [expression, ...filters.values, request.limit, ...marks, ...marks, expression],
  )
  return rows.map((row) => ({ ...summaryOf(row), score: Number(row.score), snippet: snippetOf(row) }))
}

/** Where the words are; a match of name or tags alone is shown with the beginning of its text. */
function snippetOf({ inDescription, inContent }: Row): string {
  const texts = [String(inDescription), String(inContent)]
  return texts.find((text) => text.includes(SNIPPET_OPEN)) ?? texts.find((text) => text !== '') ?? ''
}

function filterSql({ kind, tags, minSharpe }: SkillFilter): { readonly sql: string; readonly values: BindValue[] } {
  const conditions: string[] = []
  const values: BindValue[] = []
  if (kind !== null) {
    conditions.push('v."kind" = ?')
    values.push(kind)
  }
  if (minSharpe !== null) {
    conditions.push('s."sharpe" >= ?')
    values.push(minSharpe)
  }
  for (const tag of tags) {
    conditions.push('EXISTS (SELECT 1 FROM "_skillTags" t WHERE t."tag" = ? AND t."skill" = s."id")')
    values.push(tag)
  }
  return { sql: conditions.map((condition) => ` AND ${condition}`).join(''), values }
}

function summaryOf(row: Row): SkillSummary {
  return {
    name: String(row.name),
    version: Number(row.version),
    kind: String(row.kind),
    description: String(row.description),
    tags: JSON.parse(String(row.tags)) as string[],
    sharpe: row.sharpe === null ? null : Number(row.sharpe),
    createdAt: Number(row.createdAt),
    updatedAt: Number(row.updatedAt),
  }
}
