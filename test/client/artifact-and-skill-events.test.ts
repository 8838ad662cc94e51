/** What the trail says of artifacts and skills: durable with the change it tells of, and nothing of what was stored. */
import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { Store } from '../../src/index.ts'
import { openWithFailpoint } from '../faults/worker-faults.ts'
import { codeOf, openTempStore, tempDir } from './fixtures/temp-store.ts'

const MIB = 1024 * 1024

async function eventsOf(store: Pick<Store, 'audit'>, event: string) {
  const entries = await store.audit.list({ event })
  return entries.map(({ event, actor, data }) => ({ event, actor, data }))
}

describe('artifacts', () => {
  test('a deletion is recorded with its versions and with the keys that are gone', async () => {
    const store = await openTempStore()
    await store.artifacts.put('kept', randomBytes(1_000))
    for (let n = 0; n < 3; n++) await store.artifacts.put('model', randomBytes(3 * MIB))
    expect(await eventsOf(store, 'artifact.*')).toEqual([])
    const before = (await store.status()).artifacts
    await store.artifacts.delete('model', 2)
    await store.artifacts.delete('model')
    const events = await eventsOf(store, 'artifact.*')
    expect(events.filter(({ event }) => event === 'artifact.deleted')).toEqual([
      { event: 'artifact.deleted', actor: 'holdfast', data: { name: 'model', count: 1, versions: [2] } },
      { event: 'artifact.deleted', actor: 'holdfast', data: { name: 'model', count: 2, versions: [1, 3] } },
    ])
    const shredded = events.filter(({ event }) => event === 'artifact.shredded').map(({ data }) => data)
    expect(shredded.every(({ why }) => why === 'deleted')).toBe(true)
    const sum = (name: string) => shredded.reduce((total, data) => total + Number(data[name]), 0)
    expect({ chunks: sum('chunks') + 1, bytes: sum('bytes') + 1_000 }).toEqual({
      chunks: before.chunks,
      bytes: before.chunkBytes,
    })
    expect(await store.audit.verify()).toMatchObject({ ok: true })
  })

  test('chunks that another version has are not shredded, and not recorded as if', async () => {
    const store = await openTempStore()
    const content = randomBytes(2 * MIB)
    await store.artifacts.put('a', content)
    await store.artifacts.put('b', content)
    await store.artifacts.delete('a')
    expect(await eventsOf(store, 'artifact.shredded')).toEqual([])
    expect(await eventsOf(store, 'artifact.deleted')).toHaveLength(1)
  })

  test('a deletion that is refused leaves no entry', async () => {
    const store = await openTempStore()
    expect(await codeOf(store.artifacts.delete('nobody'))).toBe('NOT_FOUND')
    expect(await eventsOf(store, 'artifact.*')).toEqual([])
  })

  test('a collection of garbage is recorded when it removed something', async () => {
    const store = await openTempStore()
    const cutOff = (async function* () {
      yield randomBytes(12 * MIB)
      throw new Error('cut off')
    })()
    await store.artifacts.put('cut', cutOff).catch(() => undefined)
    const { uploads, chunks, files, freedBytes } = await store.artifacts.collectGarbage({ unfinishedOlderThanMs: 0 })
    await store.artifacts.collectGarbage({ unfinishedOlderThanMs: 0 })
    expect(await eventsOf(store, 'artifact.collected')).toEqual([
      { event: 'artifact.collected', actor: 'holdfast', data: { uploads, chunks, files, freedBytes } },
    ])
    const [shredded] = await eventsOf(store, 'artifact.shredded')
    expect(shredded?.data).toMatchObject({ why: 'unfinished' })
  })

  test.each([
    'artifacts:version-deleted',
    'artifacts:shredded',
  ])('one deletion is one entry when the worker dies at %s', async (name) => {
    const store = await openWithFailpoint(tempDir(), `${name}=exit@1`)
    await store.artifacts.put('a', randomBytes(MIB))
    await store.artifacts.delete('a')
    expect(store.stats().workerRestarts).toBe(1)
    expect(await eventsOf(store, 'artifact.deleted')).toHaveLength(1)
    await store.artifacts.collectGarbage({ unfinishedOlderThanMs: 0 })
    const shredded = await eventsOf(store, 'artifact.shredded')
    expect(shredded.reduce((sum, { data }) => sum + Number(data.bytes), 0)).toBe(MIB)
    await store.close()
  })
})

describe('skills', () => {
  test('a new version is recorded, the same again is not', async () => {
    const store = await openTempStore()
    const skill = { name: 'fade', kind: 'code', description: 'needle', content: 'needle' }
    await store.skills.save(skill)
    await store.skills.save(skill)
    await store.skills.saveMany([
      { ...skill, content: 'other' },
      { ...skill, name: 'grid' },
    ])
    expect((await eventsOf(store, 'skill.saved')).map(({ data }) => data)).toEqual([
      { skills: [{ name: 'fade', version: 1 }] },
      {
        skills: [
          { name: 'fade', version: 2 },
          { name: 'grid', version: 1 },
        ],
      },
    ])
    expect(JSON.stringify(await store.audit.list())).not.toContain('needle')
  })

  test('many that are saved together are all recorded', async () => {
    const store = await openTempStore()
    const names = Array.from({ length: 250 }, (_, n) => `${'long '.repeat(20)}${n}`)
    await store.skills.saveMany(names.map((name) => ({ name, kind: 'text', description: '', content: 'x' })))
    const events = await eventsOf(store, 'skill.saved')
    expect(events.length).toBeGreaterThan(1)
    const recorded = events.flatMap(({ data }) => data.skills as { readonly name: string }[])
    expect(recorded.map(({ name }) => name)).toEqual(names)
  })

  test('a deletion is recorded once, and one that is refused is not', async () => {
    const store = await openTempStore()
    await store.skills.save({ name: 'base', kind: 'code', description: '', content: 'x' })
    await store.skills.save({
      name: 'user',
      kind: 'code',
      description: '',
      content: 'x',
      dependencies: ['base'],
    })
    expect(await codeOf(store.skills.delete('base'))).toBe('CONSTRAINT')
    expect(await store.skills.delete('user')).toBe(true)
    expect(await store.skills.delete('user')).toBe(false)
    expect((await eventsOf(store, 'skill.deleted')).map(({ data }) => data)).toEqual([{ name: 'user' }])
  })

  test('a version and its entry are both there or neither when the worker dies before the commit', async () => {
    const store = await openWithFailpoint(tempDir(), 'skills:before-commit=exit@1')
    await store.skills.save({ name: 'fade', kind: 'code', description: '', content: 'x' })
    expect(store.stats().workerRestarts).toBe(1)
    expect(await eventsOf(store, 'skill.saved')).toHaveLength(1)
    expect(await store.skills.history('fade')).toHaveLength(1)
    await store.close()
  })
})
