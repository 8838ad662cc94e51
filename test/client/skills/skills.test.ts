/** Skills through the public API: versions, dependencies, performance, deletion. */
import { describe, expect, test } from 'vitest'
import type { Store } from '../../../src/index.ts'
import { codeOf, failureOf, openSharedStore, openTempStore } from '../fixtures/temp-store.ts'

const store: Store = await openSharedStore()
const { skills } = store

const skill = (name: string, more: object = {}) => ({ name, content: `how to ${name}`, ...more })

describe('versions', () => {
  test('each save of something new makes one; they never change', async () => {
    expect(await skills.save(skill('v', { metadata: { a: [1, { b: null }] }, note: 'first' }))).toEqual({
      name: 'v',
      version: 1,
      isNew: true,
    })
    expect(await skills.save(skill('v', { content: 'better', kind: 'code', tags: ['x', 'a'] }))).toMatchObject({
      version: 2,
      isNew: true,
    })
    expect(await skills.get('v')).toMatchObject({
      version: 2,
      isCurrent: true,
      content: 'better',
      kind: 'code',
      tags: ['a', 'x'],
    })
    expect(await skills.get('v', 1)).toMatchObject({
      version: 1,
      isCurrent: false,
      content: 'how to v',
      kind: 'text',
      metadata: { a: [1, { b: null }] },
      note: 'first',
    })
    expect((await skills.history('v')).map(({ version, isCurrent }) => [version, isCurrent])).toEqual([
      [2, true],
      [1, false],
    ])
    expect(await skills.get('v', 3)).toBeUndefined()
    expect(await skills.get('nobody')).toBeUndefined()
  })

  test('the same again makes none, however its members are ordered', async () => {
    const first = skill('same', { metadata: { a: 1, b: 2 }, tags: ['t', 'u'] })
    await skills.save(first)
    const again = { tags: ['u', 't', 'T'], metadata: { b: 2, a: 1 }, content: first.content, name: 'same' }
    expect(await skills.save({ ...again, tags: ['u', 't'] })).toEqual({ name: 'same', version: 1, isNew: false })
    expect(await skills.save({ ...again, description: 'told' })).toMatchObject({ version: 2 })
    // Going back to what was before is something new.
    expect(await skills.save({ ...again, tags: ['u', 't'] })).toMatchObject({ version: 3, isNew: true })
  })

  test('what is read can not be changed by accident', async () => {
    await skills.save(skill('frozen', { metadata: { deep: { n: 1 } } }))
    const found = (await skills.get('frozen')) as unknown as { metadata: { deep: { n: number } } }
    expect(() => {
      found.metadata.deep.n = 2
    }).toThrow(TypeError)
  })

  test('content comes back as it was, whatever is in it', async () => {
    const content = '\u{1F600} "quotes" \'and\' \\ back\r\n\ttabs \u{1} \u{2} é e\u0301 \uffff'
    await skills.save({ name: 'ключ/ðŸ', content })
    expect((await skills.get('ключ/ðŸ'))?.content).toBe(content)
    expect((await skills.history('ключ/ðŸ'))[0]?.contentBytes).toBe(Buffer.byteLength(content))
  })

  test.each([
    ['no name', { content: 'x' }],
    ['no content', { name: 'x' }],
    ['a name with a line break', skill('a\nb')],
    ['a name that ends in white space', skill('a ')],
    ['a name that ends like a version', skill('a@1')],
    ['content that is no text', { name: 'x', content: 1 }],
    ['content with NUL', { name: 'x', content: 'a\0b' }],
    ['content that is not well-formed', { name: 'x', content: '\ud800' }],
    ['content that is too large', { name: 'x', content: 'x'.repeat(4 * 1024 * 1024 + 1) }],
    ['metadata that is no object', skill('x', { metadata: [1] })],
    ['metadata with a date', skill('x', { metadata: { at: new Date() } })],
    ['metadata with NaN', skill('x', { metadata: { at: Number.NaN } })],
    ['a field nobody knows', skill('x', { author: 'a' })],
    ['a dependency twice', skill('x', { dependencies: ['a', { name: 'a', version: 1 }] })],
    ['version 0', skill('x', { dependencies: [{ name: 'a', version: 0 }] })],
    ['nothing', undefined],
  ])('refuses %s before anything is written', async (_, input) => {
    const before = await skills.list()
    const error = await failureOf(skills.save(input as never))
    expect(error.code).toBe('INVALID_DOCUMENT')
    expect(JSON.stringify(error.details)).not.toContain('how to')
    expect(await skills.list()).toEqual(before)
  })
})

describe('dependencies', () => {
  test('come in the order to load them, each once, over any number of steps', async () => {
    await skills.save(skill('d-base'))
    await skills.save(skill('d-left', { dependencies: ['d-base'] }))
    await skills.save(skill('d-right', { dependencies: ['d-base'] }))
    await skills.save(skill('d-top', { dependencies: ['d-right', 'd-left'] }))
    expect(await skills.dependencies('d-top')).toEqual([
      { name: 'd-base', version: 1 },
      { name: 'd-right', version: 1 },
      { name: 'd-left', version: 1 },
    ])
    expect(await skills.dependencies('d-base')).toEqual([])
    expect(await skills.dependents('d-base')).toEqual([
      { name: 'd-left', version: 1, isCurrent: true, pinned: null },
      { name: 'd-right', version: 1, isCurrent: true, pinned: null },
    ])
    expect(await codeOf(skills.dependencies('nobody'))).toBe('NOT_FOUND')
    expect(await codeOf(skills.dependencies('d-top', 2))).toBe('NOT_FOUND')
  })

  test('follow the current version, or stay with the one they are pinned to', async () => {
    await skills.save(skill('p-base'))
    await skills.save(skill('p-user', { dependencies: [{ name: 'p-base', version: 1 }] }))
    await skills.save(skill('p-follower', { dependencies: ['p-base'] }))
    await skills.save(skill('p-base', { content: 'new' }))
    expect(await skills.dependencies('p-user')).toEqual([{ name: 'p-base', version: 1 }])
    expect(await skills.dependencies('p-follower')).toEqual([{ name: 'p-base', version: 2 }])
    expect((await skills.get('p-user'))?.dependencies).toEqual([{ name: 'p-base', version: 1 }])
    expect((await skills.get('p-follower'))?.dependencies).toEqual([{ name: 'p-base' }])
  })

  test('have to exist, in that version', async () => {
    const absent = await failureOf(skills.save(skill('m', { dependencies: ['m-none'] })))
    expect(absent).toMatchObject({ code: 'CONSTRAINT', details: { dependency: 'm-none' } })
    await skills.save(skill('m-base'))
    const wrong = await failureOf(skills.save(skill('m', { dependencies: [{ name: 'm-base', version: 2 }] })))
    expect(wrong).toMatchObject({ code: 'CONSTRAINT', details: { dependency: 'm-base', version: 2 } })
    expect(await skills.get('m')).toBeUndefined()
  })

  test('never lead back: the way round is told, and nothing was saved', async () => {
    await skills.save(skill('c-a'))
    await skills.save(skill('c-b', { dependencies: ['c-a'] }))
    await skills.save(skill('c-c', { dependencies: ['c-b'] }))
    const error = await failureOf(skills.save(skill('c-a', { dependencies: ['c-c'] })))
    expect(error).toMatchObject({ code: 'CONSTRAINT', details: { path: ['c-a', 'c-c', 'c-b', 'c-a'] } })
    expect((await skills.history('c-a')).length).toBe(1)
    expect(await codeOf(skills.save(skill('c-self', { dependencies: ['c-self'] })))).toBe('CONSTRAINT')
    expect(await skills.get('c-self')).toBeUndefined()
    // A version of long ago counts, too.
    const pinned = [{ name: 'c-b', version: 1 }]
    expect(await codeOf(skills.save(skill('c-a', { dependencies: pinned })))).toBe('CONSTRAINT')
  })

  test('of skills that are saved together may point any way but round', async () => {
    const saved = await skills.saveMany([skill('t-top', { dependencies: ['t-base'] }), skill('t-base')])
    expect(saved.map(({ version }) => version)).toEqual([1, 1])
    expect(await skills.dependencies('t-top')).toEqual([{ name: 't-base', version: 1 }])
    const round = [skill('t-x', { dependencies: ['t-y'] }), skill('t-y', { dependencies: ['t-x'] })]
    expect(await codeOf(skills.saveMany(round))).toBe('CONSTRAINT')
    expect(await skills.get('t-x')).toBeUndefined()
    expect(await codeOf(skills.saveMany([skill('t-z'), skill('t-z')]))).toBe('INVALID_ARGUMENT')
  })
})

describe('performance', () => {
  test('is kept for each version, and summed up', async () => {
    await skills.save(skill('perf'))
    await skills.recordPerformance('perf', { sharpe: 1, winRate: 0.5, at: 1_000 })
    await skills.save(skill('perf', { content: 'better' }))
    await skills.recordPerformance('perf', { sharpe: 2, at: 3_000 })
    await skills.recordPerformance('perf', 1, { sharpe: -1, at: 2_000 })
    expect(await skills.performance('perf')).toEqual({
      records: 3,
      firstAt: 1_000,
      lastAt: 3_000,
      metrics: {
        sharpe: { count: 3, mean: 2 / 3, min: -1, max: 2, last: 2 },
        winRate: { count: 1, mean: 0.5, min: 0.5, max: 0.5, last: 0.5 },
      },
    })
    expect((await skills.performance('perf', 1)).metrics.sharpe).toMatchObject({ count: 2, last: -1 })
    expect(await skills.performanceHistory('perf', { from: 1_500 })).toEqual([
      { version: 2, at: 3_000, metrics: { sharpe: 2 } },
      { version: 1, at: 2_000, metrics: { sharpe: -1 } },
    ])
    expect(await skills.performanceHistory('perf', { version: 1, limit: 1, to: 2_000 })).toEqual([
      { version: 1, at: 1_000, metrics: { sharpe: 1, winRate: 0.5 } },
    ])
    const [listed] = (await skills.list({ minSharpe: 2 })).filter(({ name }) => name === 'perf')
    expect(listed).toMatchObject({ sharpe: 2, version: 2 })
  })

  test('of nothing is nothing', async () => {
    await skills.save(skill('perf-none'))
    expect(await skills.performance('perf-none')).toEqual({ records: 0, firstAt: null, lastAt: null, metrics: {} })
    expect(await codeOf(skills.recordPerformance('nobody', { sharpe: 1 }))).toBe('NOT_FOUND')
    expect(await codeOf(skills.recordPerformance('perf-none', 2, { sharpe: 1 }))).toBe('NOT_FOUND')
  })

  test.each([
    ['no metric', { at: 1 }],
    ['NaN', { sharpe: Number.NaN }],
    ['infinity', { sharpe: Number.POSITIVE_INFINITY }],
    ['a text', { sharpe: '1' }],
    ['a time that is none', { sharpe: 1, at: 1.5 }],
    ['nothing', undefined],
  ])('refuses %s', async (_, performance) => {
    await skills.save(skill('perf-bad'))
    expect(await codeOf(skills.recordPerformance('perf-bad', performance as never))).toMatch(/^INVALID_/)
    expect((await skills.performance('perf-bad')).records).toBe(0)
  })
})

describe('delete', () => {
  test('takes everything but the numbers that were given', async () => {
    await skills.save(skill('gone', { tags: ['gone-tag'] }))
    await skills.save(skill('gone', { content: 'second', tags: ['gone-tag'] }))
    await skills.recordPerformance('gone', { sharpe: 9 })
    expect(await skills.delete('gone')).toBe(true)
    expect(await skills.delete('gone')).toBe(false)
    expect(await skills.delete('never-there')).toBe(false)
    expect(await skills.get('gone')).toBeUndefined()
    expect(await skills.get('gone', 1)).toBeUndefined()
    expect(await skills.history('gone')).toEqual([])
    expect(await skills.search('', { tags: ['gone-tag'] })).toEqual([])
    expect(await skills.search('gone')).toEqual([])
    expect(await codeOf(skills.recordPerformance('gone', { sharpe: 1 }))).toBe('NOT_FOUND')
    expect(await skills.save(skill('gone'))).toEqual({ name: 'gone', version: 3, isNew: true })
    expect(await skills.performance('gone')).toMatchObject({ records: 0 })
    expect((await skills.list()).find(({ name }) => name === 'gone')?.sharpe).toBeNull()
  })

  test('is refused while others depend on it, in whatever version', async () => {
    await skills.save(skill('n-base'))
    await skills.save(skill('n-user', { dependencies: ['n-base'] }))
    await skills.save(skill('n-user', { dependencies: [] }))
    expect(await failureOf(skills.delete('n-base'))).toMatchObject({
      code: 'CONSTRAINT',
      details: { name: 'n-base', dependents: ['n-user'] },
    })
    await skills.delete('n-user')
    expect(await skills.delete('n-base')).toBe(true)
    expect(await codeOf(skills.save(skill('n-late', { dependencies: ['n-base'] })))).toBe('CONSTRAINT')
  })
})

describe('the store', () => {
  test('shows what was saved to whoever reads, also without waiting', async () => {
    const own = await openTempStore()
    const saved = own.skills.save(skill('soon'))
    expect((await own.skills.get('soon'))?.version).toBe(1)
    await saved
    for (let n = 0; n < 20; n++) void own.skills.save(skill('soon', { content: `${n}` }))
    expect(own.stats().skills.depth).toBe(20)
    await own.flush()
    expect(own.stats().skills.depth).toBe(0)
    expect((await own.skills.get('soon'))?.content).toBe('19')
    await own.close()
    expect(await codeOf(own.skills.get('soon'))).toBe('STORE_CLOSED')
    expect(await codeOf(own.skills.save(skill('late')))).toBe('STORE_CLOSED')
  })

  test('keeps them over a close, lets readers read, and takes nothing from them', async () => {
    const own = await openTempStore()
    await own.skills.save(skill('kept', { tags: ['t'] }))
    void own.skills.save(skill('kept', { content: 'last' }))
    await own.close()
    const reader = await openTempStore({ dir: own.dir, readOnly: true })
    expect(await reader.skills.get('kept')).toMatchObject({ version: 2, content: 'last' })
    expect(await reader.skills.search('kept')).toHaveLength(1)
    expect(await codeOf(reader.skills.save(skill('kept')))).toBe('READ_ONLY')
    await reader.close()
  })

  test('lists by name, in pages', async () => {
    const own = await openTempStore()
    const names = Array.from({ length: 7 }, (_, n) => `s-${n}`)
    await own.skills.saveMany(names.map((name, n) => skill(name, { kind: n % 2 === 0 ? 'code' : 'text' })))
    const first = await own.skills.list({ limit: 3 })
    const rest = await own.skills.list({ after: first.at(-1)?.name })
    expect([...first, ...rest].map(({ name }) => name)).toEqual(names)
    expect((await own.skills.list({ kind: 'text' })).length).toBe(3)
  })
})
