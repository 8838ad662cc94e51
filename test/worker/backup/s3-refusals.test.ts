/** A bucket that can't be used, and a lock whose holder is gone. */

import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'
import {
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3'
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import type { StoreError } from '../../../src/protocol/store-error.ts'
import { openTarget } from '../../../src/worker/backup/target.ts'
import { BUCKET, type S3Server, startS3Server } from './s3-server.ts'

const SECRET = 'not-a-key-of-anyone'

let server: S3Server

beforeAll(async () => {
  server = await startS3Server()
})
afterAll(() => server.close())
afterEach(() => vi.unstubAllEnvs())

/** A server that answers everything the same way. */
async function answering(answer: RequestListener): Promise<string> {
  const http = createServer(answer)
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    http.closeAllConnections()
    http.close()
  })
  return `http://127.0.0.1:${(http.address() as AddressInfo).port}`
}

async function refusedWith(status: number, code: string): Promise<string> {
  return await answering((_request, response) => {
    response.writeHead(status, { 'content-type': 'application/xml' })
    response.end(`<Error><Code>${code}</Code><Message>said ${SECRET}</Message></Error>`)
  })
}

function ownClient(): S3Client {
  return new S3Client({ endpoint: server.endpoint, region: 'us-east-1', forcePathStyle: true })
}

/** As another process writes it. */
async function leaveLock(Key: string, leaseMs: number): Promise<void> {
  const lock = { format: 'holdfast-lock', version: 1, owner: 'another', host: 'another', pid: 1, leaseMs, renewals: 0 }
  await ownClient().send(new PutObjectCommand({ Bucket: BUCKET, Key, Body: JSON.stringify(lock) }))
}

async function failure(work: Promise<unknown>): Promise<StoreError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toMatchObject({ name: 'StoreError' })
  return error as StoreError
}

async function writing(location: string): Promise<void> {
  await (await openTarget(location)).write('file', Buffer.from('x'))
}

describe('a refusal says what to do', () => {
  test.each([
    [403, 'AccessDenied', 'PERMISSION_DENIED', 'credentials'],
    [403, 'RequestTimeTooSkewed', 'PERMISSION_DENIED', 'clock'],
    [404, 'NoSuchBucket', 'INVALID_ARGUMENT', 'bucket'],
    [301, 'PermanentRedirect', 'INVALID_ARGUMENT', 'region='],
    [503, 'SlowDown', 'TIMEOUT', 'later'],
    [500, 'InternalError', 'IO_ERROR', 'server'],
    [507, 'StorageFull', 'DISK_FULL', 'room'],
  ])('%i %s', async (status, name, code, advice) => {
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', SECRET)
    const endpoint = await refusedWith(status, name)
    const error = await failure(writing(`s3://bucket/prefix?endpoint=${endpoint}&pathStyle=true`))
    expect(error).toMatchObject({ code, details: { place: 's3://bucket/prefix/file', status } })
    expect(error.message).toContain(advice)
    expect(inspect(error, { depth: 10 })).not.toContain(SECRET)
    expect(inspect(error, { depth: 10 })).not.toContain('S3RVER')
  })

  test('nobody listens', async () => {
    const error = await failure(writing('s3://bucket/prefix?endpoint=http://127.0.0.1:1&pathStyle=true'))
    expect(error).toMatchObject({ code: 'IO_ERROR', details: { systemCode: 'ECONNREFUSED' } })
    expect(inspect(error, { depth: 10 })).not.toContain('S3RVER')
  })

  test('no answer comes', async () => {
    const endpoint = await answering(() => undefined)
    const error = await failure(writing(`s3://bucket/p?endpoint=${endpoint}&pathStyle=true&timeoutSeconds=1`))
    expect(error).toMatchObject({ code: 'TIMEOUT' })
    expect(error.message).toContain('timeoutSeconds')
  })

  test('no credentials are to be found', async () => {
    for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_PROFILE']) vi.stubEnv(name, undefined)
    for (const name of ['AWS_SHARED_CREDENTIALS_FILE', 'AWS_CONFIG_FILE']) vi.stubEnv(name, '/dev/null')
    vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true')
    const error = await failure(writing(`s3://bucket/prefix?endpoint=${server.endpoint}`))
    expect(error).toMatchObject({ code: 'PERMISSION_DENIED' })
    expect(error.message).toContain('AWS_ACCESS_KEY_ID')
  })
})

describe('a location', () => {
  test.each([
    ['carries credentials', `s3://S3RVER:${SECRET}@bucket/prefix`],
    ['has an endpoint with credentials', `s3://bucket/prefix?endpoint=https://user:${SECRET}@host`],
    ['has an option that is none', `s3://bucket/prefix?secretAccessKey=${SECRET}`],
    ['has a region that is none', `s3://bucket/prefix?region=${SECRET}!`],
    ['leaves its prefix', `s3://bucket/%2e%2e%2f${SECRET}`],
    ['names no bucket', `s3:///${SECRET}`],
  ])('that %s is refused, and not quoted', async (_what, location) => {
    const error = await failure(openTarget(location))
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' })
    expect(inspect(error, { depth: 10 })).not.toContain(SECRET)
  })

  test('without a region and an endpoint asks for one', async () => {
    for (const name of ['AWS_REGION', 'AWS_DEFAULT_REGION', 'AWS_PROFILE']) vi.stubEnv(name, undefined)
    vi.stubEnv('AWS_CONFIG_FILE', '/dev/null')
    const error = await failure(openTarget('s3://bucket/prefix'))
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' })
    expect(error.message).toContain('region=')
  })
})

describe('the lock of a bucket', () => {
  test('outlives its lease while its holder lives', async () => {
    const location = server.location('renewed', { lockSeconds: '1' })
    const lock = await (await openTarget(location)).lock('backups')
    await sleep(4_500)
    expect(await failure((await openTarget(location)).lock('backups'))).toMatchObject({
      code: 'TARGET_BUSY',
      details: { pid: process.pid },
    })
    await lock.release()
    await (await (await openTarget(location)).lock('backups')).release()
  })

  test.each(['conditional', 'advisory'])('is taken over once its holder has died (%s)', async (lock) => {
    await leaveLock(`gone-${lock}/backups/lock`, 1_000)
    const location = server.location(`gone-${lock}`, { lock })
    expect(await failure((await openTarget(location)).lock('backups'))).toMatchObject({
      code: 'TARGET_BUSY',
      details: { host: 'another', pid: 1 },
    })
    await sleep(4_000)
    await (await (await openTarget(location)).lock('backups')).release()
  })

  test.each([
    'conditional',
    'advisory',
  ])('that another has taken over stops its first holder, who leaves it there (%s)', async (lock) => {
    const location = server.location(`taken-${lock}`, { lock, lockSeconds: '1' })
    const target = await openTarget(location)
    const held = await target.lock('backups')
    await leaveLock(`taken-${lock}/backups/lock`, 60_000)
    await vi.waitFor(
      async () => {
        const error = await failure(target.write('backups/file', Buffer.from('x')))
        expect(error).toMatchObject({ code: 'TARGET_BUSY' })
      },
      { timeout: 20_000 },
    )
    expect(await failure(target.remove('backups/file'))).toMatchObject({ code: 'TARGET_BUSY' })
    await target.write('elsewhere/file', Buffer.from('x'))
    await held.release()
    expect(await failure((await openTarget(location)).lock('backups'))).toMatchObject({ code: 'TARGET_BUSY' })
  })

  test('that can not be renewed stops its holder from writing', async () => {
    const target = await openTarget(server.location('cut off', { lockSeconds: '1' }))
    const lock = await target.lock('backups')
    await server.interrupt(async () => {
      await sleep(1_500)
      expect(await failure(target.write('backups/file', Buffer.from('x')))).toMatchObject({ code: 'IO_ERROR' })
    })
    await lock.release()
  })

  test('clears the uploads that writers that died have left, in its area only', async () => {
    const client = ownClient()
    for (const Key of ['left/backups/packs/1', 'left/archive/1']) {
      await client.send(new CreateMultipartUploadCommand({ Bucket: BUCKET, Key }))
    }
    await (await (await openTarget(server.location('left'))).lock('backups')).release()
    const { Uploads: uploads = [] } = await client.send(
      new ListMultipartUploadsCommand({ Bucket: BUCKET, Prefix: 'left/' }),
    )
    expect(uploads.map(({ Key }) => Key)).toEqual(['left/archive/1'])
  })
})

test('a server that ignores conditions is found out, and left as it was', async () => {
  const plain = await startS3Server({ plain: true })
  onTestFinished(() => plain.close())
  const target = await openTarget(plain.location('prefix'))
  const error = await failure(target.lock('backups'))
  expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' })
  expect(error.message).toContain('lock=advisory')
  const advisory = await openTarget(plain.location('prefix', { lock: 'advisory' }))
  await (await advisory.lock('backups')).release()
})
