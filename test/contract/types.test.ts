/**
 * What TypeScript makes of the public face. `npm run typecheck` is what runs these; the functions are never called, and
 * each `@ts-expect-error` fails there when the mistake below it is no longer one.
 */
import { describe, expectTypeOf, test } from 'vitest'
import {
  type BuiltInCollections,
  type ChangeEvent,
  type CollectionDefinition,
  type Decimal,
  type DocumentOf,
  defineCollection,
  type Entry,
  type InputOf,
  type JsonValue,
  openStore,
  type SqlRow,
  type SqlTable,
  type Store,
  StoreError,
  type StoreErrorCode,
  type TransactionScope,
  z,
} from '../../src/index.ts'

const watchlist = defineCollection({
  name: 'watchlist',
  key: 'symbol',
  schema: z.object({ symbol: z.string(), tag: z.string(), note: z.string().optional(), rank: z.number().default(0) }),
  indexes: ['tag', 'rank'],
  hot: true,
})
const notes = defineCollection({
  name: 'notes',
  key: 'id',
  schema: z.object({ id: z.string(), at: z.number(), done: z.boolean(), text: z.string() }),
  indexes: ['at', 'done'],
})
const jobs = defineCollection({
  name: 'jobs',
  key: 'id',
  schema: z.object({ id: z.string(), state: z.enum(['queued', 'running', 'done']) }),
  indexes: ['state'],
  hot: { field: 'state', in: ['queued', 'running'] },
})
const accounts = defineCollection({
  name: 'accounts',
  key: 'id',
  schema: z.object({ id: z.string(), secret: z.string().nullish(), label: z.string() }),
  sealed: ['secret'],
})
const own = { watchlist, notes, jobs, accounts }
type Own = Store<typeof own>

type Position = DocumentOf<BuiltInCollections['positions']>

/** Type-checked, never run. */
function onlyTypes(_check: (store: Own) => unknown): void {}

describe('openStore', () => {
  test('gives a store with the built-in collections and the own ones', () => {
    expectTypeOf(openStore<typeof own>).returns.resolves.toEqualTypeOf<Own>()
    expectTypeOf<Own>().toHaveProperty('positions')
    expectTypeOf<Own>().toHaveProperty('watchlist')
    expectTypeOf<Store>().not.toHaveProperty('watchlist')
  })

  test('infers the own collections from its options', () => {
    void (() => {
      expectTypeOf(openStore({ dir: './state', collections: own })).resolves.toEqualTypeOf<Own>()
      expectTypeOf(openStore({ dir: './state' })).resolves.toEqualTypeOf<Store>()
    })
  })

  test('wants a directory and knows its options', () => {
    void (() => {
      // @ts-expect-error dir is required
      openStore({})
      // @ts-expect-error there is no such durability
      openStore({ dir: './state', durability: 'none' })
      // @ts-expect-error a plain object is no definition
      openStore({ dir: './state', collections: { watchlist: { name: 'watchlist' } } })
      // @ts-expect-error misspelt
      openStore({ dir: './state', passwort: 'x' })
    })
  })

  test('a store is an async disposable', () => {
    expectTypeOf<Store>().toExtend<AsyncDisposable>()
  })
})

describe('a hot collection', () => {
  test('answers at once', () => {
    expectTypeOf<Own['watchlist']['get']>().returns.toEqualTypeOf<DocumentOf<typeof watchlist> | undefined>()
    expectTypeOf<Own['watchlist']['find']>().returns.toEqualTypeOf<DocumentOf<typeof watchlist>[]>()
    expectTypeOf<Own['watchlist']['list']>().returns.toEqualTypeOf<DocumentOf<typeof watchlist>[]>()
    expectTypeOf<Own['watchlist']['count']>().returns.toEqualTypeOf<number>()
    expectTypeOf<Own['watchlist']['size']>().toEqualTypeOf<number>()
  })

  test('writes with a promise', () => {
    expectTypeOf<Own['watchlist']['put']>().returns.toEqualTypeOf<Promise<void>>()
    expectTypeOf<Own['watchlist']['insert']>().returns.toEqualTypeOf<Promise<void>>()
    expectTypeOf<Own['watchlist']['insertMany']>().returns.toEqualTypeOf<Promise<void>>()
    expectTypeOf<Own['watchlist']['delete']>().returns.toEqualTypeOf<Promise<void>>()
    expectTypeOf<Own['watchlist']['load']>().returns.toEqualTypeOf<Promise<number>>()
  })

  test('has no reveal: nothing in it is sealed', () => {
    expectTypeOf<Own['watchlist']>().not.toHaveProperty('reveal')
  })

  test('of keys and values has set and value', () => {
    expectTypeOf<Store['kv']['set']>().parameters.toEqualTypeOf<[key: string, value: JsonValue]>()
    expectTypeOf<TransactionScope<BuiltInCollections>['kv']['set']>().parameters.toEqualTypeOf<
      [key: string, value: JsonValue]
    >()
    expectTypeOf<TransactionScope<BuiltInCollections>['kv']['value']>().returns.toEqualTypeOf<JsonValue | undefined>()
    expectTypeOf<TransactionScope<BuiltInCollections>['orders']>().not.toHaveProperty('set')
    expectTypeOf<Store['kv']['value']>().returns.toEqualTypeOf<JsonValue | undefined>()
    expectTypeOf<Own['watchlist']>().not.toHaveProperty('set')
  })
})

describe('a cold collection', () => {
  test('answers with a promise', () => {
    expectTypeOf<Own['notes']['get']>().returns.toEqualTypeOf<Promise<DocumentOf<typeof notes> | undefined>>()
    expectTypeOf<Own['notes']['find']>().returns.toEqualTypeOf<Promise<DocumentOf<typeof notes>[]>>()
    expectTypeOf<Own['notes']['list']>().returns.toEqualTypeOf<Promise<DocumentOf<typeof notes>[]>>()
    expectTypeOf<Own['notes']['count']>().returns.toEqualTypeOf<Promise<number>>()
    expectTypeOf<Own['notes']>().not.toHaveProperty('size')
  })

  test('streams its documents', () => {
    expectTypeOf<Own['notes']['stream']>().returns.toEqualTypeOf<AsyncIterable<DocumentOf<typeof notes>>>()
  })
})

describe('a partly hot collection', () => {
  test('answers a question about a hot state at once', () => {
    onlyTypes((store) => {
      expectTypeOf(store.jobs.find({ state: 'queued' })).toEqualTypeOf<DocumentOf<typeof jobs>[]>()
      expectTypeOf(store.jobs.find({ state: { in: ['queued', 'running'] } })).toEqualTypeOf<DocumentOf<typeof jobs>[]>()
      expectTypeOf(store.orders.find({ state: 'open', positionId: 'BTC-1' })).toBeArray()
    })
  })

  test('answers any other question perhaps with a promise', () => {
    type Perhaps = DocumentOf<typeof jobs>[] | Promise<DocumentOf<typeof jobs>[]>
    onlyTypes((store) => {
      expectTypeOf(store.jobs.find({ state: 'done' })).toEqualTypeOf<Perhaps>()
      expectTypeOf(store.jobs.find({ state: { in: ['queued', 'done'] } })).toEqualTypeOf<Perhaps>()
      expectTypeOf(store.jobs.find({ state: { ne: 'done' } })).toEqualTypeOf<Perhaps>()
      expectTypeOf(store.jobs.find({})).toEqualTypeOf<Perhaps>()
    })
  })

  test('gets perhaps with a promise, peeks at once, lists with a promise', () => {
    type Job = DocumentOf<typeof jobs>
    expectTypeOf<Own['jobs']['get']>().returns.toEqualTypeOf<Job | Promise<Job | undefined>>()
    expectTypeOf<Own['jobs']['peek']>().returns.toEqualTypeOf<Job | undefined>()
    expectTypeOf<Own['jobs']['list']>().returns.toEqualTypeOf<Promise<Job[]>>()
  })
})

describe('documents', () => {
  test('take what the schema takes and give what it gives', () => {
    expectTypeOf<InputOf<typeof watchlist>>().toEqualTypeOf<{
      readonly symbol: string
      readonly tag: string
      readonly note?: string | undefined
      readonly rank?: number | undefined
    }>()
    expectTypeOf<DocumentOf<typeof watchlist>>().toEqualTypeOf<{
      readonly symbol: string
      readonly tag: string
      readonly note?: string | undefined
      readonly rank: number
    }>()
  })

  test('take numbers and decimal strings for prices', () => {
    expectTypeOf<Position['entryPrice']>().toEqualTypeOf<Decimal>()
    expectTypeOf<Decimal>().toEqualTypeOf<string | number>()
  })

  test('are refused when a field is missing or of the wrong type', () => {
    onlyTypes((store) => {
      // @ts-expect-error tag is required
      store.watchlist.put({ symbol: 'BTC' })
      // @ts-expect-error tag is a string
      store.watchlist.insert({ symbol: 'BTC', tag: 1 })
      // @ts-expect-error there is no such side
      store.positions.put({ id: 'p', symbol: 'BTC', side: 'up', quantity: '1', entryPrice: '1' })
    })
  })

  test('are read-only all the way down', () => {
    onlyTypes((store) => {
      const found = store.watchlist.get('BTC')
      // @ts-expect-error read-only
      if (found !== undefined) found.tag = 'other'
      const flag = store.positions.get('BTC-1')?.metadata
      // @ts-expect-error read-only
      if (flag !== undefined) flag.x = 1
    })
  })

  test('do not carry what is sealed', () => {
    expectTypeOf<DocumentOf<typeof accounts>>().toEqualTypeOf<{ readonly id: string; readonly label: string }>()
    expectTypeOf<InputOf<typeof accounts>>().toHaveProperty('secret')
    onlyTypes(async (store) => {
      const account = await store.accounts.get('a')
      // @ts-expect-error sealed
      account?.secret
      const wallet = await store.wallets.get('0x')
      // @ts-expect-error sealed
      wallet?.privateKey
    })
  })

  test('are revealed field by field, for somebody with a reason', () => {
    expectTypeOf<Own['accounts']['reveal']>().returns.resolves.toEqualTypeOf<{ readonly secret: string | null }>()
    expectTypeOf<Store['wallets']['reveal']>().returns.resolves.toEqualTypeOf<{ readonly privateKey: string | null }>()
    onlyTypes((store) => {
      // @ts-expect-error who asks, and why
      store.accounts.reveal('a')
      // @ts-expect-error why
      store.accounts.reveal('a', { actor: 'me' })
    })
  })

  test('come with version and times on demand', () => {
    expectTypeOf<Own['notes']['entry']>().returns.resolves.toEqualTypeOf<Entry<DocumentOf<typeof notes>> | undefined>()
  })
})

describe('conditions', () => {
  test('name indexed fields only, of their own type', () => {
    onlyTypes((store) => {
      store.notes.find({ at: 5, done: true, id: 'n-1' })
      store.notes.find({ at: { gte: 1, lt: 5 }, done: { ne: null } })
      // @ts-expect-error text is not indexed
      store.notes.find({ text: 'x' })
      // @ts-expect-error there is no such field
      store.notes.find({ nope: 1 })
      // @ts-expect-error at is a number
      store.notes.find({ at: '5' })
      // @ts-expect-error no such operator
      store.notes.find({ at: { like: 5 } })
      // @ts-expect-error no such state
      store.orders.find({ state: 'opened' })
    })
  })

  test('order by indexed fields only', () => {
    onlyTypes((store) => {
      store.notes.list({ where: { done: false }, orderBy: 'at', order: 'desc', limit: 10, offset: 5 })
      // @ts-expect-error text is not indexed
      store.notes.list({ orderBy: 'text' })
      // @ts-expect-error up or down
      store.notes.list({ orderBy: 'at', order: 'up' })
      // @ts-expect-error sealed fields can't be searched
      store.accounts.find({ secret: 'x' })
    })
  })
})

describe('transactions', () => {
  type Scope = TransactionScope<typeof own>

  test('read what is in memory, and nothing else', () => {
    expectTypeOf<Scope['watchlist']['get']>().returns.toEqualTypeOf<DocumentOf<typeof watchlist> | undefined>()
    expectTypeOf<Scope['jobs']['get']>().returns.toEqualTypeOf<DocumentOf<typeof jobs> | undefined>()
    expectTypeOf<Scope['notes']>().not.toHaveProperty('get')
    expectTypeOf<Scope['accounts']>().not.toHaveProperty('get')
  })

  test('write without a promise: only the whole is durable', () => {
    expectTypeOf<Scope['notes']['put']>().returns.toEqualTypeOf<void>()
    expectTypeOf<Scope['notes']['insertMany']>().returns.toEqualTypeOf<void>()
  })

  test('resolve to what the callback returns', () => {
    onlyTypes((store) => {
      expectTypeOf(store.transaction(() => 7 as const)).toEqualTypeOf<Promise<7>>()
      store.transaction((tx) => {
        tx.positions.put({ id: 'p', symbol: 'BTC', side: 'long', quantity: 1, entryPrice: '1' })
        tx.watchlist.delete('BTC')
        // @ts-expect-error wrong type
        tx.notes.put({ id: 'n' })
        // @ts-expect-error not part of a transaction
        tx.sql
      })
    })
  })
})

describe('change events', () => {
  test('carry documents of the collection', () => {
    onlyTypes((store) => {
      store.watchlist.on('change', (event) => {
        expectTypeOf(event).toEqualTypeOf<ChangeEvent<DocumentOf<typeof watchlist>>>()
        expectTypeOf(event.previous).toEqualTypeOf<DocumentOf<typeof watchlist> | undefined>()
      })
      // @ts-expect-error there is one event
      store.watchlist.on('changed', () => undefined)
      expectTypeOf(store.on('restart', (cause) => expectTypeOf(cause).toEqualTypeOf<StoreError>())).toEqualTypeOf<
        () => void
      >()
    })
  })

  test('of a sealed collection carry no sealed field', () => {
    onlyTypes((store) => {
      store.accounts.on('change', ({ document }) => {
        // @ts-expect-error sealed
        document?.secret
      })
    })
  })
})

describe('the blocking twin', () => {
  test('answers at once for hot and cold alike', () => {
    expectTypeOf<Own['sync']['notes']['get']>().returns.toEqualTypeOf<DocumentOf<typeof notes> | undefined>()
    expectTypeOf<Own['sync']['notes']['list']>().returns.toEqualTypeOf<DocumentOf<typeof notes>[]>()
    expectTypeOf<Own['sync']['notes']['put']>().returns.toEqualTypeOf<void>()
    expectTypeOf<Own['sync']['jobs']['find']>().returns.toEqualTypeOf<DocumentOf<typeof jobs>[]>()
    expectTypeOf<Own['sync']['flush']>().toEqualTypeOf<() => void>()
  })
})

describe('sql', () => {
  test('gives rows, or what the caller says they are', () => {
    onlyTypes((store) => {
      expectTypeOf(store.sql('select 1')).resolves.toEqualTypeOf<SqlRow[]>()
      expectTypeOf(store.sql<{ n: number }>('select 1 n')).resolves.toEqualTypeOf<{ n: number }[]>()
      expectTypeOf(store.sqlTable('select 1')).resolves.toEqualTypeOf<SqlTable>()
      store.sql('select ?, ?, ?, ?', ['a', 1, true, null])
      // @ts-expect-error not a value of SQL
      store.sql('select ?', [new Date()])
      // @ts-expect-error there is no such file
      store.sql('select 1', [], { file: 'other' })
    })
  })
})

describe('series', () => {
  test('come as all their columns, or as those that were asked for', () => {
    onlyTypes(async (store) => {
      const all = await store.bars.range('BTC/USDT', '1m')
      expectTypeOf(all.volume).toEqualTypeOf<Float64Array>()
      expectTypeOf(all.vwap).toEqualTypeOf<unknown>()
      const some = await store.bars.range('BTC/USDT', '1m', { from: 0, columns: ['ts', 'close', 'vwap'] })
      expectTypeOf(some.ts).toEqualTypeOf<Float64Array>()
      expectTypeOf(some.close).toEqualTypeOf<Float64Array>()
      expectTypeOf(some.vwap).toEqualTypeOf<Float64Array>()
      expectTypeOf(some.length).toEqualTypeOf<number>()
      expectTypeOf(some.toRows()[0]).toExtend<{ ts: number; close: number; vwap: number } | undefined>()
      // @ts-expect-error it was not asked for
      void some.volume
      // @ts-expect-error nor was that of a row
      void some.toRows()[0]?.volume
    })
  })

  test('do so when they are scanned, or asked for their last points', () => {
    onlyTypes(async (store) => {
      for await (const chunk of store.ticks.scan('BTC/USDT', { columns: ['price'] })) {
        expectTypeOf(chunk.price).toEqualTypeOf<Float64Array | readonly string[]>()
        // @ts-expect-error it was not asked for
        void chunk.amount
      }
      const last = await store.quotes.last('EUR/USD', 5, { columns: ['bid'] })
      expectTypeOf(last.bid).toEqualTypeOf<Float64Array>()
      // @ts-expect-error it was not asked for
      void last.ask
      const { alpha } = await store.series('signal').range({ columns: ['alpha'] })
      expectTypeOf(alpha).toEqualTypeOf<Float64Array | readonly string[]>()
    })
  })

  test('may lack any column where only the running program knows the names', () => {
    onlyTypes(async (store) => {
      const columns: string[] = ['close']
      const some = await store.bars.range('BTC/USDT', '1m', { columns })
      expectTypeOf(some.close).toEqualTypeOf<Float64Array | undefined>()
      expectTypeOf(some.ts).toEqualTypeOf<Float64Array>()
    })
  })
})

describe('definitions', () => {
  test('carry name, shapes, key, indexes, sealed fields and heat', () => {
    expectTypeOf(watchlist).toExtend<
      CollectionDefinition<'watchlist', { symbol: string; tag: string }, unknown, 'symbol', string, never, true>
    >()
    expectTypeOf(watchlist.spec.name).toEqualTypeOf<'watchlist'>()
    expectTypeOf(notes.spec.hot).toExtend<false>()
  })

  test('take schemas that are strict, loose or have a catchall', () => {
    const shape = { id: z.string(), tag: z.string(), n: z.number() }
    const loose = defineCollection({ name: 'x', key: 'id', schema: z.looseObject(shape), indexes: ['tag'] })
    expectTypeOf<DocumentOf<typeof loose>['tag']>().toEqualTypeOf<string>()
    defineCollection({ name: 'x', key: 'id', schema: z.strictObject(shape), indexes: ['tag'] })
    defineCollection({ name: 'x', key: 'id', schema: z.object(shape).catchall(z.json()), indexes: ['tag'] })
    void (() => {
      // @ts-expect-error a key is a string
      defineCollection({ name: 'x', key: 'n', schema: z.looseObject(shape) })
    })
  })

  test('refuse fields the schema does not have', () => {
    const schema = z.object({ id: z.string(), n: z.number(), s: z.string().optional() })
    void (() => {
      // @ts-expect-error no such field
      defineCollection({ name: 'x', key: 'nope', schema })
      // @ts-expect-error a key is a string
      defineCollection({ name: 'x', key: 'n', schema })
      // @ts-expect-error a key is required
      defineCollection({ name: 'x', key: 's', schema })
      // @ts-expect-error no such field
      defineCollection({ name: 'x', key: 'id', schema, indexes: ['nope'] })
      // @ts-expect-error unique fields are indexed ones
      defineCollection({ name: 'x', key: 'id', schema, indexes: ['n'], unique: ['s'] })
      // @ts-expect-error no such field
      defineCollection({ name: 'x', key: 'id', schema, sealed: ['nope'] })
      // @ts-expect-error no such file
      defineCollection({ name: 'x', key: 'id', schema, file: 'other' })
    })
  })
})

describe('errors', () => {
  test('have a code from one union', () => {
    expectTypeOf<StoreError['code']>().toEqualTypeOf<StoreErrorCode>()
    expectTypeOf<'WRONG_PASSWORD'>().toExtend<StoreErrorCode>()
    // @ts-expect-error no such code
    expectTypeOf<'WRONG'>().toExtend<StoreErrorCode>()
    void (() => {
      // @ts-expect-error no such code
      new StoreError('NOPE', 'x')
    })
  })
})
