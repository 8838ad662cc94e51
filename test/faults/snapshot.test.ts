/** Snapshots taken beside a writer that gives them every chance to tear, each opened and held against what must be true. */
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { HeldDescriptors } from '../../src/worker/backup/held-descriptors.ts'
import { type DatabaseSnapshot, takeSnapshot } from '../../src/worker/backup/snapshot.ts'
import { type Connection, queryOnce } from '../../src/worker/driver.ts'
import { openKeyedDatabase } from '../../src/worker/keyed-database.ts'
import { sqlcipherDriver } from '../../src/worker/sqlcipher-driver.ts'
import { tempDir } from '../client/fixtures/temp-store.ts'
import { ChildProgram } from './child-program.ts'
import { reportFigures, seed, seededRandom, shortOrLong } from './fault-run.ts'

const SUM = 200 * 1_000
const SNAPSHOTS = shortOrLong(60, 1_000)

test(
  'is a committed state, whole, whatever writer and checkpoints do meanwhile',
  async () => {
    const random = seededRandom('snapshots')
    const dir = tempDir()
    const path = join(dir, 'ledger.db')
    const key = randomBytes(32)
    const ledger = ChildProgram.start('ledger', {
      arguments: { path, key: key.toString('hex'), seed },
      lifetimeMs: 1_800_000,
    })
    expect(await ledger.line('moving'), ledger.errorText).toBeDefined()
    const connect = (file: string, mode: 'read-only' | 'read-write') =>
      openKeyedDatabase(sqlcipherDriver, file, {
        key,
        mode,
        role: 'reader',
        durability: 'full',
        busyTimeoutMs: 10_000,
      })
    const descriptors = new HeldDescriptors()
    const kinds = { 'the file alone': 0, 'the file and its log': 0 }
    let firstMoves: number | undefined
    let lastMoves = 0
    for (let n = 0; n < SNAPSHOTS; n++) {
      const snapshot = await takeSnapshot({
        path,
        openReader: () => connect(path, 'read-only'),
        descriptors,
        onRelease: () => undefined,
      })
      kinds[snapshot.wal === null ? 'the file alone' : 'the file and its log'] += 1
      const atBegin = await movesOf(snapshot.connection)
      const copy = join(dir, 'copy.db')
      writeFileSync(copy, await readAll(snapshot, () => random.chance(0.3)))
      await snapshot.release()

      const opened = await connect(copy, 'read-only')
      expect(await queryOnce(opened, 'PRAGMA cipher_integrity_check'), `snapshot ${n}`).toEqual([])
      expect(await queryOnce(opened, 'PRAGMA integrity_check'), `snapshot ${n}`).toEqual([{ integrity_check: 'ok' }])
      expect(await queryOnce(opened, 'SELECT sum(balance) AS sum FROM account')).toEqual([{ sum: SUM }])
      const moves = await movesOf(opened)
      await opened.close()
      expect(moves).toBeGreaterThanOrEqual(atBegin)
      firstMoves ??= moves
      lastMoves = moves
    }
    await descriptors.close()
    expect(lastMoves).toBeGreaterThan(firstMoves as number)
    expect(kinds['the file and its log']).toBeGreaterThan(0)
    reportFigures(
      `Snapshots: ${SNAPSHOTS} beside ${lastMoves - (firstMoves as number)} transactions, ${JSON.stringify(kinds)}, each whole.`,
    )
    expect(ledger.errorText).toBe('')
    ledger.kill('SIGKILL')
    await ledger.ended
  },
  shortOrLong(60_000, 1_800_000),
)

async function movesOf(connection: Connection): Promise<number> {
  const [row] = await queryOnce(connection, 'SELECT moves FROM total')
  return Number(row?.moves)
}

/** In small pieces with pauses, so that much happens meanwhile. */
async function readAll(snapshot: DatabaseSnapshot, pauses: () => boolean): Promise<Buffer> {
  const pieces: Buffer[] = []
  for (let page = 1; page <= snapshot.pages; page += 16) {
    pieces.push(await snapshot.read(page, Math.min(16, snapshot.pages - page + 1)))
    if (pauses()) await new Promise((resolve) => setTimeout(resolve, 2))
  }
  return Buffer.concat(pieces)
}
