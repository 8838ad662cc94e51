/** What may be asked of artifacts. Names and tags are for people; they are never part of a path. */
import { z } from 'zod'
import { StoreError } from '../../protocol/store-error.ts'
import type { JsonValue } from '../../schema/json.ts'

const MAX_METADATA_BYTES = 1024 * 1024

const name = z
  .string()
  .min(1)
  .max(200)
  .regex(/^[^\p{C}]+$/u, 'has a character that can not be shown')
const tag = z
  .string()
  .min(1)
  .max(100)
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'takes letters, digits, . _ and -, and begins with a letter or digit')
  .refine((text) => !/^\d+$/.test(text), 'looks like the number of a version')
  .refine((text) => text !== 'latest', 'is what leaving the version out means')
const version = z.int().positive()
const json = z.custom<Readonly<Record<string, JsonValue>>>(isJsonObject, 'must be a plain object of JSON values')
const metrics = z.record(z.string().min(1), z.number())
const signal = z.custom<AbortSignal>((value) => value instanceof AbortSignal, 'not an AbortSignal')

export const artifactName = name
export const artifactTag = tag
export const artifactVersion = version
export const versionOrTag = z.union([version, tag]).optional()
export const artifactMetrics = metrics

export const putOptions = z.strictObject({
  metadata: json.optional(),
  metrics: metrics.optional(),
  tags: z.array(tag).optional(),
  parents: z.array(z.strictObject({ name, version })).optional(),
  uploadId: z.string().min(1).max(200).optional(),
  signal: signal.optional(),
})

export const listOptions = z.strictObject({
  prefix: z.string().max(200).optional(),
  tag: tag.optional(),
  after: z.string().optional(),
  limit: z.int().positive().max(10_000).optional(),
})

const listener = z.custom<(...args: never[]) => void>((value) => typeof value === 'function', 'not a function')

export const verifyOptions = z.strictObject({ onProgress: listener.optional() })

export const collectOptions = z.strictObject({ unfinishedOlderThanMs: z.number().nonnegative().optional() })

/** @throws StoreError `INVALID_ARGUMENT` */
export function checked<S extends z.ZodType>(call: string, schema: S, value: unknown): z.output<S> {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const problems = parsed.error.issues.map(({ path, message }) =>
    path.length === 0 ? message : `${path.map(String).join('.')}: ${message}`,
  )
  throw new StoreError('INVALID_ARGUMENT', `artifacts.${call} can't take this: ${problems.join('; ')}`, {
    details: { problems },
  })
}

function isJsonObject(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  try {
    return isJson(value, 0) && JSON.stringify(value).length <= MAX_METADATA_BYTES
  } catch {
    return false
  }
}

function isJson(value: unknown, depth: number): boolean {
  if (depth > 50) return false
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return true
  if (typeof value === 'number') return Number.isFinite(value)
  if (Array.isArray(value)) return value.every((each) => isJson(each, depth + 1))
  if (typeof value !== 'object') return false
  const prototype = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return false
  return Object.values(value).every((each) => isJson(each, depth + 1))
}
