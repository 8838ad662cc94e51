import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { holdfast, runCommand } from './run-command.ts'
import { makeStore, openTestStore, order, temporaryDirectory } from './test-store.ts'

const dir = await makeStore(async (store) => {
  await store.orders.insert(order(0))
  await store.wallets.insert({ address: '0xabc', privateKey: 'a secret that must not be shown' })
  await store.watchlist.put({ symbol: 'BTC/USDT', tag: 'majors' })
})

const ownedDir = join(temporaryDirectory(), 'state')
const owner = await openTestStore(ownedDir)
afterAll(() => owner.close())

describe('get', () => {
  test('prints a document as JSON that a person can read', async () => {
    const { stdout, exitCode } = await holdfast('get', 'orders', 'o-0', '--dir', dir)
    expect(stdout.split('\n')[0]).toBe('{')
    expect(JSON.parse(stdout)).toEqual(order(0))
    expect(exitCode).toBe(0)
  })

  test('prints it on one line with --json', async () => {
    const { stdout } = await holdfast('get', 'orders', 'o-0', '--dir', dir, '--json')
    expect(stdout).toBe(`${JSON.stringify(order(0))}\n`)
  })

  test('adds version and times with --entry', async () => {
    const { stdout } = await holdfast('get', 'orders', 'o-0', '--dir', dir, '--entry', '--json')
    expect(JSON.parse(stdout)).toEqual({
      document: order(0),
      version: 1,
      createdAt: expect.any(Number),
      updatedAt: expect.any(Number),
    })
  })

  test('reads collections that a program has defined', async () => {
    const { stdout } = await holdfast('get', 'watchlist', 'BTC/USDT', '--dir', dir, '--json')
    expect(JSON.parse(stdout)).toEqual({ symbol: 'BTC/USDT', tag: 'majors' })
  })

  test('never prints a sealed field', async () => {
    const { stdout } = await holdfast('get', 'wallets', '0xabc', '--dir', dir, '--json')
    expect(JSON.parse(stdout)).toEqual({ address: '0xabc' })
  })

  test('says that there is no such document, with exit code 3', async () => {
    const { stdout, stderr, exitCode } = await holdfast('get', 'orders', 'o-99', '--dir', dir)
    expect(stdout).toBe('')
    expect(stderr).toContain('(NOT_FOUND)')
    expect(exitCode).toBe(3)
  })

  test('says which collections there are when there is no such one, with exit code 3', async () => {
    const { stderr, exitCode } = await holdfast('get', 'ordres', 'o-0', '--dir', dir)
    expect(stderr).toContain('orders, fills')
    expect(stderr).toContain('(UNKNOWN_COLLECTION)')
    expect(exitCode).toBe(3)
  })

  test('keeps control characters of a value away from the terminal', async () => {
    await holdfast('put', 'kv', '{"key":"escape","value":"\\u001b[2J\\u009b2J"}', '--dir', dir)
    const { stdout } = await holdfast('get', 'kv', 'escape', '--dir', dir)
    expect(['\u001b', '\u009b'].filter((control) => stdout.includes(control))).toEqual([])
    expect(JSON.parse(stdout).value).toBe('\u001b[2J\u009b2J')
  })
})

describe('put', () => {
  test('writes a document given as an argument and tells its version', async () => {
    const first = await holdfast('put', 'kv', '{"key":"mode","value":"paper"}', '--dir', dir)
    expect(first.stdout).toBe('Put kv/mode, now at version 1.\n')
    const second = await holdfast('put', 'kv', '{"key":"mode","value":"live"}', '--dir', dir, '--json')
    expect(JSON.parse(second.stdout)).toEqual({ collection: 'kv', key: 'mode', version: 2 })
  })

  test.each([[['-']], [[]]])('reads the document from standard input: put kv %j', async (argument) => {
    const { exitCode } = await runCommand({
      args: ['put', 'kv', ...argument, '--dir', dir],
      input: '{"key":"piped","value":[1,2]}\n',
    })
    expect(exitCode).toBe(0)
    const { stdout } = await holdfast('get', 'kv', 'piped', '--dir', dir, '--json')
    expect(JSON.parse(stdout).value).toEqual([1, 2])
  })

  test('keeps the digits of decimal strings', async () => {
    const document =
      '{"id":"p-1","symbol":"X","side":"long","quantity":"0.10000000","entryPrice":"12345678901234567890.10"}'
    await holdfast('put', 'positions', document, '--dir', dir)
    const { stdout } = await holdfast('get', 'positions', 'p-1', '--dir', dir, '--json')
    expect(stdout.trim()).toBe(document)
  })

  test('refuses a number whose digits a JSON number would lose, without repeating it', async () => {
    const { stderr, exitCode } = await holdfast('put', 'kv', '{"key":"n","value":1234567890.12345678901}', '--dir', dir)
    expect(stderr).toContain('write it as a string (line 1, column 20)')
    expect(stderr).not.toContain('12345678901')
    expect(exitCode).toBe(9)
  })

  test('tells the path of what is not valid, never the value, with exit code 9', async () => {
    const { stderr, exitCode } = await holdfast('put', 'orders', '{"id":"o-1","symbol":"secret-symbol"}', '--dir', dir)
    expect(stderr).toContain('side: ')
    expect(stderr).not.toContain('secret-symbol')
    expect(exitCode).toBe(9)
  })

  test('tells where JSON breaks off, without quoting it, with exit code 9', async () => {
    const { stderr, exitCode } = await holdfast('put', 'kv', '{"key":"secret-key",}', '--dir', dir)
    expect(stderr).toContain('not valid JSON (line 1, column 21)')
    expect(stderr).not.toContain('secret-key')
    expect(exitCode).toBe(9)
  })

  test('with --insert refuses a key that is there, with exit code 10', async () => {
    const { stderr, exitCode } = await holdfast('put', 'orders', JSON.stringify(order(0)), '--insert', '--dir', dir)
    expect(stderr).toContain('(ALREADY_EXISTS)')
    expect(exitCode).toBe(10)
  })

  test('with --if-version refuses a document that has changed, with exit code 10', async () => {
    const text = JSON.stringify(order(0))
    const conflict = await holdfast('put', 'orders', text, '--if-version', '7', '--dir', dir)
    expect(conflict.stderr).toContain('(VERSION_CONFLICT)')
    expect(conflict.exitCode).toBe(10)
    expect((await holdfast('put', 'orders', text, '--if-version', '1', '--dir', dir)).exitCode).toBe(0)
  })

  test('refuses a document that refers to nothing, with exit code 10', async () => {
    const fill = '{"id":"f-1","orderId":"nothing","price":"1","quantity":"1","filledAt":1}'
    const { stderr, exitCode } = await holdfast('put', 'fills', fill, '--dir', dir)
    expect(stderr).toContain('(CONSTRAINT)')
    expect(exitCode).toBe(10)
  })

  test('is refused beside a running owner, naming its pid, with exit code 6', async () => {
    const { stderr, exitCode } = await holdfast('put', 'kv', '{"key":"a","value":1}', '--dir', ownedDir, '--json')
    expect(JSON.parse(stderr).error).toMatchObject({
      code: 'STORE_LOCKED',
      message: expect.stringContaining(`process ${process.pid}`),
      details: { pid: process.pid },
      exitCode: 6,
    })
    expect(exitCode).toBe(6)
  })
})

describe('delete', () => {
  test('deletes a document, and says so when there is none', async () => {
    await holdfast('put', 'kv', '{"key":"gone","value":1}', '--dir', dir)
    const first = await holdfast('delete', 'kv', 'gone', '--dir', dir)
    expect(first.stdout).toBe('Deleted kv/gone.\n')
    const second = await holdfast('delete', 'kv', 'gone', '--dir', dir)
    expect(second.stderr).toContain('(NOT_FOUND)')
    expect(second.exitCode).toBe(3)
  })
})

describe('collections', () => {
  test('lists those of the store with keys, indexes and references', async () => {
    const { stdout } = await holdfast('collections', '--dir', dir, '--json')
    const specs = JSON.parse(stdout)
    expect(specs).toContainEqual(
      expect.objectContaining({ name: 'fills', key: 'id', references: { orderId: 'orders' } }),
    )
    expect(specs).toContainEqual(expect.objectContaining({ name: 'watchlist', key: 'symbol', indexes: ['tag'] }))
  })
})
