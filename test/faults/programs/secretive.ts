/**
 * Sends secrets through every path of the store: all collections, document keys, queries, failing writes, sealed fields,
 * sorts too large for memory. Reports every error it meets as a person would print it.
 */
import { inspect } from 'node:util'
import { openStore } from '../../../src/index.ts'
import { ownCollections } from '../collections.ts'
import { KDF } from '../store-settings.ts'
import { programArguments, report } from './report.ts'

export interface SecretiveArguments {
  readonly dir: string
  readonly migrations: string
  /** Goes into documents. */
  readonly value: string
  /** Is the key of documents. */
  readonly key: string
  readonly privateKey: string
  readonly wrongPassword: string
  readonly ending: 'close' | 'kill'
}

const { dir, migrations, value, key, privateKey, wrongPassword, ending } = programArguments<SecretiveArguments>()
report('pid', process.pid)

/** As base64, so that each stays one line. */
function show(path: string, shown: unknown): void {
  report(
    'shown',
    path.replaceAll(' ', '-'),
    Buffer.from(inspect(shown, { depth: 20, showHidden: true })).toString('base64'),
  )
}

async function expectError(path: string, work: () => unknown): Promise<void> {
  try {
    await work()
    report('no-error', path.replaceAll(' ', '-'))
  } catch (error) {
    show(path, error)
    show(path, (error as Error).stack)
    show(path, JSON.stringify(error))
  }
}

const wrong = { dir, migrations, password: wrongPassword, kdf: KDF, collections: ownCollections }
const store = await openStore({ dir, migrations, kdf: KDF, collections: ownCollections })
report('environment', process.env.HOLDFAST_PASSWORD === undefined ? 'clean' : 'holds the password')
await expectError('second owner', () => openStore(wrong))
show('the store', store)

const metadata = { secret: value }
const position = { id: key, symbol: value, side: 'long', quantity: '1', entryPrice: '1', metadata } as const
const order = {
  id: key,
  clientOrderId: value,
  symbol: value,
  side: 'buy',
  state: 'open',
  quantity: '1',
  metadata,
} as const
const fill = { id: key, orderId: key, price: '1', quantity: '1', filledAt: 1, metadata }
for (let round = 0; round < 2; round++) {
  void store.positions.put(position)
  void store.orders.put(order)
  void store.fills.put(fill)
  void store.trades.put({ id: key, symbol: value, entryPrice: '1', openedAt: 1, exitReason: value, metadata })
  void store.kv.set(key, { deep: [value] })
  void store.preferences.set(key, value)
  void store.flags.put({ key, value, description: value })
  void store.users.put({ id: key, name: value, email: value })
  void store.wallets.put({ address: key, label: value, privateKey })
  void store.algorithmMetrics.put({ id: key, algorithm: value, recordedAt: 1, metrics: { [value]: '1' } })
  void store.recoveryMetrics.put({ id: key, startedAt: 1, durationMs: 1, outcome: 'clean', counts: { [value]: 1 } })
  void store.watchlist.put({ symbol: key, tag: value, note: value })
  void store.tickRows.put({ id: key, symbol: value, at: 1, price: value })
  await store.flush()
  await store.checkpoint()
}
// Names, ids and texts of series: in rows, in blocks, and what compaction and deletion leave of both.
const hidden = (from: number, count: number) =>
  Array.from({ length: count }, (_, n) => ({ ts: from + n, note: `${value}-${n}`, reason: value }))
await store.series(value).append(hidden(0, 1_000))
await store.series(key).append(hidden(0, 10))
await store.series(value).append(hidden(500, 50))
await store.series(value).append(hidden(1_000, 20))
await store.ticks.append(value, [{ ts: 1, price: '1.50', amount: '1', id: value }], { exact: true })
await store.series.compact()
await store.series(value).delete({ from: 100, to: 900 })
await store.series(value).range()
store.sync.kv.put({ key: `${key}-blocking`, value })
await store.transaction((tx) => {
  tx.kv.put({ key: `${key}-transaction`, value })
  tx.positions.put(position)
})
await store.kv.delete(`${key}-blocking`)
await store.trades.load(
  Array.from({ length: 3_000 }, (_, n) => ({
    id: `${key}-${n}`,
    symbol: `${value}-${n % 7}`,
    entryPrice: '1',
    openedAt: 3_000 - n,
    exitReason: value.repeat(5),
  })),
)
await store.sql('select symbol, group_concat("exitReason") from trades group by 1 order by 2 desc', [], { maxRows: 10 })
await store.sql('select a._doc from trades a, (select 1 limit 20) order by a._doc || a._key desc', [], {
  maxRows: 5_000,
})
const skill = { name: key, kind: value, description: value, content: `const ${value} = 1`, tags: [value], metadata }
await store.skills.save(skill)
await store.skills.save({ ...skill, content: `${value} again`, note: value })
await store.skills.recordPerformance(key, { [value]: 1 })
report('searched', (await store.skills.search(`"${value}"`, { tags: [value] })).length)
await store.skills.save({ name: `${key}-2`, content: value })
await store.skills.delete(`${key}-2`)
for (let ts = 0; ts < 3; ts++) {
  const bar = { ts, open: 1, high: 1, low: 1, close: 1, volume: 1, [value]: 1 }
  await store.sessionCache.storeBars(key, [bar], { interval: value })
}
report('cached', (await store.sessionCache.getBars(key, { interval: value })).length)

const revealed = await store.wallets.reveal(key, { actor: 'test', reason: value })
report('revealed', revealed.privateKey === privateKey ? 'right' : 'wrong')
const sealed = await store.sql('select "_doc" from main.wallets')
report('sealed', JSON.stringify(sealed).includes(privateKey) ? 'readable' : 'unreadable')
report('wallet', JSON.stringify(await store.wallets.get(key)).includes(privateKey) ? 'readable' : 'unreadable')

// An artifact's content, metadata and lineage, and what a deletion and a broken put leave.
const content = Buffer.from(value.repeat(100_000))
await store.artifacts.put(key, content, { metadata: { secret: value } })
await store.artifacts.put(key, [content, content], {
  metadata: { secret: value },
  parents: [{ name: key, version: 1 }],
})
await store.artifacts.delete(key, 1)
await expectError('an artifact of texts', () => store.artifacts.put(key, [content, value] as never))
await expectError('metadata of a date', () =>
  store.artifacts.put(key, content, { metadata: { [value]: new Date() as never } }),
)
await store.artifacts.get(key).bytes()
await expectError('a series of other columns', () => store.series(key).append([{ ts: 1, other: value }]))
await expectError('a point without a time', () => store.series(key).append([{ ts: value as never, note: value }]))
await expectError('a price that is no number', () =>
  store.bars.append(key, '1m', [{ ts: 1, open: value as never, high: 1, low: 1, close: 1, volume: 1 }]),
)
await expectError('insert of a known key', () => store.kv.insert({ key, value }))
await expectError('insert of a known cold key', () => store.fills.insert(fill))
await expectError('insertMany with a known key', () => store.fills.insertMany([fill, { ...fill, id: `${key}-2` }]))
await expectError('a taken unique field', () => store.orders.put({ ...order, id: `${key}-2` }))
await expectError('a taken email', () => store.users.put({ id: `${key}-2`, email: value }))
await expectError('a reference to nothing', () => store.fills.put({ ...fill, orderId: value }))
await expectError('a version of long ago', () => store.kv.put({ key, value }, { ifVersion: 900 }))
await expectError('a version of a cold document', () =>
  store.trades.put({ id: key, symbol: value, entryPrice: '1', openedAt: 1 }, { ifVersion: 900 }),
)
await expectError('a skill that needs itself', () => store.skills.save({ ...skill, dependencies: [key] }))
await expectError('a skill that is none', () => store.skills.save({ ...skill, tags: [`${value}\n`] }))
await expectError('a search for nothing', () => store.skills.search(`-${value}`))
await expectError('performance that is none', () => store.skills.recordPerformance(key, { sharpe: value as never }))
await expectError('a bar that is none', () => store.sessionCache.storeBars(key, [{ ts: 1, close: value } as never]))
await expectError('delete of what is referred to', () => store.orders.delete(key))
await expectError('no valid document', () => store.positions.put({ ...position, side: value } as never))
await expectError('no valid decimal', () => store.positions.put({ ...position, quantity: value }))
await expectError('no valid nesting', () => store.kv.put({ key, value: { [value]: () => value } } as never))
await expectError('no valid key', () => store.kv.put({ key: `${key}\0`, value }))
await expectError('no valid sealed field', () => store.wallets.put({ address: key, privateKey: [privateKey] } as never))
await expectError('a transaction that throws', () =>
  store.transaction(() => {
    throw new RangeError('of its own')
  }),
)
await expectError('an unknown field in a query', () => store.fills.find({ [key]: 1 } as never))
await expectError('sql of nonsense', () => store.sql(`select '${value}' from`))
await expectError('sql with a value in double quotes', () => store.sql(`select max("${value}", *) from orders`))
await expectError('sql with a value out of place', () => store.sql(`select 1 where '${value}' in '${value}'`))
await expectError('sql of a missing table', () => store.sql(`select * from "${key}"`))
await expectError('sql that writes', () => store.sql(`insert into kv values ('${value}')`))
await expectError('sql with bad json', () => store.sql('select ? -> 1', [value]))
await expectError('sql with too many rows', () => store.sql('select * from trades', [], { maxRows: 2 }))
await expectError('sql with too few parameters', () => store.sql('select json_extract(?, ?)', [value, value]))
await expectError('a blocking write', () => store.sync.fills.insert(fill))
await expectError('an unknown collection', () => store.collection(key))
await expectError('reveal without a reason', () => store.wallets.reveal(key, { actor: value, reason: '' }))
await expectError('options that are none', () => openStore({ dir, password: [wrongPassword] } as never))
await expectError('a weak password', () => openStore({ dir: `${dir}-other`, password: wrongPassword.slice(0, 10) }))
await store.flush()
if (ending === 'kill') process.kill(process.pid, 'SIGKILL')
await store.close()
await expectError('a wrong password', () => openStore(wrong))
await expectError('a write after close', () => store.kv.put({ key, value }))
