/** Files that a command reads and writes beside the store: failures of the file system as errors of the store. */
import { isStoreError, StoreError } from '../index.ts'

/** `verb` as in "can't be read". */
export function fileError(error: unknown, path: string, verb: 'read' | 'written'): Error {
  if (isStoreError(error) || !(error instanceof Error)) return error as Error
  const code = (error as NodeJS.ErrnoException).code
  if (code === undefined) return error
  const options = { details: { path, systemCode: code }, cause: error }
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new StoreError('DISK_FULL', `The disk that holds ${path} is full. Free some space and try again.`, options)
  }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    return new StoreError('PERMISSION_DENIED', `${path} may not be ${verb} (${code}). Check owner and mode.`, options)
  }
  if (code === 'ENOENT') {
    return new StoreError(
      'IO_ERROR',
      `${path} can't be ${verb}: there is no such file or folder. Check the path.`,
      options,
    )
  }
  return new StoreError('IO_ERROR', `${path} can't be ${verb} (${code}). Check the path.`, options)
}
