/**
 * Finds any of a great many byte patterns in one pass: a bitmap of what patterns begin with says for nearly every place
 * of a file that nothing begins there. Where something may, the bytes are looked up whole, once for each length that
 * patterns with this beginning have: ids that begin alike don't have to be compared one by one.
 */

const HEAD_BYTES = 4
const BITMAP_BITS = 24

/** Tags by pattern, its bytes read as Latin-1, by length. */
type PatternsByLength<T> = Map<number, Map<string, Set<T>>>

export class PatternSearch<T> {
  readonly #byHead = new Map<number, PatternsByLength<T>>()
  readonly #bitmap = new Uint8Array(2 ** BITMAP_BITS / 8)

  /** @param bytes at least four of them */
  add(bytes: Buffer, tag: T): void {
    if (bytes.length < HEAD_BYTES) throw new RangeError('a pattern is too short to be searched for')
    const head = bytes.readUInt32BE(0)
    const bit = bitOf(head)
    this.#bitmap[bit >>> 3] = (this.#bitmap[bit >>> 3] ?? 0) | (1 << (bit & 7))
    const byLength = getOrAdd(this.#byHead, head, () => new Map())
    const patterns = getOrAdd(byLength, bytes.length, () => new Map())
    getOrAdd(patterns, bytes.toString('latin1'), () => new Set<T>()).add(tag)
  }

  /** The tags of the patterns that occur. */
  find(content: Buffer): Set<T> {
    const found = new Set<T>()
    let head = 0
    for (let index = 0; index < content.length; index++) {
      head = ((head << 8) | (content[index] as number)) >>> 0
      const bit = bitOf(head)
      if (((this.#bitmap[bit >>> 3] as number) & (1 << (bit & 7))) === 0 || index < HEAD_BYTES - 1) continue
      const byLength = this.#byHead.get(head)
      if (byLength === undefined) continue
      const start = index - HEAD_BYTES + 1
      for (const [length, patterns] of byLength) {
        for (const tag of patterns.get(content.toString('latin1', start, start + length)) ?? []) found.add(tag)
      }
    }
    return found
  }
}

function bitOf(head: number): number {
  return Math.imul(head, 0x9e3779b1) >>> (32 - BITMAP_BITS)
}

function getOrAdd<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key)
  if (known !== undefined) return known
  const made = make()
  map.set(key, made)
  return made
}
