import { describe, expect, test } from 'vitest'
import { builtInCollections, OPEN_ORDER_STATES, TERMINAL_ORDER_STATES } from '../../src/index.ts'
import { fill, order, position, trade } from '../client/fixtures/documents.ts'

const names = Object.keys(builtInCollections) as (keyof typeof builtInCollections)[]

test('every collection the contract names is there, under its own name', () => {
  expect(names).toEqual([
    'positions',
    'orders',
    'fills',
    'trades',
    'kv',
    'preferences',
    'flags',
    'users',
    'wallets',
    'algorithmMetrics',
    'recoveryMetrics',
  ])
  for (const name of names) expect(builtInCollections[name].spec.name).toBe(name)
})

test('what a bot reads all the time is hot; orders are while they are not terminal', () => {
  const heat = Object.fromEntries(names.map((name) => [name, builtInCollections[name].spec.hot]))
  expect(heat).toEqual({
    positions: true,
    orders: { field: 'state', in: OPEN_ORDER_STATES },
    fills: false,
    trades: false,
    kv: true,
    preferences: true,
    flags: true,
    users: false,
    wallets: false,
    algorithmMetrics: false,
    recoveryMetrics: false,
  })
})

test('an order is open or terminal, never both', () => {
  const open: readonly string[] = OPEN_ORDER_STATES
  expect(TERMINAL_ORDER_STATES.filter((state) => open.includes(state))).toEqual([])
  const { state } = builtInCollections.orders.schema.parse(order('o')) as { state: string }
  expect([...OPEN_ORDER_STATES, ...TERMINAL_ORDER_STATES]).toContain(state)
})

test('fills belong to orders and wallets to users', () => {
  expect(builtInCollections.fills.spec.references).toEqual({ orderId: 'orders' })
  expect(builtInCollections.wallets.spec.references).toEqual({ userId: 'users' })
})

test('a client order id and an email address occur once', () => {
  expect(builtInCollections.orders.spec.unique).toEqual(['clientOrderId'])
  expect(builtInCollections.users.spec.unique).toEqual(['email'])
})

test('the private key of a wallet is sealed', () => {
  expect(builtInCollections.wallets.spec.sealed).toEqual(['privateKey'])
})

test('everything lives in the state file', () => {
  expect(new Set(names.map((name) => builtInCollections[name].spec.file))).toEqual(new Set(['state']))
})

describe('what each accepts', () => {
  test.each([
    [
      'positions',
      position('p', { highestPrice: '47000', currentStop: null, stopOrderId: 'o-1', metadata: { a: [1] } }),
    ],
    ['orders', order('o', { clientOrderId: 'c-1', price: '46319.00', stopPrice: null, filledQuantity: 0 })],
    ['fills', fill('f', 'o', { fee: '0.00001', feeCurrency: 'BNB', liquidity: 'maker' })],
    ['trades', trade('t', { exitPrice: '47000', pnl: '-1.5', closedAt: 1_700_000_000_001 })],
    ['kv', { key: 'k', value: { deep: [null, true, 'x', 1.5] } }],
    ['preferences', { key: 'theme', value: 'dark' }],
    ['flags', { key: 'dry-run', value: false, description: 'no real orders' }],
    ['users', { id: 'u', name: 'Ada', email: null, role: 'admin' }],
    ['wallets', { address: '0xabc', chain: 'eth', privateKey: 'secret', userId: null }],
    ['algorithmMetrics', { id: 'm', algorithm: 'trend', recordedAt: 1, metrics: { sharpe: '1.5', wins: 3 } }],
    ['recoveryMetrics', { id: 'r', startedAt: 1, durationMs: 2.5, outcome: 'clean', counts: { orders: 1 } }],
  ] as const)('%s', (name, document) => {
    expect(builtInCollections[name].schema.parse(document)).toEqual(document)
  })
})

describe('what each refuses', () => {
  test.each([
    ['positions', position('')],
    ['positions', position('p', { side: 'up' })],
    ['positions', position('p', { entryPrice: 'cheap' })],
    ['orders', order('o', { state: 'opened' })],
    ['orders', order('o', { quantity: Number.NaN })],
    ['fills', fill('f', '')],
    ['fills', fill('f', 'o', { filledAt: '2024-01-01' })],
    ['trades', trade('t', { openedAt: -1 })],
    ['kv', { key: '', value: 1 }],
    ['kv', { key: 'k' }],
    ['flags', { key: 'k', value: 1, description: 'x'.repeat(1_025) }],
    ['users', { id: 5 }],
    ['wallets', { address: '0xabc', privateKey: '' }],
    ['algorithmMetrics', { id: 'm', algorithm: 'trend', recordedAt: 1, metrics: { sharpe: 'good' } }],
    ['recoveryMetrics', { id: 'r', startedAt: 1, durationMs: -1, outcome: 'clean', counts: {} }],
  ] as const)('%s: %j', (name, document) => {
    expect(builtInCollections[name].schema.safeParse(document).success).toBe(false)
  })
})
