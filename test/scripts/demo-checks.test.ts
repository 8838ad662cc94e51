import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { compareWithBook } from '../../scripts/demo/check/compare-book.ts'
import { compareStates } from '../../scripts/demo/check/compare-states.ts'
import { ENCODINGS } from '../../scripts/demo/check/encodings.ts'
import { PatternSearch } from '../../scripts/demo/check/pattern-search.ts'
import { searchPlaintext } from '../../scripts/demo/check/plaintext-search.ts'
import { COLLECTIONS_COMPARED, type StateDocument, type StoredState } from '../../scripts/demo/check/state-documents.ts'
import { writtenValues } from '../../scripts/demo/check/written-values.ts'
import type { Book } from '../../scripts/demo/exchange/exchange-api.ts'
import { readOptions } from '../../scripts/demo/options.ts'
import { prepareWorkspace } from '../../scripts/demo/run/workspace.ts'

let dir: string

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'holdfast-demo-'))
})

afterEach(async () => {
  await rm(dir, { recursive: true, force: true })
})

type Documents = StoredState['documents']

function documentsOf(parts: Partial<Record<keyof Documents, readonly StateDocument[]>>): Documents {
  const empty = Object.fromEntries(COLLECTIONS_COMPARED.map((name) => [name, [] as StateDocument[]]))
  return { ...(empty as unknown as Documents), ...parts }
}

const order = {
  id: 'entry-1',
  clientOrderId: 'entry-1',
  exchangeOrderId: 'X-1',
  symbol: 'BTC-PERP',
  side: 'buy',
  state: 'filled',
  quantity: '0.150',
  filledQuantity: '0.15',
  updatedAt: 5,
}
const fill = { id: 'entry-1:T-1', orderId: 'entry-1', price: '46319.0', quantity: '0.15', metadata: { tradeId: 'T-1' } }
const position = { id: 'P-1', quantity: '0.15', stopOrderId: 'entry-1' }

describe('the comparison of two stores', () => {
  const one = documentsOf({ orders: [order], fills: [fill], positions: [position] })

  test('is not about times of writing, nor about names of orders', () => {
    const other = documentsOf({
      orders: [{ ...order, id: 'f00', clientOrderId: 'f00', updatedAt: 9 }],
      fills: [{ ...fill, id: 'f00:T-1', orderId: 'f00' }],
      positions: [{ ...position, stopOrderId: 'f00' }],
    })
    expect(compareStates(one, other)).toEqual([])
  })

  test('sees a changed field, a missing document and one too many', () => {
    expect(compareStates(one, { ...one, fills: [{ ...fill, price: '46320.0' }] })).toEqual(['fills X-1 T-1: price'])
    expect(compareStates(one, { ...one, positions: [] })).toHaveLength(2)
    expect(compareStates(one, { ...one, fills: [fill, fill] })).toHaveLength(2)
    expect(compareStates(one, { ...one, positions: [{ ...position, stopOrderId: null }] })).toHaveLength(1)
  })
})

describe('the comparison with the book of the exchange', () => {
  const placed: Book['orders'][number] = {
    exchangeOrderId: 'X-1',
    clientOrderId: 'entry-1',
    symbol: 'BTC-PERP',
    side: 'buy',
    status: 'filled',
    quantity: '0.150',
    filledQuantity: '0.15',
  }
  const executed: Book['fills'][number] = {
    tradeId: 'T-1',
    exchangeOrderId: 'X-1',
    symbol: 'BTC-PERP',
    side: 'buy',
    price: '46319.0',
    quantity: '0.15',
    filledAt: 1,
  }
  const stored = documentsOf({ orders: [order], fills: [fill] })
  const book: Book = { orders: [placed], fills: [executed] }
  const clean = { orders: 1, fills: 1, lostOrders: [], doubledOrders: [], lostFills: [], differences: [] }

  test('finds nothing where each order and each execution is once in each', () => {
    expect(compareWithBook(stored, book)).toEqual(clean)
  })

  test('finds an order that was sent twice', () => {
    const twice = { ...book, orders: [placed, { ...placed, exchangeOrderId: 'X-2' }] }
    expect(compareWithBook(stored, twice).doubledOrders).toEqual(['entry-1'])
  })

  test('finds an order that is on one side only, and an execution nobody wrote down', () => {
    expect(compareWithBook(documentsOf({}), book)).toMatchObject({ lostOrders: ['entry-1'], lostFills: ['X-1 T-1'] })
    expect(compareWithBook(stored, { orders: [], fills: [] })).toMatchObject({ lostOrders: ['entry-1'] })
  })

  test('finds what is on both sides and not the same', () => {
    const other = { orders: [{ ...placed, status: 'canceled' as const }], fills: [{ ...executed, price: '1' }] }
    expect(compareWithBook(stored, other).differences).toEqual(['order entry-1', 'fill X-1 T-1'])
  })
})

describe('the search for plaintext', () => {
  const documents = documentsOf({ orders: [order], fills: [fill] })
  const secrets = ['0x9f86d081884c7d659a2feaa0c55ad015']
  const startedAtMs = Date.now()
  const values = writtenValues(documents, secrets, startedAtMs)

  test('looks for everything long enough, numbers and nested values too', () => {
    expect(values).toContain('46319.0')
    expect(values).toContain('BTC-PERP')
    expect(values).toContain(secrets[0])
    expect(values).not.toContain('buy')
    const nested = documentsOf({ kv: [{ key: 'a', value: { at: [1_640_991_660_000] } }] })
    expect(writtenValues(nested, [], startedAtMs)).toEqual(['1640991660000'])
  })

  test('leaves out the times of the run, which stand in clear in two files', () => {
    const timed = documentsOf({ kv: [{ key: 'a', value: { at: startedAtMs } }] })
    expect(writtenValues(timed, [], startedAtMs)).toEqual([])
    expect(writtenValues(timed, [], startedAtMs + 1)).toEqual([String(startedAtMs)])
  })

  test.each(ENCODINGS.map(({ name }) => name))('finds a value in %s wherever it stands', (name) => {
    const { encode, patterns } = ENCODINGS.find((each) => each.name === name) ?? ENCODINGS[0] ?? never()
    const search = new PatternSearch<string>()
    for (const pattern of patterns('46319.0')) search.add(pattern, 'price')
    for (let before = 0; before < 7; before++) {
      expect([...search.find(encode(`${'-'.repeat(before)}46319.0,`))]).toEqual(['price'])
    }
    expect(search.find(encode('-46419.0-')).size).toBe(0)
  })

  test('tells patterns that begin alike apart', () => {
    const search = new PatternSearch<string>()
    for (const id of ['BTCPERP-1', 'BTCPERP-12', 'BTCPERP-2']) search.add(Buffer.from(id), id)
    expect([...search.find(Buffer.from('…BTCPERP-12…'))].sort()).toEqual(['BTCPERP-1', 'BTCPERP-12'])
    expect(search.find(Buffer.from('BTCPERP-')).size).toBe(0)
  })

  test('finds nothing in other files, all in its own control, and leaves nothing behind', async () => {
    await writeFile(join(dir, 'noise'), Buffer.alloc(10_000, 'noise '))
    const control = join(dir, 'in-clear')
    const result = await searchPlaintext([dir], values, documents, secrets, control)
    expect(result).toMatchObject({
      values: values.length,
      files: 1,
      bytes: 10_000,
      hits: [],
      foundInControl: values.length,
    })
    expect(await readdir(dir)).toEqual(['noise'])
  })

  test('names the file that gives something away', async () => {
    await writeFile(join(dir, 'leak'), Buffer.from(`….${Buffer.from(`x${secrets[0]}`).toString('base64')}`))
    const { hits } = await searchPlaintext([dir], values, documents, secrets, join(dir, 'in-clear'))
    expect(hits).toEqual(['leak (base64)'])
  })
})

describe('the folder of the demo', () => {
  test('is cleared when a demo has made it, and only then', async () => {
    const workspace = await prepareWorkspace(join(dir, 'demo'))
    await writeFile(workspace.state, 'left over')
    await prepareWorkspace(join(dir, 'demo'))
    expect(await readdir(join(dir, 'demo'))).toEqual(['made-by-holdfast-demo'])

    await writeFile(join(dir, 'mine'), 'precious')
    await expect(prepareWorkspace(dir)).rejects.toThrow('no demo has made it')
    expect(await readdir(dir)).toContain('mine')
  })
})

test('options are checked', () => {
  expect(readOptions([])).toEqual({ dir: '.demo', share: 1, kills: 3, seed: 1, isJson: false })
  expect(readOptions(['--share', '0.2', '--kills', '0', '--json'])).toMatchObject({
    share: 0.2,
    kills: 0,
    isJson: true,
  })
  expect(readOptions(['--help'])).toBeNull()
  for (const args of [['--share', '2'], ['--kills', '-1'], ['--seed', 'x'], ['--what']]) {
    expect(() => readOptions(args)).toThrow()
  }
})

function never(): never {
  throw new Error('there is no such encoding')
}
