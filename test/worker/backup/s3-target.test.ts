import { afterAll, beforeAll } from 'vitest'
import { type S3Server, startS3Server } from './s3-server.ts'
import { describeTarget } from './target-spec.ts'

let server: S3Server
let plainServer: S3Server
let places = 0

beforeAll(async () => {
  server = await startS3Server()
  plainServer = await startS3Server({ plain: true })
})
afterAll(async () => {
  await plainServer.close()
  await server.close()
})

function newPrefix(): string {
  places += 1
  return `some where/${places}`
}

describeTarget('a bucket', () => server.location(newPrefix()))
describeTarget('a bucket of a server without conditional writes', () =>
  plainServer.location(newPrefix(), { lock: 'advisory' }),
)
