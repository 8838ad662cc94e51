/**
 * What an S3 server, the network or the SDK reports, as the store's own errors. They are told apart by name, status and
 * system code. Nothing else of them is kept: their texts and fields quote access keys and signed requests.
 */
import { systemErrorCode } from '../../crypto/file-error.ts'
import { StoreError, type StoreErrorCode } from '../../protocol/store-error.ts'

interface Diagnosis {
  readonly code: StoreErrorCode
  readonly advice: string
}

const BY_NAME: Readonly<Record<string, Diagnosis>> = {
  CredentialsProviderError: {
    code: 'PERMISSION_DENIED',
    advice:
      'No credentials were found. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or give the host a role.',
  },
  NoSuchBucket: { code: 'INVALID_ARGUMENT', advice: 'There is no such bucket. Make it, or correct its name.' },
  RequestTimeTooSkewed: {
    code: 'PERMISSION_DENIED',
    advice: 'The clock of this host is wrong. Set it, then try again.',
  },
  PermanentRedirect: wrongRegion(),
  AuthorizationHeaderMalformed: wrongRegion(),
  TimeoutError: tooSlow(),
  AbortError: tooSlow(),
}

/** @param action what failed, as in "could not <action> <place>" */
export function s3Error(
  error: unknown,
  action: 'read' | 'write' | 'list' | 'remove' | 'lock',
  place: string,
): StoreError {
  if (error instanceof StoreError) return error
  const name = nameOf(error)
  const status = s3Status(error)
  const systemCode = systemErrorCode(error)
  const { code, advice } = BY_NAME[name] ?? byStatus(status) ?? bySystemCode(systemCode)
  const what = [name, status ?? systemCode].filter((part) => part !== undefined && part !== 'Error').join(' ')
  return new StoreError(code, `Could not ${action} ${place} (${what}). ${advice}`, {
    details: {
      place,
      ...(status === undefined ? {} : { status }),
      ...(systemCode === undefined ? {} : { systemCode }),
    },
    cause: error,
  })
}

/** The HTTP status of a refusal; `undefined` when there was no answer. */
export function s3Status(error: unknown): number | undefined {
  return (error as { $metadata?: { httpStatusCode?: number } } | null)?.$metadata?.httpStatusCode
}

/** The name comes from the server: one word, or none. */
function nameOf(error: unknown): string {
  const name = error instanceof Error ? error.name : ''
  return /^[A-Za-z]{1,64}$/.test(name) ? name : 'Error'
}

function byStatus(status: number | undefined): Diagnosis | undefined {
  if (status === undefined) return undefined
  if (status === 401 || status === 403) {
    return {
      code: 'PERMISSION_DENIED',
      advice:
        'Check that the credentials are those of this server and may list the bucket, and read, write and delete objects below the prefix.',
    }
  }
  if (status === 301 || status === 307) return wrongRegion()
  if (status === 429 || status === 503) {
    return { code: 'TIMEOUT', advice: 'The server asks for fewer requests. Try again later.' }
  }
  if (status === 408 || status === 504) return tooSlow()
  if (status === 507) return { code: 'DISK_FULL', advice: 'The server has no room left. Free some, then try again.' }
  return { code: 'IO_ERROR', advice: 'Check the endpoint and the state of the server, then try again.' }
}

function bySystemCode(systemCode: string | undefined): Diagnosis {
  if (systemCode === 'ETIMEDOUT' || systemCode === 'ESOCKETTIMEDOUT') return tooSlow()
  if (systemCode !== undefined) {
    return { code: 'IO_ERROR', advice: 'Check the endpoint and the network, then try again.' }
  }
  return { code: 'INTERNAL', advice: 'Please report this error with its stack.' }
}

function tooSlow(): Diagnosis {
  return {
    code: 'TIMEOUT',
    advice: 'The server did not answer in time. Check the network, or raise timeoutSeconds in the location.',
  }
}

function wrongRegion(): Diagnosis {
  return { code: 'INVALID_ARGUMENT', advice: 'The bucket is in another region. Name it: region=… in the location.' }
}
