import { StoreError, type StoreErrorCode } from '../protocol/store-error.ts'

/** The `code` of a Node system error such as `ENOENT`, or `undefined` for anything else that was thrown. */
export function systemErrorCode(error: unknown): string | undefined {
  const code = error instanceof Error ? (error as { code?: unknown }).code : undefined
  return typeof code === 'string' ? code : undefined
}

/**
 * A failed file operation as a `StoreError`: PERMISSION_DENIED for EACCES, EPERM and EROFS, DISK_FULL for ENOSPC and
 * EDQUOT, IO_ERROR for any other system error, INTERNAL for what is no system error; a `StoreError` passes through.
 * The details carry the path and the system's code.
 *
 * @param action what failed, as in "could not <action> <path>"
 */
export function fileError(error: unknown, action: 'read' | 'write' | 'move', path: string): StoreError {
  if (error instanceof StoreError) return error
  const systemCode = systemErrorCode(error)
  if (systemCode === undefined) {
    return new StoreError('INTERNAL', `Could not ${action} ${path}. Please report this error with its stack.`, {
      cause: error,
      details: { path },
    })
  }
  const { code, advice } = diagnose(systemCode)
  return new StoreError(code, `Could not ${action} ${path} (${systemCode}). ${advice}`, {
    cause: error,
    details: { path, systemCode },
  })
}

function diagnose(systemCode: string): { code: StoreErrorCode; advice: string } {
  switch (systemCode) {
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return {
        code: 'PERMISSION_DENIED',
        advice:
          'The store directory (mode 0700) and its files (0600) must belong to the user that runs this process, on a ' +
          'file system mounted for writing.',
      }
    case 'ENOSPC':
    case 'EDQUOT':
      return { code: 'DISK_FULL', advice: 'Free some space on this disk or raise the quota, then try again.' }
    default:
      return { code: 'IO_ERROR', advice: 'Check the disk and the path, then try again.' }
  }
}
