/**
 * What a store directory knows about its archive: small files that prove, at the next open, that nothing was written
 * past the archive since its last segment. An owner that does not archive removes them, and so does an archiver that
 * gives a generation up; without them the next one begins a new generation.
 */
import { rmSync } from 'node:fs'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import { publishFile, stageFile } from '../../crypto/atomic-file.ts'
import { DATABASE_FILES, type DatabaseFile } from '../../schema/database-file.ts'
import { sha256Hex } from './segment.ts'

const LINK_FILE = 'archive.json'

const link = z.strictObject({ version: z.literal(1), generation: z.string() })
const logEnd = z.strictObject({
  version: z.literal(1),
  generation: z.string(),
  /** The last segment before the log was emptied. */
  number: z.int().nonnegative(),
  sha256: sha256Hex,
})

export type LogEnd = z.infer<typeof logEnd>

/** The generation that has missed nothing since it began. */
export async function linkedGeneration(dir: string): Promise<string | undefined> {
  return (await readJson(join(dir, LINK_FILE), link))?.generation
}

export async function writeLink(dir: string, generation: string): Promise<void> {
  await publishFile(await stageFile(join(dir, LINK_FILE), JSON.stringify({ version: 1, generation })))
}

export async function readLogEnd(dir: string, file: DatabaseFile): Promise<LogEnd | undefined> {
  return await readJson(logEndPath(dir, file), logEnd)
}

/** Before the log of a database is emptied with all its frames archived. */
export async function writeLogEnd(dir: string, file: DatabaseFile, end: Omit<LogEnd, 'version'>): Promise<void> {
  await publishFile(await stageFile(logEndPath(dir, file), JSON.stringify({ version: 1, ...end })))
}

/** From now on something may be written that no archive has. At once, because what follows must not come before it. */
export function cutLink(dir: string): void {
  rmSync(join(dir, LINK_FILE), { force: true })
}

/** For an owner that does not archive. */
export async function removeLink(dir: string): Promise<void> {
  cutLink(dir)
  for (const file of DATABASE_FILES) await rm(logEndPath(dir, file), { force: true })
}

function logEndPath(dir: string, file: DatabaseFile): string {
  return join(dir, `archive.${file}.end`)
}

async function readJson<T>(path: string, schema: z.ZodType<T>): Promise<T | undefined> {
  try {
    return schema.parse(JSON.parse(await readFile(path, 'utf8')))
  } catch {
    return undefined
  }
}
