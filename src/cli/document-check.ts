/**
 * Judges a document before anything is written, by the schema the API would use. The schema of a collection that a
 * program has defined lives in that program; the store, and so this command, knows only its key.
 */
import { builtInCollections, type CollectionSpec, type JsonValue, z } from '../index.ts'

const MAX_KEY_LENGTH = 1_024

export type DocumentCheck = (document: unknown) => readonly string[]

/** Returns what is wrong with a document, by path and never with a value; nothing when it is valid. */
export function documentCheck(spec: CollectionSpec): DocumentCheck {
  const known = (builtInCollections as Readonly<Record<string, { schema: z.ZodType }>>)[spec.name]
  const schema = known?.schema ?? z.looseObject({ [spec.key]: z.string() })
  return (document) => {
    const parsed = schema.safeParse(document)
    if (!parsed.success) return parsed.error.issues.map(describeIssue)
    const key = (parsed.data as Readonly<Record<string, JsonValue>>)[spec.key]
    const isKey = typeof key === 'string' && key.length > 0 && key.length <= MAX_KEY_LENGTH && !key.includes('\0')
    return isKey ? [] : [`${spec.key}: the key must be a string of 1 to ${MAX_KEY_LENGTH} characters without NUL`]
  }
}

/** A message of a custom check is its author's and might quote the value; those of zod itself do not. */
function describeIssue({ code, path, message }: z.core.$ZodIssue): string {
  const place = path.length === 0 ? '(document)' : path.map(String).join('.')
  return `${place}: ${code === 'custom' ? 'refused by a check of its schema' : message}`
}
