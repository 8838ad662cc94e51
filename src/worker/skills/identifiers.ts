/**
 * Code says `meanReversion` where a person asks for "mean reversion". The tokenizer takes an identifier for one word
 * (https://sqlite.org/fts5.html#unicode61_tokenizer), so its parts are indexed beside it.
 */

/** Bounded, so that a long line without a break costs no more than its length. */
const WORD = /[\p{L}\p{N}]{2,100}/gu
const HUMP = /\p{Ll}\p{Lu}/u
const PART = /\p{Lu}+(?!\p{Ll})|\p{Lu}?[^\p{Lu}\p{N}]+|\p{N}+/gu

const MAX_IDENTIFIERS = 2_000

/** `meanReversionBTC` is mean, Reversion, BTC; a word of one part is itself. */
export function partsOf(word: string): readonly string[] {
  return HUMP.test(word) ? (word.match(PART) ?? [word]) : [word]
}

/** The parts of all identifiers in camel case that occur in `text`, each identifier once. */
export function identifierWords(text: string): string {
  const found = new Set<string>()
  for (const [word] of text.matchAll(WORD)) {
    if (!HUMP.test(word)) continue
    found.add(word)
    if (found.size === MAX_IDENTIFIERS) break
  }
  return [...found].map((word) => partsOf(word).join(' ')).join('\n')
}
