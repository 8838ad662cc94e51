/**
 * What is wrong with a query, and where, without a word of what may be a value. SQLite names the token, table or column
 * at fault. These are names in a well-formed query, but what stands between quotes may be a value, and SQLite takes one
 * for a name where it can: only what the query has without quotes is shown, anything else by its place alone.
 */
import { type SqlToken, sqlTokens } from './sql-tokens.ts'

/** More than these places, and it helps nobody. */
const MOST_PLACES = 4
const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/

/** `message` is what SQLite says of `sql`, which got so many `parameters`. */
export function describeSqlError(message: string, sql: string, parameters: number): string {
  const tokens = sqlTokens(sql)
  const [first] = tokens
  if (first === undefined || tokens.every(({ text }) => text === ';')) return 'it is empty.'
  if (first.text.toLowerCase() === 'pragma') return PRAGMA
  const unclosed = tokens.find(({ kind }) => kind === 'unclosed')
  if (unclosed !== undefined) return `the quote at ${place(sql, unclosed.offset)} is never closed.`
  const placeholders = countPlaceholders(tokens)
  if (placeholders !== undefined && placeholders !== parameters) {
    return `it has ${placeholders} placeholder(s) and was given ${parameters} parameter(s).`
  }
  return describeToken(message, sql, tokens) ?? describeName(message, sql, tokens) ?? WHAT_IS_TAKEN
}

const WHAT_IS_TAKEN =
  'it has to be one SELECT (or WITH, VALUES, EXPLAIN) statement with correct syntax; nothing is ever written through it.'
const PRAGMA = 'a PRAGMA is read as a table: SELECT * FROM pragma_table_info(?). Nothing is ever written through it.'

function describeToken(message: string, sql: string, tokens: readonly SqlToken[]): string | undefined {
  const token =
    /near "([\s\S]*)": syntax error$/.exec(message)?.[1] ?? /unrecognized token: "([\s\S]*)"$/.exec(message)?.[1]
  if (token === undefined) return undefined
  const found = tokens.filter(({ text }) => text === token)
  const places = found.map(({ offset }) => place(sql, offset))
  // The query is run in parentheses: one that breaks off is at fault at the one that closes them.
  if (token === ')') places.push('its end')
  const shown = found.every(({ kind }) => kind === 'word' || kind === 'symbol') && token !== '' ? ` "${token}"` : ''
  if (places.length === 0 || places.length > MOST_PLACES) return `syntax error; ${WHAT_IS_TAKEN}`
  return `syntax error${found.length === 0 ? '' : ` near${shown}`} at ${places.join(' or ')}; ${WHAT_IS_TAKEN}`
}

const NAMED =
  /(no such (?:table|column|function|index)|ambiguous column name|wrong number of arguments to function|misuse of (?:aggregate|window function|aggregate function)):? ([A-Za-z_][A-Za-z0-9_.]*)(?:\(\))?$/

function describeName(message: string, sql: string, tokens: readonly SqlToken[]): string | undefined {
  const [, problem, name = ''] = NAMED.exec(message) ?? []
  if (problem === undefined) return undefined
  const words = new Set(tokens.filter(({ kind }) => kind === 'word').map(({ text }) => text.toLowerCase()))
  const parts = name.split('.')
  if (!parts.every((part) => words.has(part.toLowerCase()))) return `${problem}.`
  const last = (parts.at(-1) as string).toLowerCase()
  const found = tokens.filter(({ kind, text }) => kind === 'word' && text.toLowerCase() === last)
  const where = found.length > MOST_PLACES ? '' : ` at ${found.map(({ offset }) => place(sql, offset)).join(' or ')}`
  return `${problem} "${name}"${where}.`
}

/** The name of a column, where it can be no value of the query: one in quotes may be. */
export function shownColumn(name: string, sql: string): string | undefined {
  if (!NAME.test(name)) return undefined
  const isWord = sqlTokens(sql).some(({ kind, text }) => kind === 'word' && text === name)
  return isWord || !sql.includes(name) ? name : undefined
}

/** Undefined where placeholders have numbers or names. */
function countPlaceholders(tokens: readonly SqlToken[]): number | undefined {
  const placeholders = tokens.filter(({ kind }) => kind === 'placeholder')
  return placeholders.every(({ text }) => text === '?') ? placeholders.length : undefined
}

function place(sql: string, offset: number): string {
  const before = sql.slice(0, offset)
  const line = before.split('\n').length
  const character = [...before.slice(before.lastIndexOf('\n') + 1)].length + 1
  return line === 1 && !sql.includes('\n') ? `character ${character}` : `line ${line}, character ${character}`
}
