import { describe, expect, test } from 'vitest'
import { holdfast, runCommand } from './run-command.ts'
import { makeStore, order } from './test-store.ts'

const dir = await makeStore(async (store) => {
  await store.orders.insertMany(Array.from({ length: 6 }, (_, index) => order(index)))
  await store.kv.put({ key: 'note', value: 'said "no", then\nleft' })
  await store.barRows.put({ id: 'b-1', at: 5 })
})

async function sql(...args: readonly string[]) {
  return await holdfast('sql', ...args, '--dir', dir)
}

describe('sql with a query', () => {
  test('prints a table, with NULL for what is not there', async () => {
    const { stdout } = await sql('select symbol, count(*) n, null x from orders group by 1')
    expect(stdout).toBe('symbol    n  x\n────────  ─  ────\nBTC/USDT  3  NULL\nETH/USDT  3  NULL\n')
  })

  test('prints with --json an array of rows', async () => {
    const { stdout } = await sql('select id from orders order by id limit 2;', '--json')
    expect(JSON.parse(stdout)).toEqual([{ id: 'o-0' }, { id: 'o-1' }])
  })

  test('prints with --csv a header and fields quoted where they have to be', async () => {
    const { stdout } = await sql('select key, value, null as none from kv', '--csv')
    expect(stdout).toBe('key,value,none\nnote,"said ""no"", then\nleft",\n')
  })

  test('shows every digit of an integer, in a table, as CSV and as JSON', async () => {
    const query = 'select 9223372036854775807 as n, 1 as "1"'
    expect((await sql(query)).stdout).toBe(`                  n  1\n${'─'.repeat(19)}  ─\n9223372036854775807  1\n`)
    expect((await sql(query, '--csv')).stdout).toBe('n,1\n9223372036854775807,1\n')
    expect((await sql(query, '--json')).stdout).toBe('[{"n":"9223372036854775807","1":1}]\n')
  })

  test('shows columns of one name all, in the order of the query', async () => {
    const query = 'select 1 as b, 2 as "7", 3 as b, null as x'
    expect((await sql(query)).stdout).toBe('b  7  b:1  x\n─  ─  ───  ────\n1  2    3  NULL\n')
    expect((await sql(query, '--csv')).stdout).toBe('b,7,b:1,x\n1,2,3,\n')
    expect((await sql(query, '--json')).stdout).toBe('[{"b":1,"7":2,"b:1":3,"x":null}]\n')
  })

  test('shows the columns of a table also when there is no row', async () => {
    expect((await sql('select id, price as p from orders where id = 0')).stdout).toBe('id  p\n')
    expect((await sql('select id from orders where id = 0', '--json')).stdout).toBe('[]\n')
  })

  test('says where a query is wrong', async () => {
    const { stderr, exitCode } = await sql("select * from orders where id == 'o-1' adn state = 'open'")
    expect(stderr).toContain('"adn" at character 40')
    expect(exitCode).toBe(2)
  })

  test('prints the header of a CSV also when there is no row', async () => {
    const { stdout } = await sql('select id, price as p from orders where id = 0', '--csv')
    expect(stdout).toBe('id,p\n')
  })

  test('binds --param to the question marks', async () => {
    const { stdout } = await sql('select ? as a, ? as b', '--param', "it's", '--param', '5', '--json')
    expect(JSON.parse(stdout)).toEqual([{ a: "it's", b: 5 }])
  })

  test('asks the file of market data with --file', async () => {
    const { stdout } = await sql('select id, at from bars', '--file', 'market', '--json')
    expect(JSON.parse(stdout)).toEqual([{ id: 'b-1', at: 5 }])
  })

  test.each([
    'delete from orders',
    'drop table orders',
    "update kv set key = 'x'",
    "attach 'x' as y",
  ])('changes nothing: %s', async (statement) => {
    const { stderr, exitCode } = await sql(statement)
    expect(stderr).toContain('(INVALID_QUERY)')
    expect(exitCode).toBe(2)
  })

  test('names a column that is not there, with exit code 2', async () => {
    const { stderr, exitCode } = await sql('select nope from orders')
    expect(stderr).toContain('"nope"')
    expect(exitCode).toBe(2)
  })

  test('refuses a result of more than --max-rows', async () => {
    const { stderr, exitCode } = await sql('select * from orders', '--max-rows', '3')
    expect(stderr).toContain('(RESULT_TOO_LARGE)')
    expect(exitCode).toBe(1)
  })
})

describe('sql without a query, from a pipe', () => {
  test('runs the statements one after the other, the last one also without a semicolon', async () => {
    const input = "select 1 as a;\nselect 'x;y' as b -- ; no end\n;\nselect 3\nas c"
    const { stdout, exitCode } = await runCommand({ args: ['sql', '--json', '--dir', dir], input })
    expect(
      stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual([[{ a: 1 }], [{ b: 'x;y' }], [{ c: 3 }]])
    expect(exitCode).toBe(0)
  })

  test('stops at the first that fails, with its exit code', async () => {
    const { stdout, stderr, exitCode } = await runCommand({
      args: ['sql', '--csv', '--dir', dir],
      input: 'select 1 as a;\nselect nope;\nselect 3 as c;\n',
    })
    expect(stdout).toBe('a\n1\n')
    expect(stderr).toContain('(INVALID_QUERY)')
    expect(exitCode).toBe(2)
  })
})
