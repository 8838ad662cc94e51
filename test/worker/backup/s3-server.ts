/**
 * An S3 server on this machine alone: s3rver, with what it lacks of S3. Its writes are made whole and readable once
 * answered; conditional writes, and unfinished uploads that can be listed and aborted, are there unless they are left out.
 */
import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import S3rver, { type Context, type Store } from 's3rver'

export const BUCKET = 'holdfast-test'

export interface S3Server {
  readonly endpoint: string
  /** Of the requests answered, as `PUT /bucket/key`. */
  readonly requests: string[]
  location(prefix: string, options?: Readonly<Record<string, string>>): string
  /** Stops answering; what is stored stays. */
  interrupt(work: () => Promise<void>): Promise<void>
  close(): Promise<void>
}

/** With the credentials for it in the environment until it is closed. */
export async function startS3Server({ plain = false } = {}): Promise<S3Server> {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-s3-'))
  const server = new S3rver({
    port: 0,
    address: '127.0.0.1',
    silent: true,
    directory,
    configureBuckets: [{ name: BUCKET, configs: [] }],
  })
  writeWhole(server.store)
  const requests: string[] = []
  let isInterrupted = false
  server.middleware.unshift(async (context, next) => {
    requests.push(`${context.method} ${context.path}`)
    if (isInterrupted) {
      context.status = 503
      context.body = ''
      return
    }
    if (await refusedRange(server.store, context)) return
    if (plain) await next()
    else if (!(await answeredUpload(server.store, context))) await conditionally(server.store, context, next)
  })
  const { port } = await server.run()
  const before = { ...process.env }
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'S3RVER', AWS_SECRET_ACCESS_KEY: 'S3RVER' })
  const endpoint = `http://127.0.0.1:${port}`
  return {
    endpoint,
    requests,
    location(prefix, options = {}) {
      const query = Object.entries({ endpoint, pathStyle: 'true', ...options }).map(
        ([name, value]) => `${name}=${value}`,
      )
      return `s3://${BUCKET}/${prefix}?${query.join('&')}`
    },
    async interrupt(work) {
      isInterrupted = true
      try {
        await work()
      } finally {
        isInterrupted = false
      }
    },
    async close() {
      for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY']) {
        if (before[name] === undefined) delete process.env[name]
        else process.env[name] = before[name]
      }
      server.httpServer.closeAllConnections()
      await server.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

function writeWhole(store: Store): void {
  store.putObject = async ({ bucket, key, metadata, content }) => {
    const path = store.getResourcePath(bucket, key, 'object')
    const written = await writeFileWhole(path, content)
    await store.putMetadata(bucket, key, metadata, written.md5)
    return written
  }
  store.putPart = async (bucket, uploadId, partNumber, content) => {
    const path = join(store.getResourcePath(bucket, undefined, 'uploads'), uploadId, String(partNumber))
    const written = await writeFileWhole(path, content)
    await writeFile(`${path}.md5`, written.md5)
    return written
  }
}

async function writeFileWhole(path: string, content: AsyncIterable<Buffer> | Buffer) {
  const chunks: Buffer[] = []
  for await (const chunk of Buffer.isBuffer(content) ? [content] : content) chunks.push(chunk)
  const bytes = Buffer.concat(chunks)
  await mkdir(dirname(path), { recursive: true })
  await writeFile(`${path}.tmp`, bytes)
  await rename(`${path}.tmp`, path)
  return { size: bytes.length, md5: createHash('md5').update(bytes).digest('hex') }
}

const turns = new Map<string, Promise<void>>()

/** If-Match and If-None-Match of writes, one write of a key at a time. */
async function conditionally(store: Store, context: Context, next: () => Promise<void>): Promise<void> {
  if (context.method !== 'PUT') return await next()
  const key = keyOf(context)
  const turn = (turns.get(key) ?? Promise.resolve()).then(async () => {
    const found = await store.getMetadata(BUCKET, key).catch(() => undefined)
    const wanted = context.get('if-match')
    if (context.get('if-none-match') === '*' && found !== undefined) return refuse(context, 412, 'PreconditionFailed')
    if (wanted !== '' && found === undefined) return refuse(context, 404, 'NoSuchKey')
    if (wanted !== '' && found?.etag !== wanted) return refuse(context, 412, 'PreconditionFailed')
    await next()
  })
  turns.set(
    key,
    turn.catch(() => undefined),
  )
  await turn
}

/** An empty object has no range that s3rver could answer with. */
async function refusedRange(store: Store, context: Context): Promise<boolean> {
  if (context.method !== 'GET' || context.get('range') === '') return false
  const found = await store.getMetadata(BUCKET, keyOf(context)).catch(() => undefined)
  if (found?.['content-length'] !== 0) return false
  refuse(context, 416, 'InvalidRange')
  return true
}

function refuse(context: Context, status: number, code: string): void {
  context.status = status
  context.type = 'application/xml'
  context.body = `<Error><Code>${code}</Code></Error>`
}

async function answeredUpload(store: Store, context: Context): Promise<boolean> {
  const uploads = store.getResourcePath(BUCKET, undefined, 'uploads')
  if (context.method === 'DELETE' && context.query.uploadId !== undefined) {
    await rm(join(uploads, context.query.uploadId), { recursive: true, force: true })
    context.status = 204
    return true
  }
  if (context.method !== 'GET' || context.query.uploads === undefined) return false
  const found = listed(uploads).map((id) => ({ id, key: readFileSync(join(uploads, id, 'key'), 'utf8') }))
  const below = found.filter(({ key }) => key.startsWith(context.query.prefix ?? ''))
  context.type = 'application/xml'
  context.body = `<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>${below
    .map(({ id, key }) => `<Upload><Key>${key}</Key><UploadId>${id}</UploadId></Upload>`)
    .join('')}</ListMultipartUploadsResult>`
  return true
}

function listed(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

function keyOf({ path }: Context): string {
  return decodeURIComponent(path.slice(BUCKET.length + 2))
}
