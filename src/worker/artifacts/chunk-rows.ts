/** Rows of chunks, contents and their parts. Every statement takes a whole group: the commits of trading wait meanwhile. */
import { type Connection, queryOnce, type Row } from '../driver.ts'

/** A chunk that was sealed and is durable, and not yet in a row. */
export interface NewChunk {
  readonly address: Uint8Array
  readonly file: Uint8Array
  readonly offset: number
  readonly wrappedKey: Uint8Array
  readonly bytes: number
}

export interface Part {
  readonly at: number
  readonly address: Uint8Array
}

export interface ChunkRow {
  readonly id: number
  readonly address: Buffer
  readonly file: Buffer
  /** Where in the file it begins. */
  readonly offset: number
  readonly wrappedKey: Buffer
  readonly bytes: number
  readonly isDamaged: boolean
}

export const CHUNK_COLUMNS = 'c."id", c."address", c."file", c."offset", c."key", c."bytes", c."damaged"'

export function chunkRow(row: Readonly<Record<string, unknown>>): ChunkRow {
  return {
    id: Number(row.id),
    address: Buffer.from(row.address as Uint8Array),
    file: Buffer.from(row.file as Uint8Array),
    offset: Number(row.offset),
    wrappedKey: Buffer.from(row.key as Uint8Array),
    bytes: Number(row.bytes),
    isDamaged: Number(row.damaged) !== 0,
  }
}

/** The content of an upload, made by the first call. */
export async function touchContent(
  connection: Connection,
  { upload, now, newBytes }: { readonly upload: string; readonly now: number; readonly newBytes: number },
): Promise<number> {
  const [row] = await queryOnce(
    connection,
    `INSERT INTO "_artifactContents" ("upload", "touchedAt", "newBytes") VALUES (?, ?, ?)
     ON CONFLICT ("upload") DO UPDATE SET "touchedAt" = excluded."touchedAt", "newBytes" = "newBytes" + excluded."newBytes"
     RETURNING "id"`,
    [upload, now, newBytes],
  )
  return Number(row?.id)
}

/**
 * Gives each chunk a row, or its row the new place where that had no whole one. Those of an address which came in by
 * another put meanwhile are not needed.
 *
 * @returns files that no row names any more
 */
export async function recordChunks(connection: Connection, chunks: readonly NewChunk[]): Promise<Buffer[]> {
  if (chunks.length === 0) return []
  const json = JSON.stringify(
    chunks.map((each) => [hex(each.address), hex(each.file), hex(each.wrappedKey), each.bytes, each.offset]),
  )
  const given = `SELECT unhex(value ->> 0) AS "address", unhex(value ->> 1) AS "file", unhex(value ->> 2) AS "key", value ->> 3 AS "bytes",
    value ->> 4 AS "offset" FROM json_each(?)`
  const replaced = await queryOnce(
    connection,
    `SELECT c."file" FROM "_artifactChunks" AS c JOIN (${given}) AS g ON g."address" = c."address" WHERE c."damaged" = 1`,
    [json],
  )
  await queryOnce(
    connection,
    `INSERT INTO "_artifactChunks" ("address", "file", "offset", "key", "bytes")
     SELECT "address", "file", "offset", "key", "bytes" FROM (${given}) WHERE TRUE
     ON CONFLICT ("address") DO UPDATE SET "file" = excluded."file", "offset" = excluded."offset", "key" = excluded."key", "damaged" = 0
     WHERE "damaged" = 1`,
    [json],
  )
  return await withoutRow(connection, [
    ...replaced.map(({ file }) => file as Uint8Array),
    ...chunks.map(({ file }) => file),
  ])
}

/** Those of the files that no row names. */
export async function withoutRow(connection: Connection, files: readonly Uint8Array[]): Promise<Buffer[]> {
  if (files.length === 0) return []
  return namesOf(await queryOnce(connection, WITHOUT_ROW_SQL, [JSON.stringify([...new Set(files.map(hex))])]))
}

/** Takes names in hexadecimal, as an array in JSON. */
export const WITHOUT_ROW_SQL = `SELECT value AS "name" FROM json_each(?)
  WHERE NOT EXISTS (SELECT 1 FROM "_artifactChunks" AS c WHERE c."file" = unhex(value))`

export function namesOf(rows: readonly Row[]): Buffer[] {
  return rows.map(({ name }) => Buffer.from(String(name), 'hex'))
}

/** A chunk that was sealed anew. */
export interface MovedChunk {
  readonly id: number
  readonly file: Uint8Array
  readonly offset: number
  readonly wrappedKey: Uint8Array
}

/**
 * Gives the rows their new place, but for those that were deleted or have another one meanwhile.
 *
 * @returns files that no row names any more
 */
export async function moveChunks(
  connection: Connection,
  from: Uint8Array,
  moved: readonly MovedChunk[],
): Promise<Buffer[]> {
  const json = JSON.stringify(moved.map(({ id, file, offset, wrappedKey }) => [id, hex(file), offset, hex(wrappedKey)]))
  await queryOnce(
    connection,
    `UPDATE "_artifactChunks" AS c SET "file" = unhex(g.value ->> 1), "offset" = g.value ->> 2, "key" = unhex(g.value ->> 3)
     FROM json_each(?) AS g WHERE c."id" = g.value ->> 0 AND c."file" = ?`,
    [json, from],
  )
  return await withoutRow(connection, [from, ...moved.map(({ file }) => file)])
}

export async function recordParts(connection: Connection, content: number, parts: readonly Part[]): Promise<void> {
  if (parts.length === 0) return
  await queryOnce(
    connection,
    `INSERT INTO "_artifactParts" ("content", "at", "chunk")
     SELECT ?, value ->> 0, (SELECT c."id" FROM "_artifactChunks" AS c WHERE c."address" = unhex(value ->> 1)) FROM json_each(?)
     WHERE TRUE ON CONFLICT ("content", "at") DO NOTHING`,
    [content, JSON.stringify(parts.map(({ at, address }) => [at, hex(address)]))],
  )
}

/** Parts of a content that are taken away in one transaction. */
const DROPPED_PARTS = 256

export interface ShreddedChunks {
  readonly chunks: number
  readonly bytes: number
  /** Those that have no other chunks. */
  readonly files: readonly Buffer[]
}

/**
 * Takes away a content's first parts, and its row with the last of them.
 *
 * @param kept in hexadecimal, addresses that a put is about to name
 */
export async function dropParts(
  connection: Connection,
  content: number,
  kept: Iterable<string>,
): Promise<ShreddedChunks & { readonly isGone: boolean }> {
  const parts = await queryOnce(
    connection,
    `SELECT "at", "chunk" FROM "_artifactParts" WHERE "content" = ? ORDER BY "at" LIMIT ${DROPPED_PARTS}`,
    [content],
  )
  const last = parts.at(-1)
  if (last !== undefined) {
    await queryOnce(connection, `DELETE FROM "_artifactParts" WHERE "content" = ? AND "at" <= ?`, [
      content,
      Number(last.at),
    ])
  }
  const isGone = parts.length < DROPPED_PARTS
  if (isGone) await queryOnce(connection, `DELETE FROM "_artifactContents" WHERE "id" = ?`, [content])
  const chunks = [...new Set(parts.map(({ chunk }) => Number(chunk)))]
  return { ...(await shredUnreferenced(connection, chunks, kept)), isGone }
}

/** Of `chunks` deletes the rows that no content has. Each key is overwritten first: a page that SQLite gives back is not. */
export async function shredUnreferenced(
  connection: Connection,
  chunks: readonly number[],
  kept: Iterable<string>,
): Promise<ShreddedChunks> {
  const doomed = await queryOnce(
    connection,
    `UPDATE "_artifactChunks" AS c SET "key" = zeroblob(length(c."key"))
     WHERE c."id" IN (SELECT value FROM json_each(?))
       AND NOT EXISTS (SELECT 1 FROM "_artifactParts" AS p WHERE p."chunk" = c."id")
       AND c."address" NOT IN (SELECT unhex(value) FROM json_each(?))
     RETURNING "id", "file", "bytes"`,
    [JSON.stringify(chunks), JSON.stringify([...kept])],
  )
  if (doomed.length > 0) {
    await queryOnce(connection, `DELETE FROM "_artifactChunks" WHERE "id" IN (SELECT value FROM json_each(?))`, [
      JSON.stringify(doomed.map(({ id }) => id)),
    ])
  }
  return {
    chunks: doomed.length,
    bytes: doomed.reduce((sum, { bytes }) => sum + Number(bytes), 0),
    files: await withoutRow(
      connection,
      doomed.map(({ file }) => file as Uint8Array),
    ),
  }
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
