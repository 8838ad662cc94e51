/** Versions, tags and lineage: how they are asked for, and what is made of their rows. */
import type {
  ArtifactLineage,
  ArtifactListRequest,
  ArtifactReference,
  ArtifactRelative,
  ArtifactSelector,
  ArtifactsStatus,
  ArtifactVersion,
} from '../../protocol/artifacts.ts'
import { StoreError } from '../../protocol/store-error.ts'
import type { BindValue, Row } from '../driver.ts'

export type RunQuery = (sql: string, parameters: readonly BindValue[]) => Promise<Row[]>

const VERSION_COLUMNS = `v."name", v."version", v."content", v."createdAt", v."bytes", v."metadata", v."metrics",
  (SELECT count(*) FROM "_artifactParts" AS p WHERE p."content" = v."content") AS "chunks",
  (SELECT json_group_array(t."tag" ORDER BY t."tag") FROM "_artifactTags" AS t WHERE t."name" = v."name" AND t."version" = v."version") AS "tags",
  (SELECT json_group_array(json_object('name', l."parentName", 'version', l."parentVersion") ORDER BY l."parentName", l."parentVersion")
   FROM "_artifactLineage" AS l WHERE l."name" = v."name" AND l."version" = v."version") AS "parents"`

export function versionOf(row: Row): ArtifactVersion {
  return {
    name: String(row.name),
    version: Number(row.version),
    bytes: Number(row.bytes),
    chunks: Number(row.chunks),
    createdAt: Number(row.createdAt),
    metadata: JSON.parse(String(row.metadata)),
    metrics: JSON.parse(String(row.metrics)),
    tags: JSON.parse(String(row.tags)),
    parents: JSON.parse(String(row.parents)),
  }
}

export interface FoundVersion {
  readonly info: ArtifactVersion
  readonly content: number
}

/** @throws StoreError `NOT_FOUND` */
export async function findVersion(query: RunQuery, { name, version }: ArtifactSelector): Promise<FoundVersion> {
  const [row] = await query(
    `SELECT ${VERSION_COLUMNS} FROM "_artifactVersions" AS v WHERE v."name" = ?1 AND ${
      version === null
        ? '?2 IS NULL'
        : typeof version === 'number'
          ? 'v."version" = ?2'
          : 'v."version" = (SELECT t."version" FROM "_artifactTags" AS t WHERE t."name" = ?1 AND t."tag" = ?2)'
    } ORDER BY v."version" DESC LIMIT 1`,
    [name, version],
  )
  if (row === undefined) throw notFound({ name, version })
  return { info: versionOf(row), content: Number(row.content) }
}

export async function versionsOf(query: RunQuery, name: string): Promise<ArtifactVersion[]> {
  const rows = await query(
    `SELECT ${VERSION_COLUMNS} FROM "_artifactVersions" AS v WHERE v."name" = ? ORDER BY v."version" DESC`,
    [name],
  )
  return rows.map(versionOf)
}

/** Of each artifact the newest version, or the one that has the tag. */
export async function listVersions(
  query: RunQuery,
  { prefix, tag, after, limit }: ArtifactListRequest,
): Promise<ArtifactVersion[]> {
  const which =
    tag === null
      ? '(SELECT max(n."version") FROM "_artifactVersions" AS n WHERE n."name" = v."name")'
      : '(SELECT t."version" FROM "_artifactTags" AS t WHERE t."name" = v."name" AND t."tag" = ?3)'
  const rows = await query(
    `SELECT ${VERSION_COLUMNS} FROM "_artifactVersions" AS v
     WHERE v."name" >= ?1 AND substr(v."name", 1, length(?1)) = ?1 AND (?2 IS NULL OR v."name" > ?2)
       AND (?3 IS NULL OR ?3 <> '') AND v."version" = ${which}
     ORDER BY v."name" LIMIT ?4`,
    [prefix, after, tag, limit],
  )
  return rows.map(versionOf)
}

/** @throws StoreError `NOT_FOUND` */
export async function lineageOf(query: RunQuery, selector: ArtifactSelector): Promise<ArtifactLineage> {
  const { info } = await findVersion(query, selector)
  return {
    ancestors: await relatives(query, info, 'ancestors'),
    descendants: await relatives(query, info, 'descendants'),
  }
}

/** Each once, at its shortest distance: a version has its parents when it is made, so the walk comes to an end. */
async function relatives(
  query: RunQuery,
  { name, version }: ArtifactReference,
  direction: 'ancestors' | 'descendants',
): Promise<ArtifactRelative[]> {
  const [from, to] = direction === 'ancestors' ? ['name', 'parentName'] : ['parentName', 'name']
  const [fromVersion, toVersion] =
    direction === 'ancestors' ? ['version', 'parentVersion'] : ['parentVersion', 'version']
  const rows = await query(
    `WITH RECURSIVE walk("name", "version", "distance") AS (
       SELECT ?, ?, 0
       UNION
       SELECT l."${to}", l."${toVersion}", w."distance" + 1 FROM walk AS w
       JOIN "_artifactLineage" AS l ON l."${from}" = w."name" AND l."${fromVersion}" = w."version"
     )
     SELECT w."name", w."version", min(w."distance") AS "distance",
       NOT EXISTS (SELECT 1 FROM "_artifactVersions" AS v WHERE v."name" = w."name" AND v."version" = w."version") AS "isDeleted"
     FROM walk AS w WHERE w."distance" > 0 GROUP BY 1, 2 ORDER BY 3, 1, 2`,
    [name, version],
  )
  return rows.map((row) => ({
    name: String(row.name),
    version: Number(row.version),
    distance: Number(row.distance),
    isDeleted: Number(row.isDeleted) !== 0,
  }))
}

export async function statusOf(query: RunQuery): Promise<ArtifactsStatus> {
  const [row] = await query(
    `SELECT (SELECT count(DISTINCT "name") FROM "_artifactVersions") AS "artifacts",
       (SELECT count(*) FROM "_artifactVersions") AS "versions",
       (SELECT coalesce(sum("bytes"), 0) FROM "_artifactVersions") AS "contentBytes",
       (SELECT count(*) FROM "_artifactChunks") AS "chunks",
       (SELECT coalesce(sum("bytes"), 0) FROM "_artifactChunks") AS "chunkBytes",
       (SELECT count(*) FROM "_artifactContents" AS c
        WHERE NOT EXISTS (SELECT 1 FROM "_artifactVersions" AS v WHERE v."content" = c."id")) AS "unfinishedUploads"`,
    [],
  )
  const count = (name: keyof ArtifactsStatus) => Number(row?.[name] ?? 0)
  return {
    artifacts: count('artifacts'),
    versions: count('versions'),
    chunks: count('chunks'),
    chunkBytes: count('chunkBytes'),
    contentBytes: count('contentBytes'),
    unfinishedUploads: count('unfinishedUploads'),
  }
}

export function notFound({ name, version }: ArtifactSelector): StoreError {
  const which =
    version === null ? '' : typeof version === 'number' ? ` in version ${version}` : ` with the tag "${version}"`
  return new StoreError(
    'NOT_FOUND',
    `There is no artifact "${name}"${which}. See artifacts.list and artifacts.versions.`,
    {
      details: { name, ...(version === null ? {} : { version }) },
    },
  )
}
