/**
 * The first keyword of every statement in a script. Just enough of SQLite's lexical rules (https://sqlite.org/lang.html:
 * strings, quoted names, comments, trigger bodies) to know where a statement begins.
 */
const TOKEN =
  /--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|\[[^\]]*\]|;|[A-Za-z_][A-Za-z0-9_$]*/g

export function statementKeywords(sql: string): string[] {
  const keywords: string[] = []
  let words: string[] = []
  let inTrigger = false
  for (const [token] of sql.matchAll(TOKEN)) {
    if (token === ';') {
      if (inTrigger && words[0] === 'END') inTrigger = false
      words = []
      continue
    }
    if (!/^[A-Za-z_]/.test(token)) {
      if (!token.startsWith('--') && !token.startsWith('/*') && words.length > 0) words.push('')
      continue
    }
    words.push(token.toUpperCase())
    if (words.length === 1 && !inTrigger) keywords.push(words[0] as string)
    if (!inTrigger && token.toUpperCase() === 'BEGIN' && isCreateTrigger(words)) {
      inTrigger = true
      words = []
    }
  }
  return keywords
}

function isCreateTrigger(words: readonly string[]): boolean {
  const kind = words[1] === 'TEMP' || words[1] === 'TEMPORARY' ? words[2] : words[1]
  return words[0] === 'CREATE' && kind === 'TRIGGER'
}
