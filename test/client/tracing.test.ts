/** What OpenTelemetry is told: with its real SDK, with the API alone, and without either. */
import { execFile } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { context, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { defineCollection, openStore, reconcile, restoreStore, z } from '../../src/index.ts'
import { fill, order } from './fixtures/documents.ts'
import { codeOf, FAST_KDF, openSharedStore, openTempStore, PASSWORD, tempDir } from './fixtures/temp-store.ts'
import { PaperExchange } from './reconcile/paper-exchange.ts'

const exporter = new InMemorySpanExporter()
const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
const tracer = provider.getTracer('the program')

const ticks = defineCollection({
  name: 'ticks',
  key: 'id',
  schema: z.object({ id: z.string(), at: z.number() }),
  file: 'market',
})
const vault = defineCollection({
  name: 'vault',
  key: 'id',
  schema: z.object({ id: z.string(), pin: z.string() }),
  sealed: ['pin'],
})

const named = (name: string): ReadableSpan[] => exporter.getFinishedSpans().filter((span) => span.name === name)

function only(name: string): ReadableSpan {
  const [span, ...others] = named(name)
  expect(others).toEqual([])
  if (span !== undefined) return span
  throw new Error(`no span "${name}" among ${exporter.getFinishedSpans().map((each) => each.name)}`)
}

const spanNames = () =>
  exporter
    .getFinishedSpans()
    .map(({ name }) => name)
    .sort()

const childrenOf = (parent: ReadableSpan) =>
  exporter
    .getFinishedSpans()
    .filter(({ parentSpanContext }) => parentSpanContext?.spanId === parent.spanContext().spanId)

/** Opened while no tracer is registered: one that comes later is found all the same. */
const store = await openSharedStore({ collections: { tickRows: ticks, vault } })

test('without a tracer the store works, and nobody is told anything', async () => {
  await store.kv.set('early', 1)
  expect(await store.fills.count()).toBe(0)
  expect(exporter.getFinishedSpans()).toEqual([])
})

describe('with a tracer', () => {
  beforeAll(() => {
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
    trace.setGlobalTracerProvider(provider)
  })
  afterAll(() => {
    trace.disable()
    context.disable()
  })
  beforeEach(() => exporter.reset())

  test('a batch is one span, however many puts it carries, and nobody’s child', async () => {
    const batchesBefore = store.stats().batches
    const documents = Array.from({ length: 500 }, (_, index) => ({ key: `k-${index}`, value: 'ä' }))
    await tracer.startActiveSpan('caller', async (span) => {
      await Promise.all(documents.map((document) => store.kv.put(document)))
      span.end()
    })
    const commits = named('commit state')
    expect(spanNames()).toEqual(['caller', ...commits.map(({ name }) => name)])
    expect(commits).toHaveLength(store.stats().batches - batchesBefore)
    const sum = (name: string) => commits.reduce((total, { attributes }) => total + Number(attributes[name]), 0)
    expect(sum('holdfast.batch.operations')).toBe(500)
    const bytes = documents.reduce((total, each) => total + Buffer.byteLength(each.key + JSON.stringify(each)), 0)
    expect(sum('holdfast.batch.bytes')).toBe(bytes)
    for (const { attributes, kind, parentSpanContext } of commits) {
      expect(attributes).toMatchObject({
        'db.system.name': 'sqlite',
        'db.operation.name': 'commit',
        'db.namespace': 'state',
      })
      expect([kind, parentSpanContext]).toEqual([SpanKind.CLIENT, undefined])
    }
  })

  test('a batch of one operation has no batch size; the market file is told by name', async () => {
    await store.tickRows.put({ id: 't', at: 1 })
    const { attributes } = only('commit market')
    expect(attributes).toMatchObject({ 'holdfast.batch.operations': 1, 'db.namespace': 'market' })
    expect(attributes).not.toHaveProperty('db.operation.batch.size')
  })

  test('a read from disk is a child of what asks for it; one from memory is none', async () => {
    await store.orders.insert(order('o-1'))
    await store.fills.insertMany([fill('f-1', 'o-1'), fill('f-2', 'o-1')])
    exporter.reset()
    await tracer.startActiveSpan('caller', async (span) => {
      await store.fills.get('f-1')
      await store.fills.get('nobody')
      await store.fills.list()
      await store.fills.count()
      store.kv.get('k-1')
      span.end()
    })
    const reads = childrenOf(only('caller'))
    expect(reads.map(({ name, attributes }) => [name, attributes['db.response.returned_rows']])).toEqual([
      ['get fills', 1],
      ['get fills', 0],
      ['page fills', 2],
      ['count fills', undefined],
    ])
    expect(reads.every(({ attributes }) => attributes['db.collection.name'] === 'fills')).toBe(true)
    expect(spanNames()).toHaveLength(5)
  })

  test('a blocking read is told as well', () => {
    store.sync.fills.get('f-1')
    expect(only('get fills').attributes['db.response.returned_rows']).toBe(1)
  })

  test('sql tells the file and the rows, and the code of what was refused', async () => {
    await store.sql('select * from fills')
    await store.sqlTable('select 1 limit 0')
    expect(named('sql state').map(({ attributes }) => attributes['db.response.returned_rows'])).toEqual([2, 0])
    exporter.reset()
    expect(await codeOf(store.sql('select nothing from nowhere', [], { file: 'market' }))).toBe('INVALID_QUERY')
    const { attributes, status, events } = only('sql market')
    expect(attributes['error.type']).toBe('INVALID_QUERY')
    expect([status, events]).toEqual([{ code: SpanStatusCode.ERROR }, []])
  })

  test('a transaction lasts until it is durable, and fails as it fails', async () => {
    await store.transaction((tx) => {
      tx.kv.put({ key: 'a', value: 1 })
      tx.kv.put({ key: 'b', value: 2 })
    })
    const span = only('transaction')
    expect(span.attributes['db.operation.batch.size']).toBe(2)
    expect(span.status.code).toBe(SpanStatusCode.UNSET)
    expect(Number(span.duration[0]) * 1e9 + span.duration[1]).toBeGreaterThan(0)
    exporter.reset()
    const own = new Error('the callback’s own')
    const failing = store.transaction(() => {
      throw own
    })
    await expect(failing).rejects.toBe(own)
    expect(only('transaction').attributes['error.type']).toBe('_OTHER')
    exporter.reset()
    const refused = store.transaction((tx) => tx.orders.insert(order('o-1')))
    expect(await codeOf(refused)).toBe('ALREADY_EXISTS')
    expect(only('transaction').attributes['error.type']).toBe('ALREADY_EXISTS')
  })

  test('a transaction is still accepted before it returns', () => {
    void store.transaction((tx) => tx.kv.put({ key: 'at once', value: 1 }))
    expect(store.kv.value('at once')).toBe(1)
  })

  test('backup and restore', async () => {
    const dir = tempDir()
    await store.backup(join(dir, 'backups'))
    expect(only('backup').attributes['db.operation.name']).toBe('backup')
    await restoreStore({ from: join(dir, 'backups'), dir: join(dir, 'restored'), password: PASSWORD })
    expect(only('restore').status.code).toBe(SpanStatusCode.UNSET)
    expect(await codeOf(store.backup(join(dir, 'file', '\0')))).toBeTypeOf('string')
    expect(named('backup').filter(({ attributes }) => attributes['error.type'] !== undefined)).toHaveLength(1)
  })

  test('rotations of the password and of the data key', async () => {
    const own = await openTempStore()
    await own.keys.rotatePassword(`another ${PASSWORD}`)
    expect(only('rotate-password').attributes).toEqual({
      'db.system.name': 'sqlite',
      'db.operation.name': 'rotate-password',
    })
    await own.rotateDataKey({ onProgress: () => undefined })
    expect(only('rotateDataKey').status.code).toBe(SpanStatusCode.UNSET)
    expect(spanNames().filter((name) => /progress/i.test(name))).toEqual([])
  })

  test('opening, with the migrations that ran inside it', async () => {
    const dir = tempDir()
    const migrations = join(dir, 'migrations')
    mkdirSync(migrations)
    writeFileSync(join(migrations, '0001_notes.sql'), 'CREATE TABLE notes (id TEXT PRIMARY KEY) STRICT;')
    await openTempStore({ dir: join(dir, 'state'), migrations })
    const open = only('open')
    const migrate = only('migrate')
    expect(childrenOf(open)).toEqual([migrate])
    expect(migrate.attributes['holdfast.migrations']).toEqual(['0001_notes'])
    const nanoseconds = ([seconds, rest]: [number, number]) => seconds * 1e9 + rest
    expect(nanoseconds(migrate.endTime)).toBeGreaterThanOrEqual(nanoseconds(migrate.startTime))
    exporter.reset()
    const again = await openStore({ dir: join(dir, 'state'), readOnly: true, password: PASSWORD })
    await again.close()
    expect(spanNames()).toEqual(['close', 'open'])
  })

  test('reconcile, with what it reads and how it ends', async () => {
    await reconcile(store, new PaperExchange(), { dryRun: true })
    const span = only('reconcile')
    expect(span.kind).toBe(SpanKind.INTERNAL)
    expect(span.attributes['holdfast.reconcile.outcome']).toBeTypeOf('string')
    expect(childrenOf(span).length).toBeGreaterThan(0)
  })

  test('no value, key, query, path or password is in any of it', async () => {
    const marker = 'marker4711'
    const dir = join(tempDir(), marker)
    const own = await openTempStore({ dir, password: `${marker} ${PASSWORD}`, collections: { vault } })
    await own.kv.set(marker, { [marker]: marker })
    await own.vault.put({ id: marker, pin: marker })
    await own.vault.get(marker)
    await own.vault.reveal(marker, { actor: marker, reason: marker })
    await own.orders.list({ where: { symbol: marker } })
    await own.sql(`select '${marker}' from orders where symbol = ?`, [marker])
    await codeOf(own.sql(`select "${marker}" from "${marker}"`))
    await codeOf(own.vault.insert({ id: marker, pin: marker }))
    await own.audit.append({ actor: marker, event: `${marker}.done`, data: { marker } })
    await own.transaction((tx) => tx.kv.delete(marker))
    await own.backup(join(dir, '..', `${marker}-backups`))
    await own.close()
    await codeOf(openStore({ dir, password: `${marker} wrong ${PASSWORD}`, kdf: FAST_KDF }))
    const told = exporter.getFinishedSpans().map(({ name, attributes, status, events, links }) => {
      return { name, attributes, status, events, links }
    })
    expect(told.length).toBeGreaterThan(10)
    expect(JSON.stringify(told)).not.toContain(marker)
  })
})

test('without the package the store works, and looks for it once', async () => {
  const dir = tempDir()
  const hooks = `
    import { writeSync } from 'node:fs'
    export async function resolve(specifier, context, next) {
      if (!specifier.startsWith('@opentelemetry/')) return await next(specifier, context)
      writeSync(2, 'looked for ' + specifier + '\\n')
      throw Object.assign(new Error('not installed'), { code: 'ERR_MODULE_NOT_FOUND' })
    }`
  const url = (source: string) => `data:text/javascript,${encodeURIComponent(source)}`
  const program = `
    const { openStore } = await import(${JSON.stringify(resolve(import.meta.dirname, '../../src/index.ts'))})
    const options = { dir: ${JSON.stringify(join(dir, 'state'))}, password: ${JSON.stringify(PASSWORD)}, kdf: ${JSON.stringify(FAST_KDF)} }
    for (let n = 0; n < 2; n++) {
      const store = await openStore(options)
      await store.transaction((tx) => tx.kv.put({ key: 'n', value: n }))
      console.log(JSON.stringify(await store.sql('select count(*) n from kv')))
      await store.close()
    }`
  const register = url(`import { register } from 'node:module'\nregister(${JSON.stringify(url(hooks))})`)
  const { stdout, stderr } = await promisify(execFile)(
    process.execPath,
    ['--no-warnings', '--import', 'tsx', '--import', register, '--input-type=module', '-e', program],
    { cwd: resolve(import.meta.dirname, '../..') },
  )
  expect(stdout).toBe('[{"n":1}]\n[{"n":1}]\n')
  expect(stderr).toBe('looked for @opentelemetry/api\n')
})
