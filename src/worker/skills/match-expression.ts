/**
 * From what a person types to an expression of FTS5 (https://sqlite.org/fts5.html#full_text_query_syntax). Nothing of the
 * input reaches it but as the content of a quoted string, in which FTS5 knows no syntax; every operator is ours.
 *
 *   mean reversion        both words
 *   "mean reversion"      as a phrase
 *   rever*                words that begin so; "mean rever*" within a phrase, too
 *   BTC OR ETH            either
 *   -grid, NOT grid       without
 */
import { StoreError } from '../../protocol/store-error.ts'
import { partsOf } from './identifiers.ts'

const MAX_LENGTH = 1_000
const MAX_TERMS = 64

/** What the tokenizer makes words of: anything else separates them. */
const TOKEN = /[\p{L}\p{N}\p{Co}]/u

interface Term {
  readonly text: string
  readonly isPrefix: boolean
  readonly isExcluded: boolean
  /** An alternative to the term before it. */
  readonly isAlternative: boolean
}

/**
 * The expression, or null for a text without a word in it.
 *
 * @throws StoreError `INVALID_QUERY` for one that is too long, or says only what is not to be there
 */
export function matchExpression(text: string, match: 'all' | 'any'): string | null {
  if (text.length > MAX_LENGTH) throw invalid(`It may have ${MAX_LENGTH} characters, and has ${text.length}.`)
  const terms = termsOf(text)
  if (terms.length > MAX_TERMS) throw invalid(`It may have ${MAX_TERMS} words and phrases, and has ${terms.length}.`)
  if (terms.length === 0) return null
  const wanted = terms.filter(({ isExcluded }) => !isExcluded)
  if (wanted.length === 0) throw invalid('It says only what is not to be there; add a word to look for.')
  const groups: string[][] = []
  for (const [index, term] of wanted.entries()) {
    const last = groups.at(-1)
    if (last !== undefined && index > 0 && term.isAlternative) last.push(termSql(term))
    else groups.push([termSql(term)])
  }
  const alternatives = groups.map((group) => joined(group, 'OR'))
  const expression = joined(alternatives, match === 'all' ? 'AND' : 'OR')
  const excluded = terms.filter(({ isExcluded }) => isExcluded).map(termSql)
  return excluded.length === 0 ? expression : `${expression} NOT ${joined(excluded, 'OR')}`
}

function joined(parts: readonly string[], operator: 'AND' | 'OR'): string {
  return parts.length === 1 ? (parts[0] as string) : `(${parts.join(` ${operator} `)})`
}

function termSql({ text, isPrefix }: Term): string {
  const star = isPrefix ? ' *' : ''
  const parts = partsOf(text)
  return parts.length === 1 ? `${quoted(text)}${star}` : `(${quoted(text)}${star} OR ${quoted(parts.join(' '))}${star})`
}

/** Quotes never are part of a term: they delimit phrases. */
function quoted(text: string): string {
  return `"${text.replaceAll('"', ' ')}"`
}

/** A quote opens a phrase up to the next one, or to the end. */
const PIECE = /(?<minus>-?)(?:"(?<phrase>[^"]*)"?|(?<word>[^\s"]+))(?<star>\*?)/gu

function termsOf(input: string): Term[] {
  const text = input.toWellFormed().replace(/\p{Cc}/gu, ' ')
  const terms: Term[] = []
  let isExcluded = false
  let isAlternative = false
  for (const { groups } of text.matchAll(PIECE)) {
    const { minus = '', phrase, word = '', star = '' } = groups ?? {}
    if (phrase === undefined && minus === '') {
      if (word === 'AND') continue
      if (word === 'OR') {
        isAlternative = true
        continue
      }
      if (word === 'NOT') {
        isExcluded = true
        continue
      }
    }
    const content = phrase ?? word
    if (TOKEN.test(content)) {
      terms.push({
        text: content.replace(/\*+$/u, ''),
        isPrefix: star !== '' || content.endsWith('*'),
        isExcluded: isExcluded || minus !== '',
        isAlternative,
      })
    }
    isExcluded = false
    isAlternative = false
  }
  return terms
}

function invalid(reason: string): StoreError {
  return new StoreError('INVALID_QUERY', `Skills can't be searched for this text. ${reason}`)
}
