/** The ways a value might stand in a file in clear, or as good as. */

export interface Encoding {
  readonly name: string
  /** A whole file in this encoding. */
  readonly encode: (text: string) => Buffer
  /** What to look for: base64 of a value depends on where in the file it begins. */
  readonly patterns: (value: string) => readonly Buffer[]
}

export const ENCODINGS: readonly Encoding[] = [
  simple('UTF-8', (text) => Buffer.from(text, 'utf8')),
  simple('UTF-16 LE', (text) => Buffer.from(text, 'utf16le')),
  simple('UTF-16 BE', (text) => Buffer.from(text, 'utf16le').swap16()),
  {
    name: 'base64',
    encode: (text) => Buffer.from(Buffer.from(text, 'utf8').toString('base64')),
    patterns: (value) => [0, 1, 2].map((offset) => base64At(value, offset)),
  },
  simple('hex', (text) => Buffer.from(Buffer.from(text, 'utf8').toString('hex'))),
  simple('HEX', (text) => Buffer.from(Buffer.from(text, 'utf8').toString('hex').toUpperCase())),
]

function simple(name: string, encode: (text: string) => Buffer): Encoding {
  return { name, encode, patterns: (value) => [encode(value)] }
}

/** The characters of the base64 that depend on the value alone, when it begins `offset` bytes into a group of three. */
function base64At(value: string, offset: number): Buffer {
  const bytes = Buffer.concat([Buffer.alloc(offset), Buffer.from(value, 'utf8')])
  const first = Math.ceil((offset * 8) / 6)
  const last = Math.floor((bytes.length * 8) / 6)
  return Buffer.from(bytes.toString('base64').slice(first, last))
}
