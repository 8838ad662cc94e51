/** Quotes an identifier for SQL (https://sqlite.org/lang_keywords.html). */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** Quotes a text literal for SQL; only for names and paths of our own, never for values. */
export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}
