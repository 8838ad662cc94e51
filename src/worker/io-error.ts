/**
 * Turns what the file system and the driver report into the store's own codes. The driver says only `IOERR` when an
 * fsync or a write fails, so a full disk is told from a failing one by looking at the free space.
 */
import { statfs } from 'node:fs/promises'
import { StoreError } from '../protocol/store-error.ts'
import { DriverError } from './driver.ts'

const NEARLY_FULL_BYTES = 256 * 1024

export async function isDiskFull(dir: string): Promise<boolean> {
  try {
    const { bavail, bsize } = await statfs(dir)
    return bavail * bsize < NEARLY_FULL_BYTES
  } catch {
    return false
  }
}

function diskFull(dir: string, cause: unknown): StoreError {
  return new StoreError(
    'DISK_FULL',
    `The disk that holds ${dir} is full. Nothing of this write was kept; free some space and try again.`,
    { details: { dir }, cause },
  )
}

/**
 * Maps any error met while working on the files in `dir`; a `StoreError` passes through unchanged.
 *
 * @param file the database at hand, from `dir`, where it is known
 */
export async function toStoreError(error: unknown, dir: string, file?: string): Promise<StoreError> {
  if (error instanceof StoreError) return error
  if (error instanceof DriverError) return await fromDriver(error, dir, file)
  const code = (error as { code?: unknown } | null)?.code
  if (code === 'ENOSPC' || code === 'EDQUOT') return diskFull(dir, error)
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') return permissionDenied(dir, error)
  if (typeof code === 'string' && /^E[A-Z]+$/.test(code)) {
    return new StoreError('IO_ERROR', `A file in ${dir} can't be read or written (${code}). Check the disk.`, {
      details: { dir },
      cause: error,
    })
  }
  return new StoreError('INTERNAL', 'The store met an error it does not know. Please report it with its stack.', {
    cause: error,
  })
}

function permissionDenied(dir: string, cause: unknown): StoreError {
  return new StoreError('PERMISSION_DENIED', `This user may not read and write ${dir}. Check owner and mode.`, {
    details: { dir },
    cause,
  })
}

async function fromDriver(error: DriverError, dir: string, file: string | undefined): Promise<StoreError> {
  const database = file === undefined ? `A database file in ${dir}` : `${file} in ${dir}`
  const details = file === undefined ? { dir } : { dir, file }
  switch (error.code) {
    case 'FULL':
      return diskFull(dir, error)
    case 'IOERR':
    case 'CANTOPEN': {
      if (await isDiskFull(dir)) return diskFull(dir, error)
      return new StoreError('IO_ERROR', `${database} can't be read or written. Check the disk and its mount.`, {
        details,
        cause: error,
      })
    }
    case 'PERM':
    case 'READONLY':
      return permissionDenied(dir, error)
    case 'CORRUPT':
    case 'NOTADB':
      return new StoreError(
        'STORE_CORRUPT',
        `${database} is damaged. Nothing was changed. Stop using the store, keep its directory aside and restore a copy (holdfast restore --force); holdfast check tells how much of it is damaged.`,
        { details, cause: error },
      )
    case 'BUSY':
      return new StoreError('TIMEOUT', `Another connection holds ${dir} for too long. Try again.`, {
        details: { dir },
        cause: error,
      })
    case 'CONSTRAINT':
      return new StoreError('CONSTRAINT', 'A constraint of the database refused the write.', { cause: error })
    default:
      return new StoreError('INTERNAL', 'The database refused a statement of the store. Please report it.', {
        cause: error,
      })
  }
}
