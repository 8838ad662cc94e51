/** Looks for secrets in bytes, in the encodings in which they could have got there. */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

interface Needle {
  readonly name: string
  readonly encoding: string
  readonly bytes: Buffer
}

/** A text is hidden in base64 in three ways, as it can begin at any byte of a group; the ends belong to neighbours. */
function base64Forms(bytes: Buffer): string[] {
  return [0, 1, 2].map((shift) => {
    const text = Buffer.concat([Buffer.alloc(shift), bytes])
      .toString('base64')
      .replaceAll('=', '')
    return text.slice(shift === 0 ? 0 : shift + 1, -2)
  })
}

function needlesOf(name: string, secret: string | Buffer): Needle[] {
  const bytes = Buffer.from(secret as string)
  const hex = bytes.toString('hex')
  const forms: [string, Buffer][] = [
    ['utf-8', bytes],
    ['hex', Buffer.from(hex)],
    ['hex', Buffer.from(hex.toUpperCase())],
    ['utf-16', Buffer.from(bytes.toString('latin1'), 'utf16le')],
    ...base64Forms(bytes).flatMap((text): [string, Buffer][] => [
      ['base64', Buffer.from(text)],
      ['base64url', Buffer.from(text.replaceAll('+', '-').replaceAll('/', '_'))],
    ]),
  ]
  return forms.map(([encoding, form]) => ({ name, encoding, bytes: form }))
}

export class Secrets {
  readonly #needles: readonly Needle[]

  /** By a name that may be printed; the longer a secret, the surer a find. */
  constructor(secrets: Readonly<Record<string, string | Buffer>>) {
    this.#needles = Object.entries(secrets).flatMap(([name, secret]) => needlesOf(name, secret))
  }

  /** Names and encodings of the secrets that occur in `bytes`. */
  findIn(bytes: Buffer): string[] {
    const found = this.#needles.filter((needle) => bytes.includes(needle.bytes))
    return [...new Set(found.map(({ name, encoding }) => `${name} as ${encoding}`))]
  }

  findInText(text: string): string[] {
    return this.findIn(Buffer.from(text))
  }

  /** The same for the names and contents of all files below a directory. */
  findBelow(dir: string): string[] {
    const names = readdirSync(dir, { recursive: true, encoding: 'utf8' })
    const found = this.findInText(names.join('\n')).map((what) => `${what} in a file name`)
    for (const name of names) {
      const path = join(dir, name)
      if (!statSync(path).isFile()) continue
      found.push(...this.findIn(readFileSync(path)).map((what) => `${what} in ${name}`))
    }
    return found
  }
}
