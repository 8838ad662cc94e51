/** Content that a seed makes again: some megabytes, of which versions of one name share the beginning, two by two. */
import { createCipheriv, createHash } from 'node:crypto'

const SHARED_BYTES = 1_500_000

function noise(seed: string, bytes: number): Buffer {
  const key = createHash('sha256').update(seed).digest()
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(bytes))
}

/** `n` tells the versions of a name apart. */
export function artifactContent(name: string, n: number): Buffer {
  const own = createHash('sha256').update(`${name}/${n}`).digest().readUInt32LE() % 4_000_000
  return Buffer.concat([noise(`${name} ${n >> 1}`, SHARED_BYTES), noise(`${name}/${n}`, own)])
}
