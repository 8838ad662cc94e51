import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { frameOffset, readWalFrames } from '../../../src/worker/archive/wal-frames.ts'
import { type Connection, queryOnce } from '../../../src/worker/driver.ts'
import { createSomeDatabase } from '../fixtures/some-database.ts'

let dir: string
let path: string
let connection: Connection

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'holdfast-frames-'))
  path = join(dir, 'some.db')
  connection = await createSomeDatabase(path)
})

afterEach(async () => {
  await connection.close()
  await rm(dir, { recursive: true })
})

async function commits(count: number): Promise<void> {
  for (let index = 0; index < count; index++) await connection.exec('INSERT INTO t VALUES (randomblob(6000))')
}

async function framesByTheLibrary(): Promise<number> {
  const [row] = await queryOnce(connection, 'PRAGMA wal_checkpoint(NOOP)')
  return Number(row?.log)
}

describe('frames of a log', () => {
  it('are as many as SQLite counts, the last one a commit', async () => {
    await commits(5)
    const found = await readWalFrames(`${path}-wal`)
    expect(found?.frames).toHaveLength(await framesByTheLibrary())
    expect(found?.frames.at(-1)?.commitPages).toBeGreaterThan(0)
  })

  it('can be read on from where one stopped', async () => {
    await commits(2)
    const before = (await readWalFrames(`${path}-wal`))?.frames ?? []
    await commits(3)
    const all = (await readWalFrames(`${path}-wal`))?.frames ?? []
    const rest = (await readWalFrames(`${path}-wal`, before.length))?.frames
    expect(rest).toEqual(all.slice(before.length))
  })

  it('end with the commit before a changed bit', async () => {
    await commits(4)
    const frames = (await readWalFrames(`${path}-wal`))?.frames ?? []
    const ends = frames.filter((frame) => frame.commitPages > 0)
    const [hit, before] = [ends.at(-2), ends.at(-3)]
    const copy = join(dir, 'copy-wal')
    const bytes = await readFile(`${path}-wal`)
    const offset = frameOffset(hit?.index ?? 0, 4_096) + 2_000
    bytes[offset] = (bytes[offset] ?? 0) ^ 1
    await writeFile(copy, bytes)
    expect((await readWalFrames(copy))?.frames.at(-1)).toEqual(before)
  })

  it('of an earlier log in the same file do not count', async () => {
    await commits(20)
    await queryOnce(connection, 'PRAGMA wal_checkpoint(PASSIVE)')
    await commits(1)
    expect((await readWalFrames(`${path}-wal`))?.frames).toHaveLength(await framesByTheLibrary())
  })

  it('are none where there is no log, or an empty one', async () => {
    expect(await readWalFrames(join(dir, 'absent-wal'))).toBeUndefined()
    await writeFile(join(dir, 'zeros-wal'), Buffer.alloc(100_000))
    expect(await readWalFrames(join(dir, 'zeros-wal'))).toBeUndefined()
  })
})
