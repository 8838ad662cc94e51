/**
 * What a terminal is given. Values come from exchanges and other outsiders: an escape sequence among them could
 * rewrite the screen or the clipboard of whoever looks at a table, so control characters are shown, never sent.
 */

const SHORT_ESCAPES: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }

/** Text on one line, with control characters as escapes. */
export function visibleText(text: string): string {
  return text.replace(/\p{Cc}/gu, (character) => SHORT_ESCAPES[character] ?? escapeUnit(character))
}

/** A JSON text whose bytes are safe on a terminal; it still parses to the same value. */
export function jsonText(value: unknown, indent?: number): string {
  const text = JSON.stringify(value, withBlobsAsHex, indent)
  return text.replace(/[\u007f-\u009f]/g, escapeUnit)
}

export function hexBlob(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}

function withBlobsAsHex(_name: string, value: unknown): unknown {
  return value instanceof Uint8Array ? hexBlob(value) : value
}

function escapeUnit(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}
