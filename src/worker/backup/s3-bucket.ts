/**
 * One bucket, one request a call. The SDK is an optional package: it is loaded when the first `s3://` location is opened.
 */
import type { ListMultipartUploadsCommandOutput, S3Client } from '@aws-sdk/client-s3'
import { systemErrorCode } from '../../crypto/file-error.ts'
import { StoreError } from '../../protocol/store-error.ts'
import { s3Error, s3Status } from './s3-error.ts'
import type { S3Location } from './s3-location.ts'

const ATTEMPTS = 3
const ENDPOINT_REGION = 'us-east-1'

type Sdk = typeof import('@aws-sdk/client-s3')

export interface S3Piece {
  readonly bytes: Uint8Array
  readonly etag: string | undefined
  /** Of the whole object. */
  readonly totalBytes: number
}

export interface S3Lease {
  readonly text: string
  readonly etag: string
  /** Since it was written, both moments by the server's clock; NaN when it does not tell. */
  readonly ageMs: number
}

/** A condition for a write: there is no object yet, or it is still this one. */
export type PutCondition = { readonly absent: true } | { readonly etag: string }

/** `refused`: the condition does not hold. `unsupported`: the server says that it knows no conditions. */
export type PutOutcome = { readonly etag: string } | 'refused' | 'unsupported'

export class S3Bucket {
  readonly location: S3Location
  readonly #sdk: Sdk
  readonly #client: S3Client

  private constructor(location: S3Location, sdk: Sdk, client: S3Client) {
    this.location = location
    this.#sdk = sdk
    this.#client = client
  }

  /** @throws StoreError `INVALID_ARGUMENT` when the SDK is not installed or no region is known */
  static async open(location: S3Location): Promise<S3Bucket> {
    const sdk = await loadSdk()
    const { endpoint, pathStyle, timeoutSeconds } = location
    const clientIn = (region: string | undefined) =>
      new sdk.S3Client({
        ...(region === undefined ? {} : { region }),
        ...(endpoint === undefined ? {} : { endpoint }),
        forcePathStyle: pathStyle,
        maxAttempts: ATTEMPTS,
        requestHandler: {
          connectionTimeout: Math.min(5, timeoutSeconds) * 1000,
          requestTimeout: timeoutSeconds * 1000,
          throwOnRequestTimeout: true,
        },
      })
    const client = clientIn(location.region)
    try {
      await client.config.region()
      return new S3Bucket(location, sdk, client)
    } catch (error) {
      client.destroy()
      // Servers of one's own mostly know no regions, and take this one.
      if (endpoint !== undefined) return new S3Bucket(location, sdk, clientIn(ENDPOINT_REGION))
      throw new StoreError(
        'INVALID_ARGUMENT',
        'No region is known for the s3:// location. Add region=… to it, or set AWS_REGION.',
        { details: { bucket: location.bucket }, cause: error },
      )
    }
  }

  async put(path: string, content: Uint8Array): Promise<void> {
    const command = new this.#sdk.PutObjectCommand({ ...this.#object(path), Body: content })
    await this.#asked('write', path, () => this.#client.send(command))
  }

  async putIf(path: string, content: Uint8Array, condition: PutCondition): Promise<PutOutcome> {
    const holds = 'etag' in condition ? { IfMatch: condition.etag } : { IfNoneMatch: '*' }
    try {
      const { ETag: etag } = await this.#client.send(
        new this.#sdk.PutObjectCommand({ ...this.#object(path), Body: content, ...holds }),
      )
      return { etag: etag ?? '' }
    } catch (error) {
      const status = s3Status(error)
      // 404: what was to be replaced has gone. 409: somebody else is at it.
      if (status === 412 || status === 409 || (status === 404 && 'etag' in condition)) return 'refused'
      if (status === 501) return 'unsupported'
      throw s3Error(error, 'lock', this.#place(path))
    }
  }

  /**
   * `undefined` when the object ends before `offset`.
   *
   * @param etag of the pieces before
   * @throws StoreError `TARGET_FILE_MISSING`
   */
  async getPiece(path: string, offset: number, length: number, etag?: string): Promise<S3Piece | undefined> {
    const request = {
      ...this.#object(path),
      Range: `bytes=${offset}-${offset + length - 1}`,
      ...(etag === undefined ? {} : { IfMatch: etag }),
    }
    // The SDK tries again until there is an answer; a body that breaks off is left to us.
    for (let attempt = 1; ; attempt++) {
      try {
        const abortSignal = AbortSignal.timeout(this.location.timeoutSeconds * 1000 * ATTEMPTS)
        const answer = await this.#client.send(new this.#sdk.GetObjectCommand(request), { abortSignal })
        const totalBytes = Number(answer.ContentRange?.split('/')[1] ?? answer.ContentLength)
        const bytes = (await answer.Body?.transformToByteArray()) ?? new Uint8Array()
        return { bytes, etag: answer.ETag, totalBytes }
      } catch (error) {
        const status = s3Status(error)
        if (status === 416) return undefined
        if (isMissing(error)) throw missing(this.location.text, path)
        if (status === 412) throw replaced(this.#place(path))
        if (status !== undefined || attempt === ATTEMPTS) throw s3Error(error, 'read', this.#place(path))
      }
    }
  }

  /** A small object with its age; `undefined` when there is none. */
  async getLease(path: string): Promise<S3Lease | undefined> {
    const command = new this.#sdk.GetObjectCommand(this.#object(path))
    let date: string | undefined
    command.middlewareStack.add(
      (next) => async (args) => {
        const result = await next(args)
        date = (result.response as { headers?: Record<string, string> }).headers?.date
        return result
      },
      { step: 'deserialize', name: 'readServerDate' },
    )
    try {
      const answer = await this.#client.send(command)
      const text = (await answer.Body?.transformToString()) ?? ''
      const ageMs = Date.parse(date ?? '') - (answer.LastModified?.getTime() ?? Number.NaN)
      return { text, etag: answer.ETag ?? '', ageMs }
    } catch (error) {
      if (isMissing(error)) return undefined
      throw s3Error(error, 'lock', this.#place(path))
    }
  }

  async list(prefix: string): Promise<{ path: string; bytes: number }[]> {
    const files: { path: string; bytes: number }[] = []
    let next: string | undefined
    do {
      const page = await this.#asked('list', prefix, () =>
        this.#client.send(
          new this.#sdk.ListObjectsV2Command({
            Bucket: this.location.bucket,
            Prefix: `${this.location.prefix}${prefix}`,
            ...(next === undefined ? {} : { ContinuationToken: next }),
          }),
        ),
      )
      for (const { Key: key = '', Size: bytes = 0 } of page.Contents ?? []) {
        files.push({ path: key.slice(this.location.prefix.length), bytes })
      }
      next = page.IsTruncated === true ? page.NextContinuationToken : undefined
    } while (next !== undefined)
    return files
  }

  async remove(path: string): Promise<void> {
    const command = new this.#sdk.DeleteObjectCommand(this.#object(path))
    await this.#asked('remove', path, () => this.#client.send(command))
  }

  async beginUpload(path: string): Promise<string> {
    const command = new this.#sdk.CreateMultipartUploadCommand(this.#object(path))
    const { UploadId: id } = await this.#asked('write', path, () => this.#client.send(command))
    return id as string
  }

  /** @param number from 1 */
  async uploadPart(path: string, upload: string, number: number, content: Uint8Array): Promise<string> {
    const command = new this.#sdk.UploadPartCommand({
      ...this.#object(path),
      UploadId: upload,
      PartNumber: number,
      Body: content,
    })
    const { ETag: etag } = await this.#asked('write', path, () => this.#client.send(command))
    return etag ?? ''
  }

  async completeUpload(path: string, upload: string, etags: readonly string[]): Promise<void> {
    const command = new this.#sdk.CompleteMultipartUploadCommand({
      ...this.#object(path),
      UploadId: upload,
      MultipartUpload: { Parts: etags.map((ETag, index) => ({ ETag, PartNumber: index + 1 })) },
    })
    await this.#asked('write', path, () => this.#client.send(command))
  }

  async abortUpload(path: string, upload: string): Promise<void> {
    const command = new this.#sdk.AbortMultipartUploadCommand({ ...this.#object(path), UploadId: upload })
    await this.#asked('remove', path, () => this.#client.send(command))
  }

  /** Aborts the uploads below `prefix` that nobody has completed. */
  async abortUploads(prefix: string): Promise<void> {
    let page: ListMultipartUploadsCommandOutput | undefined
    do {
      const command = new this.#sdk.ListMultipartUploadsCommand({
        Bucket: this.location.bucket,
        Prefix: `${this.location.prefix}${prefix}`,
        ...(page === undefined ? {} : { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker }),
      })
      page = await this.#asked('list', prefix, () => this.#client.send(command))
      for (const { Key: key = '', UploadId: upload } of page.Uploads ?? []) {
        if (upload !== undefined) await this.abortUpload(key.slice(this.location.prefix.length), upload)
      }
    } while (page.IsTruncated === true)
  }

  async #asked<T>(action: 'write' | 'list' | 'remove', path: string, request: () => Promise<T>): Promise<T> {
    try {
      return await request()
    } catch (error) {
      throw s3Error(error, action, this.#place(path))
    }
  }

  #object(path: string): { Bucket: string; Key: string } {
    return { Bucket: this.location.bucket, Key: `${this.location.prefix}${path}` }
  }

  #place(path: string): string {
    return `s3://${this.location.bucket}/${this.location.prefix}${path}`
  }
}

async function loadSdk(): Promise<Sdk> {
  try {
    return await import('@aws-sdk/client-s3')
  } catch (error) {
    if (systemErrorCode(error) !== 'ERR_MODULE_NOT_FOUND') throw error
    throw new StoreError(
      'INVALID_ARGUMENT',
      'An s3:// location needs a package that is not installed. Run: npm install @aws-sdk/client-s3',
      { cause: error },
    )
  }
}

function isMissing(error: unknown): boolean {
  return s3Status(error) === 404 && (error as Error).name !== 'NoSuchBucket'
}

function missing(location: string, path: string): StoreError {
  return new StoreError('TARGET_FILE_MISSING', `${path} is missing in ${location}. It may have been moved or pruned.`, {
    details: { location, path },
  })
}

function replaced(place: string): StoreError {
  return new StoreError('IO_ERROR', `${place} was replaced while it was read. Try again.`, { details: { place } })
}
