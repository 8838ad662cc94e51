/** Files that series are read from: plain or gzipped, or standard input. */
import { createReadStream } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { createGunzip } from 'node:zlib'
import { type RandomAccessFile, StoreError } from '../../index.ts'
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

/** A file with random access, as Parquet wants it; close it when it was read. */
export async function randomAccessFile(path: string): Promise<RandomAccessFile & { close(): Promise<void> }> {
  if (path === STANDARD_STREAM || path.endsWith('.gz')) {
    throw new StoreError(
      'INVALID_ARGUMENT',
      'Parquet has its index at its end, so it is read from a plain file only. Name the file, decompressed.',
    )
  }
  try {
    const file = await open(path)
    const { size } = await file.stat()
    return {
      byteLength: size,
      slice: async (start, end = size) => {
        const bytes = new Uint8Array(Math.max(0, end - start))
        await fill(file, bytes, start).catch((error) => {
          throw fileError(error, path, 'read')
        })
        return bytes.buffer
      },
      close: async () => await file.close(),
    }
  } catch (error) {
    throw fileError(error, path, 'read')
  }
}

async function fill(file: FileHandle, bytes: Uint8Array, start: number): Promise<void> {
  for (let filled = 0; filled < bytes.length; ) {
    const { bytesRead } = await file.read(bytes, filled, bytes.length - filled, start + filled)
    if (bytesRead === 0) throw new StoreError('INVALID_DOCUMENT', 'The file became shorter. Import it again.')
    filled += bytesRead
  }
}

/** What the name of a file says about its format. */
export function formatOfName(path: string): string | undefined {
  const name = path.endsWith('.gz') ? path.slice(0, -3) : path
  const ending = /\.(csv|jsonl?|arrow|feather|parquet)$/.exec(name)?.[1]
  return ending === 'feather' ? 'arrow' : ending
}
