/** store.artifacts from the outside: what goes in comes out, versions share what they share, nothing is lost on the way. */
import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { describe, expect, test } from 'vitest'
import { openStore, type Store } from '../../src/index.ts'
import { codeOf, failureOf, openSharedStore, openTempStore, PASSWORD } from './fixtures/temp-store.ts'

const MIB = 1024 * 1024

/** Paths of the sealed files of a store. */
function blobs(dir: string): string[] {
  return readdirSync(join(dir, 'blobs'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
}

/** How many files the rows of chunks name. */
async function namedFiles(store: Store): Promise<unknown> {
  const [row] = await store.sql<{ n: number }>('select count(distinct file) n from _artifactChunks')
  return row?.n
}

async function* inPieces(content: Uint8Array, bytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < content.length; at += bytes) yield content.subarray(at, at + bytes)
}

/** Gives what it is given, and then fails. */
async function* cutOff(content: Uint8Array): AsyncGenerator<Uint8Array> {
  yield* inPieces(content, 100_000)
  throw new Error('cut off')
}

describe('put and get', async () => {
  const { artifacts } = await openSharedStore()

  test.each([0, 1, 4_096, 512 * 1024, 2 * MIB, 5 * MIB + 17])('%i bytes come back as they were', async (bytes) => {
    const content = randomBytes(bytes)
    const stored = await artifacts.put(`size-${bytes}`, content)
    expect(stored).toMatchObject({ name: `size-${bytes}`, version: 1, bytes, newBytes: bytes })
    const read = await artifacts.get(`size-${bytes}`).bytes()
    expect(read.equals(content)).toBe(true)
  })

  test('content comes from streams, iterables and arrays of pieces of any size', async () => {
    const content = randomBytes(3 * MIB)
    await artifacts.put('stream', Readable.from(inPieces(content, 65_536)))
    await artifacts.put('generator', inPieces(content, 777_777))
    await artifacts.put('array', [content.subarray(0, 10), content.subarray(10)])
    const web = Readable.toWeb(Readable.from(inPieces(content, 30_000))) as AsyncIterable<Uint8Array>
    const { newBytes } = await artifacts.put('web', web)
    for (const name of ['stream', 'generator', 'array', 'web']) {
      expect((await buffer(artifacts.get(name))).equals(content)).toBe(true)
    }
    expect(newBytes).toBe(0)
  })

  test('the buffers that were given stay the caller’s', async () => {
    const content = Buffer.alloc(MIB, 7)
    await artifacts.put('own', content)
    expect(content.length).toBe(MIB)
    expect(content.every((byte) => byte === 7)).toBe(true)
  })

  test('content that repeats itself is stored once', async () => {
    const piece = randomBytes(12 * MIB)
    const { newBytes } = await artifacts.put('repeated', [piece, piece])
    expect(newBytes).toBeLessThan(22 * MIB)
    expect((await artifacts.get('repeated').bytes()).equals(Buffer.concat([piece, piece]))).toBe(true)
  })

  test('of 40 MiB with some bytes put into the middle, little is stored again', async () => {
    const content = randomBytes(40 * MIB)
    await artifacts.put('large', content)
    const changed = Buffer.concat([content.subarray(0, 20 * MIB), Buffer.from('inserted'), content.subarray(20 * MIB)])
    const second = await artifacts.put('large', changed)
    expect(second).toMatchObject({ version: 2, bytes: changed.length })
    expect(second.newBytes).toBeLessThan(15 * MIB)
    expect((await artifacts.get('large', 2).bytes()).equals(changed)).toBe(true)
    expect((await artifacts.get('large', 1).bytes()).equals(content)).toBe(true)
  })

  test('many puts at once each make a version of their own', async () => {
    const contents = Array.from({ length: 8 }, () => randomBytes(700_000))
    const stored = await Promise.all(contents.map((content) => artifacts.put('busy', content)))
    expect(stored.map(({ version }) => version).sort()).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
    for (const [index, { version }] of stored.entries()) {
      expect((await artifacts.get('busy', version).bytes()).equals(contents[index] as Buffer)).toBe(true)
    }
  })

  test('the same content put twice at once is stored once in the end', async () => {
    const content = randomBytes(3 * MIB)
    await Promise.all([artifacts.put('twin-a', content), artifacts.put('twin-b', content)])
    await artifacts.collectGarbage()
    expect((await artifacts.get('twin-a').bytes()).equals(content)).toBe(true)
    expect((await artifacts.get('twin-b').bytes()).equals(content)).toBe(true)
  })

  test('a stream that is read in part and let go keeps nothing from going on', async () => {
    await artifacts.put('partly', randomBytes(8 * MIB))
    for await (const _piece of artifacts.get('partly')) break
    expect((await artifacts.verify('partly')).damage).toEqual([])
  })

  test('an empty stream, a text or numbers', async () => {
    expect(await artifacts.put('nothing', [])).toMatchObject({ bytes: 0, chunks: 0 })
    expect(await codeOf(artifacts.put('text', 'text' as never))).toBe('INVALID_ARGUMENT')
    expect(await codeOf(artifacts.put('text', ['text'] as never))).toBe('INVALID_ARGUMENT')
    expect(await codeOf(artifacts.put('text', 5 as never))).toBe('INVALID_ARGUMENT')
    expect(await artifacts.versions('text')).toEqual([])
  })

  test.each([
    ['name', { name: '' }],
    ['tag', { tags: ['7'] }],
    ['tag', { tags: ['latest'] }],
    ['metrics', { metrics: { sharpe: Number.NaN } }],
    ['metadata', { metadata: { at: new Date() } }],
    ['option', { metdata: {} }],
  ])('refuses an odd %s before anything is read: %j', async (_, {
    name = 'odd',
    ...options
  }: Record<string, unknown>) => {
    let isRead = false
    const source = (async function* () {
      isRead = true
      yield Buffer.from('x')
    })()
    expect(await codeOf(artifacts.put(name as string, source, options as never))).toBe('INVALID_ARGUMENT')
    expect(isRead).toBe(false)
  })

  test('a parent that is not there is told before anything is read', async () => {
    const source = (async function* () {
      yield Promise.reject(new Error('was read'))
    })() as AsyncIterable<Uint8Array>
    expect(await codeOf(artifacts.put('orphan', source, { parents: [{ name: 'nobody', version: 1 }] }))).toBe(
      'NOT_FOUND',
    )
  })

  test('NOT_FOUND of a stream comes with its first read', async () => {
    expect(await codeOf(artifacts.get('nobody').bytes())).toBe('NOT_FOUND')
    expect(await codeOf(artifacts.get('large', 99).bytes())).toBe('NOT_FOUND')
    expect(await codeOf(artifacts.info('large', 'no-such-tag'))).toBe('NOT_FOUND')
  })
})

describe('what is known of a version', async () => {
  const { artifacts } = await openSharedStore()

  test('metadata, metrics, tags and parents come back', async () => {
    const features = await artifacts.put('features', randomBytes(1_000))
    const made = await artifacts.put('model', randomBytes(1_000), {
      metadata: { framework: 'onnx', layers: [64, 64], note: 'Δ ≥ 0' },
      metrics: { sharpe: 1.75 },
      tags: ['candidate', 'a'],
      parents: [{ name: 'features', version: features.version }],
    })
    const { newBytes: _, ...info } = made
    expect(info).toEqual({
      name: 'model',
      version: 1,
      bytes: 1_000,
      chunks: 1,
      createdAt: expect.any(Number),
      metadata: { framework: 'onnx', layers: [64, 64], note: 'Δ ≥ 0' },
      metrics: { sharpe: 1.75 },
      tags: ['a', 'candidate'],
      parents: [{ name: 'features', version: 1 }],
    })
    expect(await artifacts.info('model')).toEqual(info)
    expect(await artifacts.get('model', 'candidate').info()).toEqual(info)
  })

  test('a tag moves from version to version, and goes', async () => {
    await artifacts.put('tagged', Buffer.from('one'), { tags: ['production'] })
    await artifacts.put('tagged', Buffer.from('two'))
    expect(String(await artifacts.get('tagged', 'production').bytes())).toBe('one')
    await artifacts.tag('tagged', 2, 'production')
    expect(String(await artifacts.get('tagged', 'production').bytes())).toBe('two')
    expect((await artifacts.info('tagged', 1)).tags).toEqual([])
    expect((await artifacts.list({ tag: 'production' })).map(({ name, version }) => [name, version])).toEqual([
      ['tagged', 2],
    ])
    await artifacts.untag('tagged', 'production')
    await artifacts.untag('tagged', 'production')
    expect(await codeOf(artifacts.info('tagged', 'production'))).toBe('NOT_FOUND')
    expect(await codeOf(artifacts.tag('tagged', 9, 'production'))).toBe('NOT_FOUND')
  })

  test('metrics are added to, by name', async () => {
    await artifacts.put('measured', Buffer.from('x'), { metrics: { sharpe: 1, drawdown: 0.1 } })
    await artifacts.recordMetrics('measured', 1, { sharpe: 1.5, 'hit rate': 1e-9 })
    expect((await artifacts.info('measured')).metrics).toEqual({ sharpe: 1.5, drawdown: 0.1, 'hit rate': 1e-9 })
    expect(await codeOf(artifacts.recordMetrics('measured', 2, {}))).toBe('NOT_FOUND')
  })

  test('a list has each artifact at its newest version, by name, page by page', async () => {
    for (const name of ['l/b', 'l/a', 'l/c', 'l%', 'l_']) await artifacts.put(name, Buffer.from(name))
    await artifacts.put('l/a', Buffer.from('again'))
    const names = async (options: object) =>
      (await artifacts.list(options)).map(({ name, version }) => `${name}@${version}`)
    expect(await names({ prefix: 'l/' })).toEqual(['l/a@2', 'l/b@1', 'l/c@1'])
    expect(await names({ prefix: 'l/', limit: 2 })).toEqual(['l/a@2', 'l/b@1'])
    expect(await names({ prefix: 'l/', after: 'l/b' })).toEqual(['l/c@1'])
    expect(await names({ prefix: 'l%' })).toEqual(['l%@1'])
    expect((await artifacts.versions('l/a')).map(({ version }) => version)).toEqual([2, 1])
  })

  test('lineage goes up and down, across what was deleted', async () => {
    await artifacts.put('raw', Buffer.from('r'))
    await artifacts.put('clean', Buffer.from('c'), { parents: [{ name: 'raw', version: 1 }] })
    const parents = [
      { name: 'clean', version: 1 },
      { name: 'raw', version: 1 },
    ]
    await artifacts.put('net', Buffer.from('n'), { parents })
    await artifacts.put('ensemble', Buffer.from('e'), { parents: [{ name: 'net', version: 1 }] })
    await artifacts.delete('clean', 1)
    const of = (name: string, distance: number, isDeleted = false) => ({ name, version: 1, distance, isDeleted })
    expect(await artifacts.lineage('net')).toEqual({
      ancestors: [of('clean', 1, true), of('raw', 1)],
      descendants: [of('ensemble', 1)],
    })
    expect((await artifacts.lineage('raw')).descendants).toEqual([
      of('clean', 1, true),
      of('net', 1),
      of('ensemble', 2),
    ])
  })
})

describe('delete', async () => {
  test('shreds what only that version has, and leaves what others share', async () => {
    const store = await openTempStore()
    const shared = randomBytes(12 * MIB)
    await store.artifacts.put('a', shared)
    await store.artifacts.put('a', Buffer.concat([shared, randomBytes(3 * MIB)]))
    const before = blobs(store.dir).length
    const { versions, freedBytes } = await store.artifacts.delete('a', 2)
    expect(versions).toBe(1)
    expect(freedBytes).toBeGreaterThan(2 * MIB)
    expect(freedBytes).toBeLessThan(6 * MIB)
    expect(blobs(store.dir).length).toBeLessThan(before)
    expect((await store.artifacts.get('a').bytes()).equals(shared)).toBe(true)
    await store.artifacts.delete('a')
    expect(blobs(store.dir)).toEqual([])
    const [row] = await store.sql('select count(*) n from _artifactChunks')
    expect(row).toEqual({ n: 0 })
  })

  test('a collection of garbage gives back the room of chunks that are shredded, and leaves those beside them', async () => {
    const store = await openTempStore()
    const kept = randomBytes(2 * MIB)
    await store.artifacts.put('a', Buffer.concat([kept, randomBytes(6 * MIB)]))
    const { newBytes } = await store.artifacts.put('a', kept)
    await store.artifacts.delete('a', 1)
    const bytes = () => blobs(store.dir).reduce((sum, path) => sum + statSync(path).size, 0)
    expect(bytes()).toBeGreaterThan(8 * MIB)
    const { freedBytes, files } = await store.artifacts.collectGarbage()
    expect({ files, isFreed: freedBytes > 4 * MIB }).toEqual({ files: 0, isFreed: true })
    expect(bytes()).toBeLessThan(kept.length + newBytes + 1_000)
    expect((await store.artifacts.get('a').bytes()).equals(kept)).toBe(true)
    expect(await store.artifacts.verify()).toMatchObject({ bytes: kept.length, damage: [] })
    expect(await store.artifacts.collectGarbage()).toMatchObject({ files: 0, freedBytes: 0 })
  })

  test('a reader goes on while a collection of garbage moves what it reads', async () => {
    const store = await openTempStore()
    const kept = randomBytes(14 * MIB)
    for (let at = 0; at < kept.length; at += 2 * MIB) {
      const piece = kept.subarray(at, at + 2 * MIB)
      await store.artifacts.put('a', Buffer.concat([piece, randomBytes(6 * MIB)]))
      await store.artifacts.delete('a', at / MIB + 1)
      await store.artifacts.put('a', piece)
    }
    const whole = await store.artifacts.put('whole', kept)
    for (const { version } of await store.artifacts.versions('a')) await store.artifacts.delete('a', version)
    const reading = store.artifacts.get('whole', whole.version).bytes()
    await store.artifacts.collectGarbage()
    expect((await reading).equals(kept)).toBe(true)
  })

  test('a number that was deleted does not come back', async () => {
    const store = await openTempStore()
    await store.artifacts.put('a', Buffer.from('1'))
    await store.artifacts.put('a', Buffer.from('2'))
    await store.artifacts.delete('a', 2)
    expect(await store.artifacts.put('a', Buffer.from('3'))).toMatchObject({ version: 3 })
    await store.artifacts.delete('a')
    expect(await store.artifacts.put('a', Buffer.from('4'))).toMatchObject({ version: 4 })
    expect(await codeOf(store.artifacts.delete('a', 1))).toBe('NOT_FOUND')
    expect(await codeOf(store.artifacts.delete('nobody'))).toBe('NOT_FOUND')
  })

  test('who reads meanwhile gets an error, never another content', async () => {
    const store = await openTempStore()
    await store.artifacts.put('a', randomBytes(12 * MIB))
    const stream = store.artifacts.get('a')
    await stream.info()
    await store.artifacts.delete('a')
    await store.artifacts.put('b', randomBytes(12 * MIB))
    expect(await codeOf(stream.bytes())).toBe('NOT_FOUND')
  })

  test('of what is put again at the same moment nothing is missing', async () => {
    const store = await openTempStore()
    const content = randomBytes(9 * MIB)
    await store.artifacts.put('a', content)
    for (let round = 0; round < 5; round++) {
      await Promise.all([store.artifacts.put('a', content), store.artifacts.delete('a', round + 1)])
      expect((await store.artifacts.get('a').bytes()).equals(content)).toBe(true)
    }
    expect((await store.artifacts.verify()).damage).toEqual([])
  })
})

describe('a put that is cut off', async () => {
  test('makes no version, and the next one does not write again what was stored', async () => {
    const store = await openTempStore()
    const content = randomBytes(30 * MIB)
    await expect(store.artifacts.put('a', cutOff(content.subarray(0, 25 * MIB)))).rejects.toThrow('cut off')
    expect(await store.artifacts.versions('a')).toEqual([])
    const stored = await store.artifacts.put('a', content)
    expect(stored.version).toBe(1)
    expect(stored.newBytes).toBeLessThan(24 * MIB)
    expect((await store.artifacts.get('a').bytes()).equals(content)).toBe(true)
  })

  test('ends at once by its signal, also where the source gives nothing any more', async () => {
    const store = await openTempStore()
    const controller = new AbortController()
    let isClosed = false
    const stalled = new Readable({
      read: () => undefined,
      destroy: (_, callback) => {
        isClosed = true
        callback(null)
      },
    })
    stalled.push(randomBytes(100))
    const put = store.artifacts.put('a', stalled, { signal: controller.signal })
    setTimeout(() => controller.abort(), 20)
    await expect(put).rejects.toThrow('aborted')
    expect(isClosed).toBe(true)
    expect(store.stats().artifacts).toEqual({ putsActive: 0, putsWaiting: 0 })
    await expect(store.artifacts.put('a', [], { signal: controller.signal })).rejects.toThrow('aborted')
  })

  test('is garbage after a while: its chunks go, others stay', async () => {
    const store = await openTempStore()
    const kept = randomBytes(10 * MIB)
    await store.artifacts.put('kept', kept)
    await store.artifacts.put('cut', cutOff(randomBytes(25 * MIB))).catch(() => undefined)
    expect(await store.artifacts.collectGarbage()).toMatchObject({ uploads: 0 })
    expect((await store.status()).artifacts.unfinishedUploads).toBe(1)
    const { uploads, freedBytes } = await store.artifacts.collectGarbage({ unfinishedOlderThanMs: 0 })
    expect(uploads).toBe(1)
    expect(freedBytes).toBeGreaterThan(8 * MIB)
    const { chunkBytes, unfinishedUploads } = (await store.status()).artifacts
    expect({ chunkBytes, unfinishedUploads }).toEqual({ chunkBytes: kept.length, unfinishedUploads: 0 })
    expect(blobs(store.dir).length).toBe(await namedFiles(store))
    expect((await store.artifacts.get('kept').bytes()).equals(kept)).toBe(true)
  })

  test('with an uploadId happens once, and the id is of one name', async () => {
    const store = await openTempStore()
    const first = await store.artifacts.put('a', Buffer.from('once'), { uploadId: 'run-7' })
    const unread = (async function* () {
      yield Promise.reject(new Error('was read'))
    })() as AsyncIterable<Uint8Array>
    expect(await store.artifacts.put('a', unread, { uploadId: 'run-7' })).toEqual(first)
    expect(await codeOf(store.artifacts.put('b', Buffer.from('x'), { uploadId: 'run-7' }))).toBe('ALREADY_EXISTS')
    expect(await store.artifacts.versions('a')).toHaveLength(1)
  })

  test('and is put again under its uploadId with another content, has that content', async () => {
    const store = await openTempStore()
    await store.artifacts.put('a', cutOff(randomBytes(25 * MIB)), { uploadId: 'u' }).catch(() => undefined)
    const content = randomBytes(20 * MIB)
    await store.artifacts.put('a', content, { uploadId: 'u' })
    expect((await store.artifacts.get('a').bytes()).equals(content)).toBe(true)
  })

  test('by the end of the store is refused as such', async () => {
    const store = await openTempStore()
    const endless = (async function* () {
      for (;;) yield randomBytes(100_000)
    })()
    const put = failureOf(store.artifacts.put('a', endless))
    await new Promise((resolve) => setTimeout(resolve, 50))
    await store.close()
    expect((await put).code).toBe('STORE_CLOSED')
  })
})

describe('damage', async () => {
  async function withDamage(damage: (path: string) => void): Promise<{ store: Store; content: Buffer; path: string }> {
    const store = await openTempStore()
    const content = randomBytes(6 * MIB)
    await store.artifacts.put('model', content)
    const [path] = blobs(store.dir) as [string]
    damage(path)
    return { store, content, path }
  }
  const flip = (path: string) => {
    const bytes = readFileSync(path)
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 1
    writeFileSync(path, bytes)
  }

  test.each([
    ['missing', rmSync],
    ['damaged', flip],
    ['damaged', (path: string) => truncateSync(path, 1_000)],
    ['damaged', (path: string) => writeFileSync(path, '')],
  ] as const)('a %s chunk is told by name, and nothing behind it is given out', async (problem, damage) => {
    const { store, content, path } = await withDamage(damage)
    const file = path.slice(store.dir.length + 1)
    const given: Buffer[] = []
    const reading = (async () => {
      for await (const piece of store.artifacts.get('model')) given.push(piece)
    })()
    const error = await failureOf(reading)
    expect(error).toMatchObject({ code: 'ARTIFACT_DAMAGED', details: { name: 'model', version: 1, file, problem } })
    const read = Buffer.concat(given)
    expect(read.equals(content.subarray(0, read.length))).toBe(true)
    expect((await store.artifacts.verify()).damage).toEqual([{ name: 'model', version: 1, file, problem }])
    expect((await store.artifacts.verify('model')).damage).toHaveLength(1)
  })

  test.each([
    ['missing', rmSync] as const,
    ['damaged', flip] as const,
  ])('a %s chunk that was found is healed by a put of the same content', async (_, damage) => {
    const { store, content } = await withDamage(damage)
    expect((await store.artifacts.verify()).damage).toHaveLength(1)
    await store.artifacts.put('again', content)
    expect((await store.artifacts.verify()).damage).toEqual([])
    expect((await store.artifacts.get('model').bytes()).equals(content)).toBe(true)
    expect(await store.artifacts.collectGarbage()).toMatchObject({ files: 0 })
    expect(blobs(store.dir).length).toBe(await namedFiles(store))
  })

  test('a chunk in the place of another does not pass for it', async () => {
    const store = await openTempStore()
    await store.artifacts.put('a', Buffer.alloc(1_000, 1))
    const [first] = blobs(store.dir) as [string]
    const bytes = readFileSync(first)
    await store.artifacts.put('b', Buffer.alloc(1_000, 2))
    const second = blobs(store.dir).find((path) => path !== first) as string
    writeFileSync(second, bytes)
    expect(await codeOf(store.artifacts.get('b').bytes())).toBe('ARTIFACT_DAMAGED')
  })

  test('a file that is put back is whole again', async () => {
    const { store, path } = await withDamage(() => undefined)
    const bytes = readFileSync(path)
    rmSync(path)
    expect((await store.artifacts.verify()).damage).toHaveLength(1)
    writeFileSync(path, bytes)
    expect((await store.artifacts.verify()).damage).toEqual([])
  })
})

test('a version is damaged once by a file that is missing, however many chunks it had there', async () => {
  const store = await openTempStore()
  await store.artifacts.put('a', randomBytes(30 * MIB))
  const files = blobs(store.dir)
  for (const path of files) rmSync(path)
  const { damage, chunks } = await store.artifacts.verify()
  expect(chunks).toBeGreaterThan(files.length)
  expect(damage).toHaveLength(files.length)
  const findings = (await store.check()).filter(({ code }) => code === 'BLOB_MISSING')
  expect(findings).toHaveLength(files.length)
})

test('files are for their owner alone', async () => {
  const store = await openTempStore()
  await store.artifacts.put('a', randomBytes(2 * MIB))
  const [path] = blobs(store.dir) as [string]
  expect(statSync(path).mode & 0o777).toBe(0o600)
  expect(statSync(join(path, '..')).mode & 0o777).toBe(0o700)
  expect(statSync(join(store.dir, 'blobs')).mode & 0o777).toBe(0o700)
})

test('beside an owner everything can be read, and nothing written', async () => {
  const store = await openTempStore()
  const content = randomBytes(3 * MIB)
  await store.artifacts.put('a', content, { tags: ['t'] })
  const reader = await openStore({ dir: store.dir, password: PASSWORD, readOnly: true })
  try {
    expect((await reader.artifacts.get('a', 't').bytes()).equals(content)).toBe(true)
    expect((await reader.artifacts.verify()).damage).toEqual([])
    for (const write of [
      () => reader.artifacts.put('b', content),
      () => reader.artifacts.tag('a', 1, 'x'),
      () => reader.artifacts.recordMetrics('a', 1, {}),
      () => reader.artifacts.delete('a'),
      () => reader.artifacts.collectGarbage(),
    ]) {
      expect(await codeOf(write)).toBe('READ_ONLY')
    }
  } finally {
    await reader.close()
  }
})

test('artifacts outlive a data key', async () => {
  const store = await openTempStore()
  const content = randomBytes(3 * MIB)
  await store.artifacts.put('a', content)
  const before = blobs(store.dir).map((path) => readFileSync(path))
  await store.rotateDataKey()
  expect((await store.artifacts.get('a').bytes()).equals(content)).toBe(true)
  await store.close()
  const again = await openTempStore({ dir: store.dir })
  expect((await again.artifacts.get('a').bytes()).equals(content)).toBe(true)
  expect((await again.artifacts.put('a', content)).newBytes).toBe(0)
  expect(blobs(store.dir).map((path) => readFileSync(path))).toEqual(before)
})

test('SQL shows no key that opens a file', async () => {
  const store = await openTempStore()
  await store.artifacts.put('a', randomBytes(1_000))
  const [row] = await store.sql<{ key: Uint8Array }>('select key from _artifactChunks')
  // Nonce, wrapped key, tag.
  expect((row as { key: Uint8Array }).key).toHaveLength(60)
})
