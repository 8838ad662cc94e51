/**
 * Where the tokens of a query stand, by SQLite's lexical rules (https://sqlite.org/lang.html, `tokenize.c`): enough of
 * them to point at a place in a query and to tell names and keywords from what may be a value.
 */

/**
 * `word`: a name or keyword without quotes. `quoted`: a text, or a name in quotes, which SQLite takes for a text where
 * there is no such name. `unclosed`: a quote that never ends. `placeholder`: stands for a parameter.
 */
export type SqlTokenKind = 'word' | 'quoted' | 'unclosed' | 'number' | 'placeholder' | 'symbol'

export interface SqlToken {
  readonly kind: SqlTokenKind
  readonly text: string
  /** In UTF-16 units from the beginning. */
  readonly offset: number
}

const WORD = /[A-Za-z_\u0080-\uffff][A-Za-z0-9_$\u0080-\uffff]*/y
const RULES: readonly (readonly [RegExp, SqlTokenKind | undefined])[] = [
  [/\s+|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)/y, undefined],
  [/[xX]?'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]/y, 'quoted'],
  [/['"`[][\s\S]*/y, 'unclosed'],
  [/(?:\d|\.\d)[A-Za-z0-9_.]*/y, 'number'],
  [/\?\d*|[:@$][A-Za-z_0-9$]+/y, 'placeholder'],
  [WORD, 'word'],
  [/->>|->|<=|>=|<>|<<|>>|!=|==|\|\||[\s\S]/y, 'symbol'],
]

export function sqlTokens(sql: string): SqlToken[] {
  const tokens: SqlToken[] = []
  let offset = 0
  while (offset < sql.length) {
    for (const [rule, kind] of RULES) {
      rule.lastIndex = offset
      const text = rule.exec(sql)?.[0]
      if (text === undefined) continue
      if (kind !== undefined) tokens.push({ kind, text, offset })
      offset += text.length
      break
    }
  }
  return tokens
}
