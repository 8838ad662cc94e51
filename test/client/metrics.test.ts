/** `store.metrics()`: the text is valid by the grammar of the format, adds up, and says nothing of what is stored. */
import { appendFileSync, readdirSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { metricsText } from '../../src/client/metrics-text.ts'
import { type MetricsServer, serveMetrics } from '../../src/index.ts'
import { order, position } from './fixtures/documents.ts'
import { parseExposition } from './fixtures/exposition-format.ts'
import { codeOf, openTempStore } from './fixtures/temp-store.ts'

describe('the text', () => {
  test('is valid, of a fresh store, a busy one and a read-only one', async () => {
    const store = await openTempStore()
    parseExposition(await store.metrics())
    for (let index = 0; index < 50; index++) void store.orders.put(order(`o-${index}`))
    parseExposition(await store.metrics())
    await store.check()
    parseExposition(await store.metrics())
    const reader = await openTempStore({ dir: store.dir, readOnly: true })
    parseExposition(await reader.metrics())
  })

  test('counts what has happened', async () => {
    const store = await openTempStore()
    await store.positions.put(position('p-1'))
    await store.positions.put(position('p-2'))
    const metrics = parseExposition(await store.metrics())
    expect(metrics.value('holdfast_durable_operations_total', { file: 'state' })).toBe(2)
    expect(metrics.value('holdfast_queue_operations', { file: 'state' })).toBe(0)
    expect(metrics.value('holdfast_hot_documents', { collection: 'positions' })).toBe(2)
    expect(metrics.value('holdfast_commits_total', { file: 'state' })).toBe(2)
    expect(metrics.value('holdfast_ack_latency_seconds_count', { file: 'state' })).toBe(2)
    expect(metrics.value('holdfast_worker_restarts_total')).toBe(0)
    expect(metrics.value('holdfast_disk_free_bytes')).toBeGreaterThan(0)
  })

  test('has buckets that add up to what was counted, and a sum of the same', async () => {
    const store = await openTempStore()
    for (let index = 0; index < 40; index++) await store.orders.put(order(`o-${index}`))
    const { stats, files } = await store.status()
    const metrics = parseExposition(await store.metrics())
    for (const name of ['holdfast_ack_latency_seconds', 'holdfast_commit_duration_seconds']) {
      const buckets = metrics.samples(`${name}_bucket`, { file: 'state' })
      const values = buckets.map(({ value }) => value)
      expect(values).toEqual([...values].sort((a, b) => a - b))
      expect(values.at(-1)).toBe(metrics.value(`${name}_count`, { file: 'state' }))
      expect(values.at(-1)).toBe(40)
    }
    const sumMs = stats.latencyCounts.sumMs
    expect(metrics.value('holdfast_ack_latency_seconds_sum', { file: 'state' })).toBeCloseTo(sumMs / 1_000, 9)
    expect(files.state.commitLatency.sumMs).toBeCloseTo(files.state.commitMs, 6)
    const median = metrics
      .samples('holdfast_ack_latency_seconds_bucket', { file: 'state' })
      .find(({ value }) => value >= 20)
    expect(Number(median?.labels.le) * 1_000).toBeGreaterThanOrEqual(stats.latency.p50Ms * 0.99)
  })

  test('tells of skills, series and the session cache', async () => {
    const store = await openTempStore()
    const bar = { ts: 60_000, open: 1, high: 1, low: 1, close: 1, volume: 1 }
    await store.bars.append('BTC/USDT', '1m', [bar, { ...bar, ts: 120_000 }])
    await store.sessionCache.storeBars('BTC/USDT', [bar])
    await store.sessionCache.getBars('BTC/USDT')
    await store.sessionCache.getBars('ETH/USDT')
    await store.skills.save({ name: 'fade', kind: 'code', description: '', content: 'x' })
    await store.skills.save({ name: 'fade', kind: 'code', description: '', content: 'y' })
    const metrics = parseExposition(await store.metrics())
    expect(metrics.value('holdfast_skills')).toBe(1)
    expect(metrics.value('holdfast_skill_versions')).toBe(2)
    expect(metrics.value('holdfast_series')).toBe(1)
    const points = ['rows', 'blocks'].map((place) => metrics.value('holdfast_series_points', { in: place }))
    expect(Number(points[0]) + Number(points[1])).toBe(2)
    expect(metrics.value('holdfast_session_cache_files')).toBe(1)
    expect(metrics.value('holdfast_session_cache_bytes')).toBeGreaterThan(0)
    expect(metrics.value('holdfast_session_cache_reads_total', { result: 'hit' })).toBe(1)
    expect(metrics.value('holdfast_session_cache_reads_total', { result: 'miss' })).toBe(1)
    expect(metrics.value('holdfast_session_cache_damaged_total')).toBe(0)
  })

  test('counts a torn end of the session cache once, and each look at a damaged file', async () => {
    const store = await openTempStore()
    const bar = { ts: 60_000, open: 1, high: 1, low: 1, close: 1, volume: 1 }
    await store.sessionCache.storeBars('BTC/USDT', [bar])
    const [name] = readdirSync(join(store.dir, 'cache')) as [string]
    appendFileSync(join(store.dir, 'cache', name), 'half a record')
    for (let n = 0; n < 3; n++) expect((await store.sessionCache.getBars('BTC/USDT')).length).toBe(1)
    const figure = async (what: string) =>
      parseExposition(await store.metrics()).value(`holdfast_session_cache_${what}`)
    expect(await figure('dropped_tails_total')).toBe(1)
    rmSync(join(store.dir, 'cache', name))
    expect(await codeOf(store.sessionCache.getBars('BTC/USDT'))).toBe('CACHE_DAMAGED')
    expect(await figure('damaged_total')).toBe(1)
  })

  test('shows what waits', async () => {
    const store = await openTempStore()
    const writes = Array.from({ length: 500 }, (_, index) => store.orders.put(order(`o-${index}`)))
    expect(store.stats().depth).toBe(500)
    await Promise.all(writes)
    const metrics = parseExposition(await store.metrics())
    expect(metrics.value('holdfast_batch_operations_max', { file: 'state' })).toBe(500)
  })

  test('of a read-only store leaves out what only its owner knows', async () => {
    const owner = await openTempStore()
    const reader = await openTempStore({ dir: owner.dir, readOnly: true })
    const known = parseExposition(await reader.metrics()).names
    expect(known).toContain('holdfast_database_bytes')
    expect(known.filter((name) => /queue|commit|batch|ack|checkpoint/.test(name))).toEqual([])
    expect(parseExposition(await owner.metrics()).names).toEqual(expect.arrayContaining([...known]))
  })

  test('holds no key and no value', async () => {
    const store = await openTempStore()
    await store.kv.put({ key: 'needle-key', value: 'needle-value' })
    expect(await store.metrics()).not.toContain('needle')
  })

  test('of a closed store is refused', async () => {
    const store = await openTempStore()
    await store.close()
    expect(await codeOf(store.metrics())).toBe('STORE_CLOSED')
  })
})

test('labels with quotes, backslashes and line ends come back as they were', () => {
  const collection = 'a"b\\c\nd\\n'
  const text = metricsText([
    { name: 'm', help: 'a\nb\\', type: 'gauge', samples: [{ labels: { collection }, value: 1e-7 }] },
  ])
  expect(parseExposition(text).samples('m')).toEqual([{ name: 'm', labels: { collection }, value: 1e-7 }])
})

describe('serveMetrics', () => {
  test('answers at /metrics on loopback, in the type of the format', async () => {
    const store = await openTempStore()
    await using server = await serveMetrics(store, { port: 0 })
    expect(server.url).toBe(`http://127.0.0.1:${server.port}/metrics`)
    const response = await fetch(server.url)
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
    expect(parseExposition(await response.text()).names).toContain('holdfast_queue_operations')
  })

  test.each([
    ['/', 'GET', 404],
    ['/metrics/../etc', 'GET', 404],
    ['/metrics?x=1', 'GET', 200],
    ['/metrics', 'POST', 405],
    ['/metrics', 'DELETE', 405],
    ['/metrics', 'HEAD', 200],
  ])('answers %s %s with %i', async (path, method, status) => {
    const store = await openTempStore()
    await using server = await serveMetrics(store, { port: 0 })
    expect(await statusOf(server, path, method)).toBe(status)
  })

  test('goes on answering when many ask at once', async () => {
    const store = await openTempStore()
    await using server = await serveMetrics(store, { port: 0 })
    const answers = await Promise.all(Array.from({ length: 50 }, async () => (await fetch(server.url)).text()))
    for (const answer of answers) parseExposition(answer)
  })

  test('answers 503 with the code when the store is closed', async () => {
    const store = await openTempStore()
    await using server = await serveMetrics(store, { port: 0 })
    await store.close()
    const response = await fetch(server.url)
    expect([response.status, await response.text()]).toEqual([503, 'STORE_CLOSED\n'])
  })

  test('refuses a port that is taken, or none', async () => {
    const store = await openTempStore()
    await using server = await serveMetrics(store, { port: 0 })
    expect(await codeOf(serveMetrics(store, { port: server.port }))).toBe('INVALID_ARGUMENT')
    for (const port of [-1, 65_536, 1.5, Number.NaN]) {
      expect(await codeOf(serveMetrics(store, { port }))).toBe('INVALID_ARGUMENT')
    }
    expect(await codeOf(serveMetrics(store, { address: '' }))).toBe('INVALID_ARGUMENT')
  })
})

/** Sends the path as it is, where `fetch` would put it in order. */
function statusOf({ port }: MetricsServer, path: string, method: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port, path, method }, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
      .on('error', reject)
      .end()
  })
}
