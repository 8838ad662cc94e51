/** The parts of s3rver that the test server builds on; the package has no types of its own. */
declare module 's3rver' {
  import type { AddressInfo } from 'node:net'

  export interface Context {
    readonly method: string
    readonly path: string
    readonly query: Readonly<Record<string, string | undefined>>
    status: number
    type: string
    body: unknown
    get(header: string): string
  }

  export interface Store {
    getMetadata(bucket: string, key: string): Promise<{ readonly etag: string; readonly 'content-length': number }>
    getResourcePath(bucket: string, key: string | undefined, resource: string): string
    putMetadata(bucket: string, key: string, metadata: unknown, md5: string): Promise<void>
    putObject(object: {
      readonly bucket: string
      readonly key: string
      readonly metadata: unknown
      readonly content: AsyncIterable<Buffer> | Buffer
    }): Promise<{ size: number; md5: string }>
    putPart(
      bucket: string,
      uploadId: string,
      partNumber: number,
      content: AsyncIterable<Buffer>,
    ): Promise<{ size: number; md5: string }>
  }

  export default class S3rver {
    readonly store: Store
    readonly middleware: ((context: Context, next: () => Promise<void>) => Promise<void>)[]
    readonly httpServer: import('node:http').Server
    constructor(options: {
      readonly port: number
      readonly address: string
      readonly silent: boolean
      readonly directory: string
      readonly configureBuckets: readonly { readonly name: string; readonly configs: readonly string[] }[]
    })
    run(): Promise<AddressInfo>
    close(): Promise<void>
  }
}
