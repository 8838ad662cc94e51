/** Files that series are read from: plain or gzipped, or standard input. */
import { createReadStream } from 'node:fs'
import { createGunzip } from 'node:zlib'
import { StoreError } from '../../index.ts'
import { fileError } from '../file-error.ts'

export const STANDARD_STREAM = '-'

export async function* seriesFile(path: string): AsyncGenerator<Uint8Array> {
  if (path === STANDARD_STREAM) {
    yield* process.stdin as AsyncIterable<Uint8Array>
    return
  }
  const file = createReadStream(path)
  try {
    if (!path.endsWith('.gz')) {
      yield* file as AsyncIterable<Uint8Array>
      return
    }
    const plain = createGunzip()
    file.on('error', (error) => plain.destroy(error))
    yield* file.pipe(plain) as AsyncIterable<Uint8Array>
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code?.startsWith('Z_') === true) {
      throw new StoreError('INVALID_DOCUMENT', `${path} is no gzip file, or was cut off. Fetch it again.`, {
        details: { path },
      })
    }
    throw fileError(error, path, 'read')
  } finally {
    file.destroy()
  }
}

/** What the name of a file says about its format. */
export function formatOfName(path: string): string | undefined {
  const name = path.endsWith('.gz') ? path.slice(0, -3) : path
  const ending = /\.(csv|jsonl?|arrow|feather)$/.exec(name)?.[1]
  return ending === 'feather' ? 'arrow' : ending
}
