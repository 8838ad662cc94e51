import { copyFile, open, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import { isStoreError } from '../../src/protocol/store-error.ts'
import { frameOffset, readWalFrames } from '../../src/worker/archive/wal-frames.ts'
import { assertWalUndamaged } from '../../src/worker/wal-damage.ts'
import { tempDir } from '../client/fixtures/temp-store.ts'
import { createSomeDatabase } from './fixtures/some-database.ts'

/** What is read at once. */
const PIECE_FRAMES = 64
const PAGE_BYTES = 4_096
const COMMITS = 120

let log: string
let ends: readonly number[]

/** Whether the log is taken for damaged. */
async function isRefused(path = log): Promise<boolean> {
  try {
    await assertWalUndamaged(path)
    return false
  } catch (error) {
    expect(isStoreError(error) && error.code).toBe('STORE_CORRUPT')
    return true
  }
}

async function flip(offset: number): Promise<void> {
  const file = await open(log, 'r+')
  try {
    const byte = Buffer.alloc(1)
    await file.read(byte, 0, 1, offset)
    byte[0] = (byte[0] ?? 0) ^ 1
    await file.write(byte, 0, 1, offset)
  } finally {
    await file.close()
  }
}

beforeEach(async () => {
  const dir = tempDir()
  const path = join(dir, 'some.db')
  const connection = await createSomeDatabase(path)
  for (let n = 0; n < COMMITS; n++) await connection.exec('INSERT INTO t VALUES (randomblob(6000))')
  log = join(dir, 'log')
  await copyFile(`${path}-wal`, log)
  await connection.close()
  const frames = (await readWalFrames(log))?.frames ?? []
  ends = frames.filter(({ commitPages }) => commitPages > 0).map(({ index }) => index)
  expect(frames.length).toBeGreaterThan(4 * PIECE_FRAMES)
})

describe('a log', () => {
  it('that is whole, absent, empty or nothing but zeros is taken as it is', async () => {
    expect(await isRefused()).toBe(false)
    expect(await isRefused(`${log}-absent`)).toBe(false)
    for (const length of [0, 20, 32, 40, 100_000]) {
      await writeFile(`${log}-zeros`, Buffer.alloc(length))
      expect(await isRefused(`${log}-zeros`), `${length}`).toBe(false)
    }
  })

  it('with a changed bit is refused wherever a commit and more stand behind it, at the borders of what is read at once too', async () => {
    const last = ends.at(-1) as number
    const borders = [1, 2, 3].flatMap((n) => [-1, 0, 1, 2].map((by) => n * PIECE_FRAMES + by))
    for (const index of [1, ...borders, ends.at(-4) as number]) {
      for (const within of [3, 9, 17, 24, 2_000, PAGE_BYTES + 23]) {
        const offset = frameOffset(index, PAGE_BYTES) + within
        await flip(offset)
        expect(await isRefused(), `frame ${index} of ${last}, byte ${within}`).toBe(true)
        await flip(offset)
      }
    }
    expect(await isRefused()).toBe(false)
  })

  it('with a changed header is refused', async () => {
    for (const offset of [0, 9, 17, 30]) {
      await flip(offset)
      expect(await isRefused(), `byte ${offset}`).toBe(true)
      await flip(offset)
    }
  })

  it('with a torn end, which is one commit that was not finished, is taken up to it', async () => {
    const [before = 0, last = 0] = ends.slice(-2)
    for (let index = before + 1; index <= last; index++) {
      const offset = frameOffset(index, PAGE_BYTES) + 100
      await flip(offset)
      expect(await isRefused(), `frame ${index}`).toBe(false)
      await flip(offset)
    }
    await truncate(log, frameOffset(last, PAGE_BYTES) + 500)
    expect(await isRefused()).toBe(false)
  })

  it('of more bytes than fit into memory at once is read all the same, its end included', async () => {
    const whole = await readFile(log)
    const farFrame = (2.1 * 2 ** 30) / (PAGE_BYTES + 24)
    // A hole behind the frames, and far behind it those of two commits of this log.
    const two = whole.subarray(frameOffset((ends.at(-3) as number) + 1, PAGE_BYTES))
    const file = await open(log, 'r+')
    await file.write(two, 0, two.length, frameOffset(Math.ceil(farFrame), PAGE_BYTES))
    await file.close()
    const before = process.memoryUsage().rss
    expect(await isRefused()).toBe(true)
    expect(process.memoryUsage().rss - before).toBeLessThan(256 * 2 ** 20)
  }, 120_000)
})
