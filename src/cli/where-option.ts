/**
 * `--where "field operator value"` as a condition of the API. JSON knows numbers and text apart and a shell does not, so
 * a value is read as what its field holds, as far as the schema tells; where it does not, a number matches both. Double
 * quotes make any value text.
 */
import { builtInCollections, type CollectionSpec, type Condition, StoreError, z } from '../index.ts'

type Scalar = string | number | boolean
type Comparisons = { -readonly [K in keyof Extract<Condition<unknown>, object>]: unknown }
export type WhereConditions = Readonly<Record<string, Condition<unknown>>>

/** What a field can hold, as far as it is known. */
interface FieldKind {
  readonly text: boolean
  readonly number: boolean
}

const CONDITION = /^\s*([A-Za-z][A-Za-z0-9_]*)\s*(!=|>=|<=|=|>|<|\s+in\s+)\s*(.*?)\s*$/is
const NUMBER = /^-?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i
const DATE = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?<zone>Z|[+-]\d{2}:\d{2})?)?$/i
const OPERATOR = { '!=': 'ne', '>=': 'gte', '<=': 'lte', '>': 'gt', '<': 'lt' } as const

/** @throws StoreError `INVALID_ARGUMENT` for what is no condition. */
export function parseWhere(texts: readonly string[], spec: CollectionSpec): WhereConditions {
  const where: Record<string, Comparisons | null> = {}
  for (const text of texts) {
    const [, field, operator, operand] = CONDITION.exec(text) ?? []
    if (field === undefined || operator === undefined || operand === undefined) throw notACondition()
    const before = where[field] ?? {}
    const condition = comparison(operator.trim().toLowerCase(), operand, fieldKind(spec, field), field)
    if (condition === null ? field in where : where[field] === null || overlaps(before, condition)) {
      throw new StoreError(
        'INVALID_ARGUMENT',
        `"${field}" has two --where conditions of the same kind. Join them with in.`,
      )
    }
    where[field] = condition === null ? null : { ...before, ...condition }
  }
  return where as WhereConditions
}

/** A value on the command line that stands alone, such as a parameter of SQL. */
export function parseScalar(text: string): Scalar | null {
  if (text.startsWith('"')) return quoted(text)
  if (text === 'null') return null
  if (text === 'true' || text === 'false') return text === 'true'
  return NUMBER.test(text) ? Number(text) : text
}

function comparison(operator: string, operand: string, kind: FieldKind, field: string): Comparisons | null {
  if (operator === '=') {
    const values = alternatives(operand, kind, field)
    return values.length === 1 && values[0] === null ? null : { in: values }
  }
  if (operator === 'in') return { in: listItems(operand).flatMap((item) => alternatives(item, kind, field)) }
  const name = OPERATOR[operator as keyof typeof OPERATOR]
  const [value] = alternatives(operand, kind, field)
  if (value === null && name !== 'ne') {
    throw new StoreError(
      'INVALID_ARGUMENT',
      `Nothing is greater or less than null. Use ${field}=null or ${field}!=null.`,
    )
  }
  return { [name]: value }
}

/** What `text` may mean; first the likeliest, which is the one comparisons use. */
function alternatives(text: string, kind: FieldKind, field: string): (Scalar | null)[] {
  if (text.startsWith('"')) return [quoted(text)]
  if (text === 'null') return [null]
  const value = parseScalar(text)
  if (typeof value === 'string') return [kind.text ? value : instant(value, field)]
  if (typeof value === 'boolean') return kind.number ? [value, text] : [text, value]
  if (!kind.text) return [value]
  return kind.number ? [value, text] : [text]
}

function quoted(text: string): string {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'string') return value
  } catch {
    // Told below, without the value.
  }
  throw new StoreError('INVALID_ARGUMENT', 'A value that begins with a double quote has to be a JSON string.')
}

/** A field of numbers compared with a date is a time in Unix milliseconds. */
function instant(text: string, field: string): number {
  const match = DATE.exec(text)
  const ms = match === null ? Number.NaN : Date.parse(text.includes('T') && !match.groups?.zone ? `${text}Z` : text)
  if (!Number.isNaN(ms)) return ms
  throw new StoreError(
    'INVALID_ARGUMENT',
    `"${field}" holds numbers: give one, or for a time a date such as 2025-01-31.`,
  )
}

function listItems(text: string): string[] {
  const inner = /^[([](.*)[)\]]$/s.exec(text)?.[1] ?? text
  return (inner.match(/\s*(?:"(?:[^"\\]|\\.)*"|[^,]+)/g) ?? []).map((item) => item.trim()).filter(Boolean)
}

function overlaps(before: Comparisons, added: Comparisons): boolean {
  return Object.keys(added).some((name) => name in before)
}

function fieldKind({ name, key }: CollectionSpec, field: string): FieldKind {
  if (field === key) return { text: true, number: false }
  const schema = (builtInCollections as Readonly<Record<string, { schema: unknown }>>)[name]?.schema
  const type: unknown = schema instanceof z.ZodObject ? schema.shape[field] : undefined
  if (!(type instanceof z.ZodType)) return { text: true, number: true }
  const number = type.safeParse(12_345).success
  return { text: !number || type.safeParse('12345').success, number }
}

function notACondition(): StoreError {
  return new StoreError(
    'INVALID_ARGUMENT',
    '--where takes a field, an operator (=, !=, >, >=, <, <=, in) and a value, such as "state=open" or "state in open,filled".',
  )
}
