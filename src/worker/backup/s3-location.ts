/** What `s3://bucket/prefix?…` means. Credentials never belong into it: a location is printed, logged and audited. */
import * as z from 'zod'
import { StoreError } from '../../protocol/store-error.ts'

const BUCKET = /^[a-z0-9][a-z0-9._-]{1,62}$/i
const EXAMPLE = 's3://bucket/prefix?endpoint=https://…&region=…&pathStyle=true'

const seconds = (fallback: number) => z.coerce.number().int().min(1).max(3600).default(fallback)

const optionsSchema = z.strictObject({
  endpoint: z.string().refine(isPlainEndpoint).optional(),
  region: z
    .string()
    .regex(/^[a-z0-9-]{1,64}$/i)
    .optional(),
  pathStyle: z
    .enum(['true', 'false'])
    .default('false')
    .transform((text) => text === 'true'),
  /** `advisory` for servers that don't honour conditional writes. */
  lock: z.enum(['conditional', 'advisory']).default('conditional'),
  /** How long a lock outlives a holder that died. */
  lockSeconds: seconds(60),
  /** How long one request may take before it is tried again. */
  timeoutSeconds: seconds(30),
})

export interface S3Location extends z.infer<typeof optionsSchema> {
  /** As it was given. */
  readonly text: string
  readonly bucket: string
  /** Empty, or with a slash at its end. */
  readonly prefix: string
}

export function isS3(location: string): boolean {
  return /^s3:/i.test(location)
}

/** @throws StoreError `INVALID_ARGUMENT`, which does not quote what it refuses */
export function parseS3Location(text: string): S3Location {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol !== 's3:') throw refused('is not written as one')
  if (url.username !== '' || url.password !== '') {
    throw refused(
      'carries credentials. Take them out, and give them as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or in a profile',
    )
  }
  if (url.port !== '' || !BUCKET.test(url.hostname)) throw refused('names no bucket')
  if (url.hash !== '') throw refused('has a # in it')
  const options = optionsSchema.safeParse(Object.fromEntries(url.searchParams))
  if (!options.success) {
    const known = Object.keys(optionsSchema.shape).join(', ')
    const [first] = options.error.issues
    const name = first?.path[0]
    throw refused(
      name === undefined ? `has an option that is none of: ${known}` : `has no such ${String(name)} as can be used`,
    )
  }
  return { ...options.data, text, bucket: url.hostname, prefix: prefixOf(url.pathname) }
}

function prefixOf(pathname: string): string {
  const names = pathname.replace(/^\/|\/$/g, '')
  if (names === '') return ''
  let prefix: string
  try {
    prefix = decodeURIComponent(names)
  } catch {
    throw refused('has a % in its prefix that begins no character')
  }
  if (!isPlainPath(prefix)) throw refused('has a prefix with empty names, . or ..')
  return `${prefix}/`
}

/** Relative, with names that mean the same everywhere. */
export function isPlainPath(path: string): boolean {
  return path.split('/').every((name) => name !== '' && name !== '.' && name !== '..' && !/[\\\0]/.test(name))
}

function isPlainEndpoint(text: string): boolean {
  if (!URL.canParse(text)) return false
  const url = new URL(text)
  if (!['http:', 'https:'].includes(url.protocol)) return false
  return url.username === '' && url.password === '' && url.search === '' && url.hash === ''
}

function refused(why: string): StoreError {
  return new StoreError('INVALID_ARGUMENT', `The s3:// location ${why}. It is written ${EXAMPLE}.`)
}
