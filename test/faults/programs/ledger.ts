/**
 * Moves money between accounts as fast as it can, on a bare database whose log starts over all the time: small and
 * large transactions, rolled back ones, a file that grows and shrinks, checkpoints of every kind, readers in between.
 * The sum never changes, and `moves` counts the transactions.
 */
import { type Connection, DriverError, queryOnce } from '../../../src/worker/driver.ts'
import { openKeyedDatabase } from '../../../src/worker/keyed-database.ts'
import { sqlcipherDriver } from '../../../src/worker/sqlcipher-driver.ts'
import { Random } from '../random.ts'
import { programArguments, report } from './report.ts'

const ACCOUNTS = 200
const BALANCE = 1_000

interface Arguments {
  readonly path: string
  readonly key: string
  readonly seed: string
}

const { path, key, seed } = programArguments<Arguments>()
const random = new Random(seed, 'ledger')

function connect(mode: 'create' | 'read-write' | 'read-only'): Promise<Connection> {
  return openKeyedDatabase(sqlcipherDriver, path, {
    key: Buffer.from(key, 'hex'),
    mode,
    role: 'reader',
    durability: 'full',
    busyTimeoutMs: 20,
  })
}

const writer = await connect('create')
await writer.exec(`
  CREATE TABLE account (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL, note BLOB);
  CREATE TABLE passing (id INTEGER PRIMARY KEY, content BLOB);
  CREATE TABLE total (moves INTEGER NOT NULL);
  CREATE INDEX by_balance ON account (balance);
  INSERT INTO total VALUES (0);
  WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${ACCOUNTS})
    INSERT INTO account SELECT i, ${BALANCE}, randomblob(900) FROM n;
  PRAGMA cache_size = 20`)

async function ignoringBusy(work: () => Promise<unknown>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!(error instanceof DriverError) || error.code !== 'BUSY') throw error
  }
}

async function move(): Promise<void> {
  await writer.exec('BEGIN IMMEDIATE; UPDATE total SET moves = moves + 1')
  const count = random.chance(0.1) ? random.between(20, 150) : random.between(1, 4)
  for (let n = 0; n < count; n++) {
    const amount = random.between(1, 50)
    const from = random.between(1, ACCOUNTS)
    const to = random.between(1, ACCOUNTS)
    await writer.exec(`
      UPDATE account SET balance = balance - ${amount}, note = randomblob(900) WHERE id = ${from};
      UPDATE account SET balance = balance + ${amount}, note = randomblob(900) WHERE id = ${to}`)
  }
  if (random.chance(0.1)) {
    await writer.exec(`INSERT INTO passing (content) VALUES (zeroblob(${random.between(1, 200_000)}))`)
  }
  if (random.chance(0.05)) await writer.exec('DELETE FROM passing')
  await writer.exec(random.chance(0.1) ? 'ROLLBACK' : 'COMMIT')
}

async function checkpointForever(): Promise<never> {
  const connection = await connect('read-write')
  for (;;) {
    const mode = random.pick(['PASSIVE', 'PASSIVE', 'PASSIVE', 'FULL', 'RESTART', 'TRUNCATE'])
    await ignoringBusy(() => queryOnce(connection, `PRAGMA wal_checkpoint(${mode})`))
    await new Promise((resolve) => setTimeout(resolve, random.between(0, 15)))
  }
}

async function readForever(): Promise<never> {
  const connection = await connect('read-only')
  for (;;) {
    await connection.exec('BEGIN')
    await queryOnce(connection, 'SELECT sum(balance) FROM account')
    await new Promise((resolve) => setTimeout(resolve, random.between(0, 30)))
    await connection.exec('COMMIT')
    await new Promise((resolve) => setTimeout(resolve, random.between(0, 60)))
  }
}

report('pid', process.pid)
void checkpointForever()
void readForever()
report('moving')
for (;;) {
  await ignoringBusy(move)
  if (random.chance(0.005)) await ignoringBusy(() => writer.exec('VACUUM'))
}
