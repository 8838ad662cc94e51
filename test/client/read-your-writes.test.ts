import { expect, test } from 'vitest'
import { openTempStore } from './fixtures/temp-store.ts'

test('a cold read sees a put that was accepted just before it, also one that joined others', async () => {
  const store = await openTempStore()
  for (let round = 0; round < 50; round++) {
    for (let other = 0; other < 5; other++) void store.kv.set(`k-${other}`, round)
    const id = `m-${round}`
    void store.algorithmMetrics.put({ id, algorithm: 'breakout', recordedAt: round, metrics: { sharpe: '1.5' } })
    expect((await store.algorithmMetrics.get(id))?.recordedAt).toBe(round)
  }
})

test('SQL sees a put that was accepted just before it', async () => {
  const store = await openTempStore()
  void store.kv.set('a', 1)
  void store.positions.put({ id: 'P', symbol: 'BTC/USDT', side: 'long', quantity: '1', entryPrice: '2' })
  expect(await store.sql('select symbol from positions')).toEqual([{ symbol: 'BTC/USDT' }])
})

test('a load leaves room for urgent writes in the same file', async () => {
  const store = await openTempStore()
  const documents = function* () {
    for (let index = 0; index < 5_000; index++)
      yield { id: `t-${index}`, symbol: 'X', entryPrice: '1', openedAt: index }
  }
  const loading = store.trades.load(documents())
  let deepest = 0
  const watch = setInterval(() => {
    deepest = Math.max(deepest, store.stats().depth)
  }, 1)
  expect(await loading).toBe(5_000)
  clearInterval(watch)
  expect(deepest).toBeLessThanOrEqual(2_000)
  expect(await store.trades.count()).toBe(5_000)
})
