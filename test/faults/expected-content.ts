/** What a database file has to hold after given writes: documents with their versions, and a digest of all of it. */
import { createHash } from 'node:crypto'
import type { Write } from './workload.ts'

export interface StoredDocument {
  readonly version: number
  readonly document: unknown
}

/** Stored documents by `collection/key`. */
export type Content = ReadonlyMap<string, StoredDocument>

export class ExpectedContent {
  readonly #documents = new Map<string, StoredDocument>()
  readonly #digest = new ContentDigest()

  get documents(): Content {
    return this.#documents
  }

  get digest(): string {
    return this.#digest.text
  }

  apply(writes: readonly Write[]): void {
    for (const write of writes) {
      const id = `${write.collection}/${write.key}`
      const before = this.#documents.get(id)
      if (before !== undefined) this.#digest.toggle(id, before)
      this.#documents.delete(id)
      if (write.kind === 'delete') continue
      const after = { version: (before?.version ?? 0) + 1, document: withoutSealed(write) }
      this.#documents.set(id, after)
      this.#digest.toggle(id, after)
    }
  }
}

function withoutSealed({ collection, document }: Write): unknown {
  if (collection !== 'wallets' || document === undefined) return document
  const { privateKey: _sealed, ...open } = document
  return open
}

export function digestOf(content: Content): string {
  const digest = new ContentDigest()
  for (const [id, stored] of content) digest.toggle(id, stored)
  return digest.text
}

/** Independent of order, so that a document can be taken out as cheaply as put in. */
class ContentDigest {
  #high = 0
  #low = 0

  get text(): string {
    return `${(this.#high >>> 0).toString(16)}-${(this.#low >>> 0).toString(16)}`
  }

  toggle(id: string, { version, document }: StoredDocument): void {
    const hash = createHash('sha1')
      .update(`${id}\0${version}\0${canonicalText(document)}`)
      .digest()
    this.#high ^= hash.readInt32LE(0)
    this.#low ^= hash.readInt32LE(4)
  }
}

export function canonicalText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalText).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonicalText(member)}`).join(',')}}`
}

/** Where two contents differ, for a person to read. */
export function differences(expected: Content, actual: Content): string[] {
  const ids = new Set([...expected.keys(), ...actual.keys()])
  const text = (stored: StoredDocument | undefined) =>
    stored === undefined ? 'absent' : `version ${stored.version} ${canonicalText(stored.document)}`
  return [...ids]
    .filter((id) => text(expected.get(id)) !== text(actual.get(id)))
    .map((id) => `${id}: expected ${text(expected.get(id))}, found ${text(actual.get(id))}`)
}
