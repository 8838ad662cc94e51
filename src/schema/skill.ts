/** What a skill is: the shape `store.skills.save` takes, and the bounds of every part of it. */
import * as z from 'zod'
import type { JsonValue } from './json.ts'

const MAX_NAME_LENGTH = 200
export const MAX_SKILL_CONTENT_BYTES = 4 * 1024 * 1024
export const MAX_SKILL_METADATA_BYTES = 256 * 1024
const MAX_TAGS = 64
const MAX_DEPENDENCIES = 256
const MAX_METRICS = 256
const MAX_DEPTH = 30

const CONTROL = /\p{Cc}/u

function lineOf(maxLength: number) {
  return z
    .string()
    .min(1)
    .max(maxLength)
    .refine((text) => text.isWellFormed() && !CONTROL.test(text), 'must be well-formed, without control characters')
    .refine((text) => text.trim() === text, 'must not begin or end with white space')
}

/** Text that comes back from the database as it went in. */
const wholeText = z.string().refine((text) => text.isWellFormed() && !text.includes('\0'), {
  error: 'must be well-formed, without NUL',
})

/** `name@3` is a version of it, on the command line. */
export const skillName = lineOf(MAX_NAME_LENGTH).refine((name) => !/@\d+$/.test(name), 'must not end in @ and a number')
export const skillTag = lineOf(100)
export const skillKind = lineOf(50)
export const skillVersion = z.int().positive()

const dependency = z.union([skillName, z.strictObject({ name: skillName, version: skillVersion })])

const metadata = z.custom<Readonly<Record<string, JsonValue>>>(
  (value) => isPlainObject(value) && isJson(value, 0),
  `must be an object of JSON values, at most ${MAX_DEPTH} levels deep`,
)

export const skillInput = z.strictObject({
  name: skillName,
  kind: skillKind.optional(),
  description: wholeText.max(10_000).optional(),
  content: wholeText,
  metadata: metadata.optional(),
  tags: z.array(skillTag).max(MAX_TAGS).optional(),
  dependencies: z.array(dependency).max(MAX_DEPENDENCIES).optional(),
  note: wholeText.max(1_000).optional(),
})

/** Metrics by name, as finite numbers, and when they were measured (Unix milliseconds; default: now). */
export const skillPerformance = z
  .record(lineOf(100), z.number())
  .refine((record) => Object.keys(record).length <= MAX_METRICS, `at most ${MAX_METRICS} metrics`)
  .refine((record) => Object.keys(record).some((name) => name !== 'at'), 'at least one metric')
  .refine((record) => record.at === undefined || Number.isSafeInteger(record.at), {
    error: 'must be Unix milliseconds',
    path: ['at'],
  })

function isPlainObject(value: unknown): value is object {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const prototype = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** Members that are undefined are left out, as JSON does. */
function isJson(value: unknown, depth: number): boolean {
  if (depth > MAX_DEPTH) return false
  if (value === null || typeof value === 'boolean') return true
  if (typeof value === 'string') return value.isWellFormed()
  if (typeof value === 'number') return Number.isFinite(value)
  if (Array.isArray(value)) return Array.from(value).every((each) => isJson(each, depth + 1))
  return isPlainObject(value) && Object.values(value).every((each) => each === undefined || isJson(each, depth + 1))
}
