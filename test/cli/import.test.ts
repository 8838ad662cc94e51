import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { endOf, holdfast, startCommand } from './run-command.ts'
import { fill, makeStore, order, temporaryDirectory } from './test-store.ts'

function write(name: string, content: string): string {
  const path = join(temporaryDirectory(), name)
  writeFileSync(path, content)
  return path
}

function jsonl(documents: readonly unknown[]): string {
  return documents.map((document) => `${JSON.stringify(document)}\n`).join('')
}

async function listed(dir: string, collection: string): Promise<Record<string, unknown>[]> {
  return JSON.parse((await holdfast('list', collection, '--dir', dir, '--json')).stdout)
}

describe('import', () => {
  test('brings back what export wrote, a folder at a time, whatever refers to what', async () => {
    const from = await makeStore(async (store) => {
      await store.orders.insertMany([order(0), order(1)])
      await store.fills.insertMany([fill(0), fill(1)])
      await store.positions.put({ id: 'p', symbol: 'X', side: 'long', quantity: '0.10', entryPrice: '1e3' })
    })
    const to = await makeStore()
    const out = temporaryDirectory()
    await holdfast('export', '--dir', from, '--out', out)
    const { stdout, exitCode } = await holdfast('import', out, '--dir', to, '--json')
    expect(exitCode).toBe(0)
    expect(JSON.parse(stdout).files).toContainEqual({
      path: join(out, 'fills.json'),
      collection: 'fills',
      documents: 2,
    })
    for (const name of ['orders', 'fills', 'positions'])
      expect(await listed(to, name)).toEqual(await listed(from, name))
  })

  test('reads JSONL, blank lines and all, into the collection that --collection names', async () => {
    const dir = await makeStore()
    const path = write('old.jsonl', `\ufeff${JSON.stringify(order(0))}\r\n\r\n${JSON.stringify(order(1))}`)
    const { stdout } = await holdfast('import', path, '--collection', 'orders', '--dir', dir)
    expect(stdout).toContain('2 documents into orders')
    expect(await listed(dir, 'orders')).toEqual([order(0), order(1)])
  })

  test('reads a collection that a program has defined', async () => {
    const dir = await makeStore()
    const path = write('watchlist.json', '[{"symbol":"A","tag":"x"}]')
    expect((await holdfast('import', path, '--dir', dir)).exitCode).toBe(0)
    expect(await listed(dir, 'watchlist')).toEqual([{ symbol: 'A', tag: 'x' }])
  })

  test('tells line and path of everything invalid, never a value, writes nothing at all, and exits with 9', async () => {
    const dir = await makeStore()
    const folder = temporaryDirectory()
    writeFileSync(join(folder, 'orders.jsonl'), jsonl([order(0)]))
    const bad = [order(1), { ...order(2), side: 'secret-side' }, { ...order(3), quantity: 'secret-quantity' }]
    writeFileSync(join(folder, 'trades.jsonl'), '{"id":"t-1","symbol":"secret-symbol"\n')
    writeFileSync(join(folder, 'positions.json'), `[\n${JSON.stringify(bad[1], null, 1)},\n  {"id": 5}\n]`)
    const { stdout, stderr, exitCode } = await holdfast('import', folder, '--dir', dir)
    expect(exitCode).toBe(9)
    expect(stdout).toBe('')
    expect(stderr).toContain('Nothing was imported')
    expect(stderr).toContain('trades.jsonl:1: not valid JSON')
    expect(stderr).toContain('positions.json:2: side: ')
    expect(stderr).toMatch(/positions\.json:\d+: id: /)
    expect(stderr).not.toContain('secret')
    expect(await listed(dir, 'orders')).toEqual([])
  })

  test('tells the first 20 problems and counts the others', async () => {
    const dir = await makeStore()
    const path = write('kv.jsonl', jsonl(Array.from({ length: 50 }, (_, index) => ({ key: index, value: 1 }))))
    const { stderr } = await holdfast('import', path, '--dir', dir, '--json')
    const { details } = JSON.parse(stderr).error
    expect(details.count).toBe(50)
    expect(details.problems).toHaveLength(20)
    expect(details.problems[19]).toContain('kv.jsonl:20: key: ')
  })

  test('refuses a JSON array that is cut off, whatever came before it', async () => {
    const dir = await makeStore()
    const path = write('kv.json', '[{"key":"a","value":1},\n{"key":"b","value":2}')
    const { stderr, exitCode } = await holdfast('import', path, '--dir', dir)
    expect(stderr).toContain('the file may be cut off')
    expect(exitCode).toBe(9)
    expect(await listed(dir, 'kv')).toEqual([])
  })

  test('refuses a number whose digits would be lost', async () => {
    const dir = await makeStore()
    const path = write('kv.jsonl', '{"key":"a","value":1}\n{"key":"b","value":0.1234567890123456789}\n')
    const { stderr, exitCode } = await holdfast('import', path, '--dir', dir)
    expect(stderr).toContain('kv.jsonl:2: a number has more digits')
    expect(exitCode).toBe(9)
  })

  test('replaces documents that are there, unless --mode insert refuses to: then the file is absent whole', async () => {
    const dir = await makeStore(async (store) => await store.kv.put({ key: 'b', value: 'old' }))
    const path = write(
      'kv.jsonl',
      jsonl([
        { key: 'a', value: 'new' },
        { key: 'b', value: 'new' },
      ]),
    )
    const refused = await holdfast('import', path, '--mode', 'insert', '--dir', dir)
    expect(refused.stderr).toContain('kv.jsonl:2: ')
    expect(refused.stderr).toContain('(ALREADY_EXISTS)')
    expect(refused.stderr).toContain('0 documents of this file were written.')
    expect(refused.exitCode).toBe(10)
    expect(await listed(dir, 'kv')).toEqual([{ key: 'b', value: 'old' }])
    expect((await holdfast('import', path, '--dir', dir)).exitCode).toBe(0)
    expect(await listed(dir, 'kv')).toHaveLength(2)
    expect(await listed(dir, 'kv')).toContainEqual({ key: 'b', value: 'new' })
  })

  test('loads more documents than one transaction takes', async () => {
    const dir = await makeStore()
    const documents = Array.from({ length: 25_000 }, (_, index) => ({ key: `k-${index}`, value: index }))
    const path = write('kv.jsonl', jsonl(documents))
    const { stdout, exitCode } = await holdfast('import', path, '--mode', 'insert', '--dir', dir)
    expect(stdout).toContain('25,000 documents into kv')
    expect(exitCode).toBe(0)
    expect(await listed(dir, 'kv')).toEqual(documents)
  })

  test('names the line of a document that refers to nothing, and what had been written', async () => {
    const dir = await makeStore(async (store) => await store.orders.put(order(0)))
    const documents = Array.from({ length: 600 }, (_, index) => fill(index, index === 550 ? 'nothing' : 'o-0'))
    const path = write('fills.jsonl', jsonl(documents))
    const { stderr, exitCode } = await holdfast('import', path, '--dir', dir, '--json')
    expect(exitCode).toBe(10)
    const { error } = JSON.parse(stderr)
    expect(error.code).toBe('CONSTRAINT')
    expect(error.details).toMatchObject({ path, lines: ['551'], written: 500 })
    expect(await listed(dir, 'fills')).toHaveLength(500)
  })

  test('does not guess a collection, and says how to name it, with exit code 3', async () => {
    const dir = await makeStore()
    const { stderr, exitCode } = await holdfast('import', write('unknown.json', '[]'), '--dir', dir)
    expect(stderr).toContain('--collection')
    expect(exitCode).toBe(3)
  })

  test('says that a file is not there, with exit code 13, and that a folder holds nothing to read, with 2', async () => {
    const dir = await makeStore()
    const missing = await holdfast('import', '/nowhere/orders.json', '--dir', dir)
    expect(missing.stderr).toContain('/nowhere/orders.json')
    expect(missing.exitCode).toBe(13)
    const empty = join(temporaryDirectory(), 'empty')
    mkdirSync(empty)
    expect((await holdfast('import', empty, '--dir', dir)).exitCode).toBe(2)
  })

  test('stops on a signal with everything it wrote intact, and tells how much that is', async () => {
    const dir = await makeStore()
    const path = write(
      'kv.jsonl',
      jsonl(Array.from({ length: 200_000 }, (_, index) => ({ key: `k-${index}`, value: index }))),
    )
    const child = startCommand({ args: ['import', path, '--dir', dir] })
    let stderr = ''
    child.stderr?.on('data', (chunk) => {
      stderr += String(chunk)
    })
    child.stdout?.resume()
    const log = join(dir, 'state.db-wal')
    const isWriting = () => existsSync(log) && statSync(log).size > 100_000
    while (!isWriting() && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 5))
    child.kill('SIGTERM')
    const { signal } = await endOf(child)
    expect((await holdfast('check', '--dir', dir)).exitCode).toBe(0)
    if (signal === null) return
    expect(signal).toBe('SIGTERM')
    const written = /([\d,]+) documents? had been written/.exec(stderr)?.[1]
    if (written !== undefined) expect(await listed(dir, 'kv')).toHaveLength(Number(written.replaceAll(',', '')))
  })
})
