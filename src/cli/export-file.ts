/**
 * One collection as a plain file. It is written beside its target and renamed when it is whole, so that a file by its
 * real name is never a piece of an export; whatever goes wrong meanwhile, the unencrypted piece is removed. Only a
 * SIGKILL or a power cut leaves it, with mode 0600, and the next export clears it away.
 */
import { type FileHandle, link, open, rename, rm } from 'node:fs/promises'
import { StoreError } from '../index.ts'
import { type DocumentFormat, formatDocuments } from './document-format.ts'
import { fileError } from './file-error.ts'
import type { Interruption } from './interruption.ts'
import type { StoredDocument } from './stored-collection.ts'

const FILE_MODE = 0o600

export interface ExportFileOptions {
  readonly path: string
  readonly format: DocumentFormat
  readonly overwrite: boolean
  readonly interruption: Interruption
}

/** Returns the size of the file. */
export async function writeExportFile(
  documents: AsyncIterable<StoredDocument>,
  { format, ...options }: ExportFileOptions,
): Promise<number> {
  return await writeNewFile(formatDocuments(documents, format), options)
}

/** The same for content of any kind. */
export async function writeNewFile(
  content: AsyncIterable<string | Uint8Array>,
  { path, overwrite, interruption }: Omit<ExportFileOptions, 'format'>,
): Promise<number> {
  const partialPath = `${path}.partial`
  const forget = interruption.beforeEnd(() => rm(partialPath, { force: true }))
  try {
    await rm(partialPath, { force: true })
    const bytes = await writeNew(partialPath, content)
    if (overwrite) await rename(partialPath, path)
    else await renameToFree(partialPath, path)
    return bytes
  } catch (error) {
    await rm(partialPath, { force: true }).catch(() => undefined)
    throw fileError(error, path, 'written')
  } finally {
    forget()
  }
}

export function alreadyThere(path: string): StoreError {
  return new StoreError(
    'ALREADY_EXISTS',
    `${path} is there already. Choose another place, or overwrite it with --force.`,
    {
      details: { path },
    },
  )
}

async function writeNew(path: string, content: AsyncIterable<string | Uint8Array>): Promise<number> {
  const file = await open(path, 'wx', FILE_MODE)
  try {
    return await writeAll(file, content)
  } finally {
    await file.close()
  }
}

async function writeAll(file: FileHandle, content: AsyncIterable<string | Uint8Array>): Promise<number> {
  let bytes = 0
  for await (const piece of content) {
    const whole = typeof piece === 'string' ? Buffer.from(piece) : piece
    // One write may take less than it was given (write(2)).
    for (let written = 0; written < whole.length; ) {
      written += (await file.write(whole, written, whole.length - written)).bytesWritten
    }
    bytes += whole.length
  }
  await file.sync()
  return bytes
}

/** A plain rename would replace what somebody has put there meanwhile; a link refuses. Not every file system has links. */
async function renameToFree(from: string, to: string): Promise<void> {
  try {
    await link(from, to)
    await rm(from)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'EEXIST') throw alreadyThere(to)
    if (code !== 'EPERM' && code !== 'ENOTSUP') throw error
    await rename(from, to)
  }
}
