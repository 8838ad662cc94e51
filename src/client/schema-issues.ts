/**
 * What zod has against a document, without the document: the messages of zod itself tell types and bounds, but one that
 * a schema's author wrote may quote what it was given.
 */
import { z } from 'zod'

const { localeError } = z.locales.en()

/** One line an issue: its path and what is wrong there. `input` is what `schema` has just refused. */
export function describeIssues(schema: z.ZodType, input: unknown): string[] {
  const { error } = schema.safeParse(input, { reportInput: true })
  return error?.issues.map((issue) => `${formatPath(issue.path)}: ${messageOf(issue)}`) ?? []
}

export function formatPath(path: readonly PropertyKey[]): string {
  return path.length === 0 ? '(document)' : path.map(String).join('.')
}

function messageOf(issue: z.core.$ZodIssue): string {
  if (issue.code === 'custom') return 'refused by a check of its schema'
  const plain = localeError({ ...issue, input: issue.input } as z.core.$ZodRawIssue)
  const plainText = (typeof plain === 'string' ? plain : plain?.message) ?? 'not valid'
  return quotes(issue.message, issue.input) ? plainText : issue.message
}

/** True when `text` may hold the value or a part of it. */
function quotes(text: string, value: unknown): boolean {
  if (typeof value === 'object' && value !== null) return true
  return typeof value !== 'boolean' && value !== null && value !== undefined && text.includes(String(value))
}
