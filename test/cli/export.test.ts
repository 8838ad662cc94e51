import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { endOf, holdfast, startCommand } from './run-command.ts'
import { makeStore, order, temporaryDirectory } from './test-store.ts'

const orders = Array.from({ length: 3 }, (_, index) => order(index))
const dir = await makeStore(async (store) => {
  await store.orders.insertMany(orders)
  await store.wallets.insert({ address: '0xabc', privateKey: 'sealed-secret' })
  await store.watchlist.put({ symbol: 'BTC/USDT', tag: 'majors' })
})

async function exportTo(out: string, ...args: readonly string[]) {
  return await holdfast('export', ...args, '--out', out, '--dir', dir)
}

describe('export', () => {
  test('writes a file for each collection, an array with one document a line', async () => {
    const out = join(temporaryDirectory(), 'all')
    const { stdout, exitCode } = await exportTo(out)
    expect(exitCode).toBe(0)
    expect(stdout).toContain('orders.json: 3 documents')
    expect(JSON.parse(readFileSync(join(out, 'orders.json'), 'utf8'))).toEqual(orders)
    expect(readFileSync(join(out, 'orders.json'), 'utf8').split('\n')).toHaveLength(3 + 3)
    expect(readFileSync(join(out, 'positions.json'), 'utf8')).toBe('[]\n')
    expect(readdirSync(out)).toContain('watchlist.json')
  })

  test('gives the folder and the files to their owner alone', async () => {
    const out = join(temporaryDirectory(), 'mine')
    await exportTo(out, 'orders')
    expect(statSync(out).mode & 0o777).toBe(0o700)
    expect(statSync(join(out, 'orders.json')).mode & 0o777).toBe(0o600)
  })

  test('warns once that the files are not encrypted', async () => {
    const { stderr } = await exportTo(temporaryDirectory(), 'orders', 'fills')
    expect(stderr.match(/NOT encrypted/g)).toHaveLength(1)
  })

  test('leaves sealed fields out, and says so', async () => {
    const out = temporaryDirectory()
    const { stderr } = await exportTo(out, 'wallets')
    expect(readFileSync(join(out, 'wallets.json'), 'utf8')).not.toContain('sealed-secret')
    expect(stderr).toContain('sealed fields are not exported (privateKey)')
  })

  test('writes one document a line with --format jsonl', async () => {
    const out = temporaryDirectory()
    await exportTo(out, 'orders', '--format', 'jsonl')
    const lines = readFileSync(join(out, 'orders.jsonl'), 'utf8').trimEnd().split('\n')
    expect(lines.map((line) => JSON.parse(line))).toEqual(orders)
  })

  test('writes one collection to the file that --out names, in the format of its name', async () => {
    const out = join(temporaryDirectory(), 'mine.jsonl')
    const { stdout } = await exportTo(out, 'orders', '--json')
    expect(JSON.parse(stdout)).toEqual({
      files: [{ collection: 'orders', path: out, documents: 3, bytes: statSync(out).size }],
    })
    expect(readFileSync(out, 'utf8')).toMatch(/^\{/)
  })

  test('writes one collection to standard output, and nothing else there', async () => {
    const { stdout, stderr } = await exportTo('-', 'orders', '--format', 'jsonl')
    expect(
      stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual(orders)
    expect(stderr).toBe('')
  })

  test.each(['-', 'one.json'])('refuses to put several collections into %s, with exit code 2', async (out) => {
    const { stderr, exitCode } = await exportTo(out === '-' ? out : join(temporaryDirectory(), out), 'orders', 'fills')
    expect(stderr).toContain('Only one collection fits')
    expect(exitCode).toBe(2)
  })

  test('overwrites nothing, writes nothing beside it, and exits with 10', async () => {
    const out = temporaryDirectory()
    writeFileSync(join(out, 'orders.json'), 'mine')
    const { stderr, exitCode } = await exportTo(out, 'fills', 'orders')
    expect(stderr).toContain('--force')
    expect(exitCode).toBe(10)
    expect(readdirSync(out)).toEqual(['orders.json'])
    expect(readFileSync(join(out, 'orders.json'), 'utf8')).toBe('mine')
  })

  test('overwrites with --force, and the file is its owner’s alone from then on', async () => {
    const out = temporaryDirectory()
    writeFileSync(join(out, 'orders.json'), 'old', { mode: 0o644 })
    expect((await exportTo(out, 'orders', '--force')).exitCode).toBe(0)
    expect(JSON.parse(readFileSync(join(out, 'orders.json'), 'utf8'))).toEqual(orders)
    expect(statSync(join(out, 'orders.json')).mode & 0o777).toBe(0o600)
  })

  test('clears away the piece that a killed export left', async () => {
    const out = temporaryDirectory()
    writeFileSync(join(out, 'orders.json.partial'), 'a piece')
    await exportTo(out, 'orders')
    expect(readdirSync(out)).toEqual(['orders.json'])
  })

  test('leaves no piece behind when it is interrupted', async () => {
    const large = await makeStore(async (store) => {
      const note = 'x'.repeat(10_000)
      await store.trades.load(
        Array.from({ length: 2_000 }, (_, index) => ({
          id: `t-${index}`,
          symbol: 'X',
          entryPrice: '1',
          openedAt: index,
          metadata: { note },
        })),
      )
    })
    const out = temporaryDirectory()
    const child = startCommand({ args: ['export', 'trades', '--out', out, '--dir', large] })
    child.stdin?.end()
    while (readdirSync(out).length === 0 && child.exitCode === null)
      await new Promise((resolve) => setTimeout(resolve, 1))
    child.kill('SIGINT')
    const { signal } = await endOf(child)
    // It may have been done already; what must not be is a piece.
    if (signal !== null) expect(readdirSync(out)).toEqual([])
    expect(existsSync(join(out, 'trades.json.partial'))).toBe(false)
  })
})
