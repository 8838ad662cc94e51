/** `store.sql`: what it sees, and that nothing is ever written through it. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { defineCollection, z } from '../../src/index.ts'
import { order, position } from './fixtures/documents.ts'
import { codeOf, failureOf, openSharedStore, tempDir } from './fixtures/temp-store.ts'

const things = defineCollection({
  name: 'things',
  key: 'id',
  schema: z.object({
    id: z.string(),
    indexed: z.string().optional(),
    plain: z.string().optional(),
    n: z.number().optional(),
    flag: z.boolean().optional(),
    deep: z.json().optional(),
    order: z.string().optional(),
  }),
  indexes: ['indexed'],
})
const vault = defineCollection({
  name: 'vault',
  key: 'id',
  schema: z.object({ id: z.string(), label: z.string().optional(), pin: z.string().nullish() }),
  indexes: ['label'],
  sealed: ['pin'],
})
const bars = defineCollection({
  name: 'bars',
  key: 'id',
  schema: z.object({ id: z.string(), close: z.number() }),
  file: 'market',
})

const store = await openSharedStore({ collections: { things, vault, barRows: bars } })
await store.things.insertMany([
  { id: 'a', indexed: 'i', plain: 'p', n: 1.5, flag: true, deep: { x: [1] }, order: 'asc' },
  { id: 'b' },
])
await store.vault.insert({ id: 'v', label: 'main', pin: 'pin-4711' })
await store.orders.insert(order('o-1'))
await store.barRows.insert({ id: 'bar', close: 5 })

describe('what it sees', () => {
  test('every field as a column, indexed or not, and the store’s own', async () => {
    const [row] = await store.sql(`select * from things where id = 'a'`)
    expect(row).toMatchObject({
      _key: 'a',
      _version: 1,
      id: 'a',
      indexed: 'i',
      plain: 'p',
      n: 1.5,
      flag: 1,
      deep: '{"x":[1]}',
      order: 'asc',
    })
    expect(Object.keys(row as object).sort()).toEqual(
      ['_createdAt', '_doc', '_key', '_sequence', '_updatedAt', '_version', ...things.spec.fields].sort(),
    )
  })

  test('null for a field that is missing', async () => {
    expect(await store.sql(`select indexed, plain, n from things where id = 'b'`)).toEqual([
      { indexed: null, plain: null, n: null },
    ])
  })

  test('every field of every built-in collection', async () => {
    for (const name of store.collectionNames.filter((each) => each !== 'bars')) {
      const columns = (await store.sql<{ name: string }>('select name from pragma_table_info(?)', [name])).map(
        (row) => row.name,
      )
      expect(columns).toContain('_doc')
    }
    expect(await store.sql('select state, quantity, clientOrderId, reduceOnly from orders')).toEqual([
      { state: 'open', quantity: '0.1', clientOrderId: null, reduceOnly: null },
    ])
  })

  test('what was accepted and is not durable yet', async () => {
    void store.positions.put(position('just-now'))
    expect(await store.sql('select id from positions where id = ?', ['just-now'])).toEqual([{ id: 'just-now' }])
  })

  test('joins, aggregates, windows and common table expressions', async () => {
    const rows = await store.sql(`
      with recursive n(i) as (select 1 union all select i + 1 from n limit 3)
      select i, sum(i) over (order by i) total, (select count(*) from things) things from n -- done
    `)
    expect(rows).toEqual([
      { i: 1, total: 1, things: 2 },
      { i: 2, total: 3, things: 2 },
      { i: 3, total: 6, things: 2 },
    ])
  })

  test.each([
    ['VALUES', `values (1, 'a'), (2, 'b')`, 2],
    ['a statement with its semicolon', 'select 1; ', 1],
    ['a statement in several lines with comments', '-- first\nselect /* here */ 1 -- last', 1],
    ['a keyword in a text', `select 'delete from things; drop table kv' as x`, 1],
  ])('%s', async (_, text, rows) => {
    expect(await store.sql(text)).toHaveLength(rows)
  })

  test.each([
    'explain',
    'EXPLAIN QUERY PLAN',
    'explain  query\nplan',
  ])('%s shows how a statement runs', async (prefix) => {
    expect(JSON.stringify(await store.sql(`${prefix} select * from things where indexed = ?`, ['i']))).toMatch(
      /things\.indexed|Init/,
    )
  })

  test('the market file, when it is asked', async () => {
    expect(await store.sql('select id, close from bars', [], { file: 'market' })).toEqual([{ id: 'bar', close: 5 }])
    expect(await codeOf(store.sql('select * from bars'))).toBe('INVALID_QUERY')
    expect(await codeOf(store.sql('select * from orders', [], { file: 'market' }))).toBe('INVALID_QUERY')
  })
})

describe('parameters', () => {
  test.each([
    ['a text', "it's; -- \u{1f600}", "it's; -- \u{1f600}"],
    ['an integer', 42, 42],
    ['a fraction', 0.1, 0.1],
    ['a large number', 2 ** 53, 2 ** 53],
    ['true', true, 1],
    ['false', false, 0],
    ['null', null, null],
    ['an empty text', '', ''],
  ])('may be %s', async (_, given, found) => {
    expect(await store.sql('select ? as value', [given])).toEqual([{ value: found }])
  })

  test('are taken in order, or by number', async () => {
    expect(await store.sql('select ? a, ? b', [1, 2])).toEqual([{ a: 1, b: 2 }])
    expect(await store.sql('select ?2 a, ?1 b, ?2 c', [1, 2])).toEqual([{ a: 2, b: 1, c: 2 }])
  })

  test.each([
    ['too few', 'select ?, ?', [1]],
    ['too many', 'select ?', [1, 2]],
    ['one where there is none', 'select 1', [1]],
    ['none where there is one', 'select ?', []],
  ])('INVALID_QUERY for %s', async (_, text, parameters) => {
    expect(await codeOf(store.sql(text, parameters))).toBe('INVALID_QUERY')
  })

  const marker = 'marker-4711'
  test.each([
    ['a function', () => marker],
    ['an object', { marker }],
    ['an array', [marker]],
    ['a Date', new Date()],
    ['a bigint', 1n],
    ['undefined', undefined],
    ['NaN', Number.NaN],
    ['Infinity', Number.POSITIVE_INFINITY],
    ['a symbol', Symbol(marker)],
    ['bytes', new Uint8Array(1)],
  ])('INVALID_ARGUMENT for %s, before anything is asked', async (_, value) => {
    const error = await failureOf(store.sql('select ?', [value as never]))
    expect(error.code).toBe('INVALID_ARGUMENT')
    expect(error.message).not.toContain(marker)
  })

  test.each([
    ['a statement that is no text', [5]],
    ['parameters that are no array', ['select 1', 'x']],
    ['a file there is not', ['select 1', [], { file: 'other' }]],
    ['a negative bound', ['select 1', [], { maxRows: -1 }]],
    ['a bound that is a text', ['select 1', [], { maxRows: '1; delete from kv' }]],
    ['a bound that is no number', ['select 1', [], { maxRows: Number.NaN }]],
  ])('INVALID_ARGUMENT for %s', async (_, call) => {
    expect(await codeOf(store.sql(...(call as [string])))).toBe('INVALID_ARGUMENT')
  })
})

describe('nothing is written', () => {
  const elsewhere = join(
    tempDir(() => undefined),
    'elsewhere.db',
  )

  test.each([
    [
      'insert',
      `insert into main.kv (_key, _doc, _version, _createdAt, _updatedAt, _sequence) values ('x', '{}', 1, 1, 1, 1)`,
    ],
    ['insert returning', `insert into main.things default values returning *`],
    ['update', `update main.things set _doc = '{}'`],
    ['delete', `delete from main.things`],
    ['delete returning', `delete from main.things returning *`],
    ['replace', `replace into main.things (_key) values ('a')`],
    ['drop', `drop table main.things`],
    ['create table', `create table main.mine (x)`],
    ['create a temporary table', `create temp table mine (x)`],
    ['create a view', `create temp view mine as select 1`],
    ['alter', `alter table main.things add column mine`],
    ['pragma', `pragma query_only = off`],
    ['pragma that writes', `pragma user_version = 7`],
    ['pragma key', `pragma key = 'x'`],
    ['pragma rekey', `pragma rekey = 'x'`],
    ['attach', `attach '${elsewhere}' as other`],
    ['attach the other file', `attach '${join(store.dir, 'market.db')}' as other`],
    ['vacuum', `vacuum`],
    ['vacuum into', `vacuum into '${elsewhere}'`],
    ['begin', `begin immediate`],
    ['savepoint', `savepoint x`],
    ['commit', `commit`],
    ['analyze', `analyze`],
    ['reindex', `reindex`],
    ['a writable common table expression', `with x as (select 1) delete from main.things`],
    [
      'a common table expression that returns',
      `with x as (select 1) insert into main.things (_key) select * from x returning *`,
    ],
    ['several statements', `select 1; delete from main.things`],
    ['several, the first empty', `; delete from main.things`],
    ['a sub-query that is closed early', `select 1); delete from main.things; --`],
    ['one that is closed early and commented', `select 1) --`],
    ['one that is closed early by a comment without end', `select 1) /*`],
    ['one that is closed early and ended', `select 1);;`],
    ['one that is closed early, with a union', `select 1) union all select * from (select 2`],
    ['a comment before', `/* x */ delete from main.things`],
    ['a line comment before', `-- x\ndelete from main.things`],
    ['explain pragma', `explain pragma query_only = off`],
    ['explain query plan pragma', `explain query plan pragma query_only = off`],
    ['explain pragma behind a comment', `explain /* x */ pragma query_only = off`],
    ['explain pragma without a blank', `explain/**/pragma query_only = off`],
    ['explain pragma that names a file', `explain pragma cipher_log = '${elsewhere}'`],
    ['explain pragma key', `explain pragma key = 'x'`],
    ['explain twice', `explain explain select 1`],
    ['explain delete', `explain delete from main.things`],
    ['explain and another', `explain select 1; delete from main.things`],
    ['export to another database', `select sqlcipher_export('temp')`],
    ['load an extension', `select load_extension('x')`],
    ['write a file', `select writefile('${elsewhere}', 'x')`],
    ['read a file', `select readfile('/etc/passwd')`],
    ['a byte that ends the text', `select 1\0; delete from main.things`],
    ['nothing', ``],
    ['blanks', `  \n `],
    ['a semicolon', `;`],
    ['a comment', `-- nothing`],
    ['nonsense', `bring me the documents`],
  ])('%s is INVALID_QUERY or only read', async (_, text) => {
    const things = await store.sql('select * from main.things')
    const files = readdirSync(store.dir)
    const outcome = await store.sql(text).then(
      (rows) => (rows.length <= 2 ? 'read' : 'too much'),
      (error: { code?: string }) => error.code,
    )
    expect(['INVALID_QUERY', 'read']).toContain(outcome)
    expect(await store.sql('select * from main.things')).toEqual(things)
    expect(await store.sql('select query_only from pragma_query_only')).toEqual([{ query_only: 1 }])
    expect(await store.sql('select * from pragma_user_version')).toEqual([{ user_version: 0 }])
    expect(readdirSync(store.dir)).toEqual(files)
    expect(existsSync(elsewhere)).toBe(false)
    expect(await store.things.count()).toBe(2)
  })

  test('what is refused says what would be taken, not what was given', async () => {
    const error = await failureOf(store.sql(`select * from things where x = "marker-4711" or 'marker-4711' like`))
    expect(error.code).toBe('INVALID_QUERY')
    expect(error.message).toContain('one SELECT')
    expect(error.message).not.toContain('marker-4711')
  })

  test.each([
    ['no such table "nowhere"', 'select * from nowhere'],
    ['no such column "absent"', 'select absent from things'],
    ['no such function "never"', 'select never(1)'],
  ])('a name that is not there is named: %s', async (words, text) => {
    expect((await failureOf(store.sql(text))).message).toContain(words)
  })
})

describe('INVALID_QUERY says where', () => {
  test.each([
    ['select * frmo things', '"frmo" at character 10'],
    ['select * from things where', 'at its end'],
    ['select n,\n  from things', '"from" at line 2, character 3'],
    ['select absent from things', '"absent" at character 8'],
    ['select t.absent from things t', '"t.absent" at character 10'],
    ['explain select nowhere.x', '"nowhere.x" at character 24'],
    ['select abs(1, 2)', 'arguments to function "abs" at character 8'],
    ['select sum(1) from things where sum(n) > 1', '"sum" at character 8 or character 33'],
    ["-- it's\nselect 1 +* 2", '"*" at line 2, character 11'],
    ["select '\u{1f600}', absent", '"absent" at character 13'],
    ['select ?, ? from things', '2 placeholder(s) and was given 0'],
    ['pragma table_info(things)', 'SELECT * FROM pragma_table_info(?)'],
    ['  ; ', 'it is empty'],
  ])('%s: %s', async (text, words) => {
    expect((await failureOf(store.sql(text))).message).toContain(words)
  })

  const marker = 'marker4711'
  test.each([
    ['a text out of place', `select 1 '${marker}' '${marker}'`, 'at character 10 or character 23'],
    ['a name in quotes', `select 1 where "${marker}" "${marker}"`, 'at character 16 or character 29'],
    ['a name in brackets', `select [${marker}] from things`, 'no such column.'],
    ['a quote in a comment before it', `-- don't "\nselect [${marker}] from things where n = 'x'`, 'no such column.'],
    ['a quote that never ends', `select 1 where n = '${marker}`, 'the quote at character 20'],
    ['a number', `select 1 2${marker}`, 'at character 10'],
    ['a table in quotes', `select * from "${marker}"`, 'no such table.'],
    ['a table of another file', `select * from "${marker}".'${marker}'`, 'no such table.'],
  ])('by its place alone for %s', async (_, text, words) => {
    const error = await failureOf(store.sql(text))
    expect(error).toMatchObject({ code: 'INVALID_QUERY', message: expect.stringContaining(words) })
    expect(JSON.stringify([error.message, error.details, error.stack])).not.toContain(marker)
  })
})

describe('integers beyond 2^53', () => {
  const wide = '9007199254740993'

  test.each([
    [wide, 'select 9007199254740993 as n'],
    ['-9223372036854775808', 'select -9223372036854775808 as n'],
    ['9223372036854775807', 'select 9223372036854775807 as n'],
    ['1152921504606846976', 'select 1 << 60 as n'],
  ])('%s is refused, with the name of its column, and comes whole as text', async (digits, text) => {
    const error = await failureOf(store.sql(text))
    expect(error).toMatchObject({ code: 'INVALID_QUERY', details: { position: 1, column: 'n' } })
    expect(error.message).toContain('CAST(n AS TEXT)')
    expect(error.message).not.toContain(digits)
    expect(await store.sql(text, [], { wideIntegers: 'text' })).toEqual([{ n: digits }])
    expect(await store.sql(`select cast(n as text) n from (${text})`)).toEqual([{ n: digits }])
  })

  test('what a number shows as it is stays a number', async () => {
    const rows = await store.sql(
      'select 9007199254740991 a, -9007199254740991 b, 1700000000000000000 c, 9007199254740992 d, 1e20 e, 9007199254740993.0 f',
    )
    expect(rows).toEqual([{ a: 9007199254740991, b: -9007199254740991, c: 17e17, d: 2 ** 53, e: 1e20, f: 2 ** 53 }])
  })

  test('a time in nanoseconds that a document holds comes back as it was written', async () => {
    const ns = Number('1732190400123456789')
    await store.things.put({ id: 'ns', n: ns })
    expect(await store.sql('select n from things where id = ?', ['ns'])).toEqual([{ n: ns }])
    await store.things.delete('ns')
  })

  test('in the midst of other rows: the same order, types and parameters', async () => {
    const text = `select column1 n, typeof(column1) t, column2 "1", ? p from (values (${wide}, 'x'), (1, x'00ff'), (1e18, null), ('${wide}', 2.5)) order by column2 is null, n`
    const rows = await store.sql(text, [true], { wideIntegers: 'text' })
    expect(rows).toEqual([
      { n: 1, t: 'integer', 1: new Uint8Array([0, 255]), p: 1 },
      { n: wide, t: 'integer', 1: 'x', p: 1 },
      { n: wide, t: 'text', 1: 2.5, p: 1 },
      { n: 1e18, t: 'real', 1: null, p: 1 },
    ])
  })

  test('that change with every look are judged by what is returned', async () => {
    const { rows } = await store.sqlTable(
      'with recursive i(x) as (select 1 union all select x + 1 from i limit 500) select random() r from i',
      [],
      { wideIntegers: 'text' },
    )
    for (const [value] of rows) {
      const digits = String(value)
      expect(BigInt(digits) >= -(2n ** 63n) && BigInt(digits) < 2n ** 63n).toBe(true)
      if (typeof value === 'number') expect(String(Number(digits))).toBe(digits)
    }
    expect(rows).toHaveLength(500)
  })

  test('a column whose name may be a value is told by its position', async () => {
    const error = await failureOf(store.sql(`select 1, ${wide}`))
    expect(error).toMatchObject({ message: expect.stringContaining('Column 2 holds'), details: { position: 2 } })
    expect(error.message).not.toContain(wide)
    const quoted = await failureOf(store.sql(`select ${wide} as "marker4711"`))
    expect(quoted.message).not.toContain('marker4711')
  })

  test('no more rows than the bound, also when the query is run twice', async () => {
    const text = `select ${wide} n union all select 1`
    expect(await codeOf(store.sql(text, [], { maxRows: 1, wideIntegers: 'text' }))).toBe('RESULT_TOO_LARGE')
    expect(await codeOf(store.sql(text, [], { wideIntegers: 'bigint' as never }))).toBe('INVALID_ARGUMENT')
  })
})

describe('sqlTable', () => {
  test('names the columns of an empty result', async () => {
    expect(await store.sqlTable('select id, n as "x y", 5 from things where id = ?', ['nobody'])).toEqual({
      columns: ['id', 'x y', '5'],
      rows: [],
    })
  })

  test('keeps the order of columns whose names are numbers', async () => {
    const text = `select 'a' "x", 'b' "2", 'c' "0", 'd' "y", 'e' "10"`
    const columns = ['x', '2', '0', 'y', '10']
    expect(await store.sqlTable(text)).toEqual({ columns, rows: [['a', 'b', 'c', 'd', 'e']] })
    expect(await store.sqlTable(`${text} where 0`)).toEqual({ columns, rows: [] })
    expect(await store.sqlTable('values (1, 2)')).toEqual({ columns: ['column1', 'column2'], rows: [[1, 2]] })
  })

  test('gives two columns of one name both', async () => {
    expect(await store.sqlTable(`select 1 a, 2 a, 3 "1", 4 "1" limit 1`)).toEqual({
      columns: ['a', 'a:1', '1', '1:1'],
      rows: [[1, 2, 3, 4]],
    })
    const { columns, rows } = await store.sqlTable('select * from things a join things b on a.id = b.id order by a.id')
    expect(new Set(columns).size).toBe(columns.length)
    expect(rows[0]).toHaveLength(columns.length)
  })

  test('with exact integers, in a column named by a number', async () => {
    expect(await store.sqlTable('select 1 a, 9007199254740993 "0"', [], { wideIntegers: 'text' })).toEqual({
      columns: ['a', '0'],
      rows: [[1, '9007199254740993']],
    })
  })

  test.each([
    ['explain query plan select 1', ['id', 'parent', 'notused', 'detail']],
    ['explain select 1', ['addr', 'opcode', 'p1', 'p2', 'p3', 'p4', 'p5', 'comment']],
    ['select * from pragma_user_version', ['user_version']],
    ["select * from pragma_table_info('nowhere')", ['cid', 'name', 'type', 'notnull', 'dflt_value', 'pk']],
  ])('takes %s', async (text, columns) => {
    expect((await store.sqlTable(text)).columns).toEqual(columns)
  })

  test('refuses what sql refuses', async () => {
    expect(await codeOf(store.sqlTable('delete from main.things'))).toBe('INVALID_QUERY')
    expect(await codeOf(store.sqlTable('select 1) -- '))).toBe('INVALID_QUERY')
    expect(await codeOf(store.sqlTable('values (1), (2)', [], { maxRows: 1 }))).toBe('RESULT_TOO_LARGE')
    expect(await codeOf(store.sqlTable('select ?', [1n as never]))).toBe('INVALID_ARGUMENT')
    expect(await store.sqlTable('select 1 a where 0', [], { maxRows: 0 })).toEqual({ columns: ['a'], rows: [] })
  })
})

describe('RESULT_TOO_LARGE', () => {
  const series = (rows: number) =>
    `with recursive n(i) as (select 1 union all select i + 1 from n limit ${rows}) select i from n`

  test('beyond 10,000 rows', async () => {
    expect(await store.sql(series(10_000))).toHaveLength(10_000)
    expect(await failureOf(store.sql(series(10_001)))).toMatchObject({
      code: 'RESULT_TOO_LARGE',
      details: { maxRows: 10_000 },
    })
  })

  test('beyond what the caller allows', async () => {
    expect(await store.sql(series(5), [], { maxRows: 5 })).toHaveLength(5)
    expect(await codeOf(store.sql(series(6), [], { maxRows: 5 }))).toBe('RESULT_TOO_LARGE')
    expect(await store.sql(series(20_000), [], { maxRows: 20_000 })).toHaveLength(20_000)
    expect(await codeOf(store.sql('select 1', [], { maxRows: 0 }))).toBe('RESULT_TOO_LARGE')
  })

  test('before the rows are made: a result without end is refused at once', async () => {
    const endless = 'with recursive n(i) as (select 1 union all select i + 1 from n) select i from n'
    expect(await codeOf(store.sql(endless))).toBe('RESULT_TOO_LARGE')
  })
})

describe('sealed fields', () => {
  test('are no columns, and not in the document', async () => {
    const [row] = await store.sql('select * from vault')
    expect(row).toMatchObject({ id: 'v', label: 'main', _doc: '{"id":"v","label":"main"}' })
    expect(Object.keys(row as object)).not.toContain('pin')
    expect(await codeOf(store.sql('select pin from vault'))).toBe('INVALID_QUERY')
  })

  test('are ciphertext in the table itself', async () => {
    const rows = await store.sql('select * from main.vault')
    expect(JSON.stringify(rows)).not.toContain('pin-4711')
    expect(JSON.parse(String(rows[0]?._doc)).pin).toMatch(/^hf1\./)
  })
})
