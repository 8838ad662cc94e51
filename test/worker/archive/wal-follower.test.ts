import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { type FoundCommit, WalFollower } from '../../../src/worker/archive/wal-follower.ts'
import { type Connection, queryOnce } from '../../../src/worker/driver.ts'
import { tempDir } from '../../client/fixtures/temp-store.ts'
import { createSomeDatabase } from '../fixtures/some-database.ts'

/** Later than what the set-up commits without a name, which has the time when it was found. */
const T = Date.parse('2100-01-01')

let path: string
let connection: Connection
let follower: WalFollower
let found: FoundCommit[]

async function follow(): Promise<readonly FoundCommit[]> {
  found = []
  const started = await WalFollower.start(`${path}-wal`, `${path}.commits`, (commit) => found.push(commit))
  follower = started.follower
  return started.present
}

async function commit(sequence: number | null, atMs: number, sql = 'INSERT INTO t VALUES (randomblob(6000))') {
  follower.committing(sequence, atMs)
  await connection.exec(sql)
  follower.committed()
}

beforeEach(async () => {
  path = join(tempDir(), 'some.db')
  connection = await createSomeDatabase(path)
  await follow()
})

afterEach(async () => {
  await connection.close()
  follower.close()
})

it('finds each commit with its name and every frame of it', async () => {
  for (const sequence of [1, 2, 3]) await commit(sequence, T + 1_000 + sequence)
  expect(found.map(({ sequence, timeMs }) => [sequence, timeMs])).toEqual([
    [1, T + 1_001],
    [2, T + 1_002],
    [3, T + 1_003],
  ])
  for (const [index, { firstFrame }] of found.entries()) {
    if (index > 0) expect(firstFrame).toBe((found[index - 1]?.lastFrame ?? 0) + 1)
  }
  const [row] = await queryOnce(connection, 'PRAGMA wal_checkpoint(NOOP)')
  expect(found.at(-1)?.lastFrame).toBe(Number(row?.log))
})

it('finds none in a transaction that changed nothing, or that was rolled back with pages in the log', async () => {
  await commit(1, T + 1_000)
  await commit(2, T + 1_001, 'DELETE FROM t WHERE x = 1')
  const spilling = 'PRAGMA cache_size = 2; BEGIN; INSERT INTO t VALUES (randomblob(400000)); ROLLBACK'
  await commit(3, T + 1_002, spilling)
  await commit(4, T + 1_003)
  expect(found.map(({ sequence }) => sequence)).toEqual([1, 4])
})

it('gives no name to what others commit between', async () => {
  await commit(1, T + 1_000)
  await connection.exec('INSERT INTO t VALUES (1)')
  await commit(2, T + 1_001)
  expect(found.map(({ sequence }) => sequence)).toEqual([1, null, 2])
})

it('goes on in a log that has started over', async () => {
  await commit(1, T + 1_000)
  await queryOnce(connection, 'PRAGMA wal_checkpoint(PASSIVE)')
  await commit(2, T + 1_001)
  expect(found.map(({ sequence, firstFrame }) => [sequence, firstFrame]).at(-1)).toEqual([2, 1])
})

it('has times that never go back, whichever way the clock jumps', async () => {
  for (const [index, atMs] of [T + 5_000, T + 4_000, T + 90_000, T + 6_000, T + 91_000].entries())
    await commit(index + 1, atMs)
  expect(found.map(({ timeMs }) => timeMs)).toEqual([T + 5_000, T + 5_000, T + 90_000, T + 90_000, T + 91_000])
})

it('knows the names of commits again after a crash', async () => {
  await commit(1, T + 1_000)
  await commit(2, T + 1_001)
  follower.close()
  const present = await follow()
  expect(present.slice(-2).map(({ sequence, timeMs }) => [sequence, timeMs])).toEqual([
    [1, T + 1_000],
    [2, T + 1_001],
  ])
})

it('knows the name of the first commit of a log again, whatever log came before it', async () => {
  await commit(1, T + 1)
  await queryOnce(connection, 'PRAGMA wal_checkpoint(TRUNCATE)')
  await commit(2, T + 2)
  await commit(3, T + 3)
  follower.close()
  const present = await follow()
  expect(present.map(({ sequence, timeMs, firstFrame }) => [sequence, timeMs, firstFrame === 1])).toEqual([
    [2, T + 2, true],
    [3, T + 3, false],
  ])
})

it('takes what has no name for as late as what follows it, and never for earlier than it was', async () => {
  await commit(1, T + 1)
  await connection.exec('INSERT INTO t VALUES (1)')
  await commit(2, T + 2)
  follower.close()
  const present = await follow()
  expect(present.slice(-3).map(({ sequence, timeMs }) => [sequence, timeMs])).toEqual([
    [1, T + 1],
    [null, T + 2],
    [2, T + 2],
  ])
})

it('knows the highest sequence there was when the log is gone', async () => {
  expect(follower.highestSequence).toBeNull()
  for (const sequence of [7, 8, 9]) await commit(sequence, T)
  await queryOnce(connection, 'PRAGMA wal_checkpoint(TRUNCATE)')
  follower.close()
  expect(await follow()).toEqual([])
  expect(follower.highestSequence).toBe(9)
})
