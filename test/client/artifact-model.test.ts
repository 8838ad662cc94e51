/** Any sequence of puts with shared content, deletes, tags, collections and re-openings, against a model of it. */
import { createHash, randomBytes } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Store } from '../../src/index.ts'
import { seededRandom, shortOrLong } from '../faults/fault-run.ts'
import { openTempStore, tempDir } from './fixtures/temp-store.ts'

const BLOCK_BYTES = 1_300_000
const NAMES = ['model', 'features', 'a/b']
const TAGS = ['candidate', 'production']

interface Model {
  /** By name and version: a hash of the content. */
  readonly contents: Map<string, Map<number, string>>
  readonly tags: Map<string, number>
  readonly lastVersion: Map<string, number>
}

async function expectAlike(store: Store, { contents, tags }: Model): Promise<void> {
  for (const name of NAMES) {
    const expected = contents.get(name) ?? new Map()
    const versions = await store.artifacts.versions(name)
    expect(versions.map(({ version }) => version)).toEqual([...expected.keys()].sort((a, b) => b - a))
    for (const info of versions) {
      const content = await store.artifacts.get(name, info.version).bytes()
      expect(createHash('sha256').update(content).digest('hex')).toBe(expected.get(info.version))
      const tagged = TAGS.filter((tag) => tags.get(`${name} ${tag}`) === info.version)
      expect(info.tags).toEqual(tagged)
    }
  }
  await store.artifacts.collectGarbage({ unfinishedOlderThanMs: 0 })
  const files = readdirSync(join(store.dir, 'blobs'), { recursive: true, withFileTypes: true })
  const [named] = await store.sql<{ n: number }>('select count(distinct file) n from _artifactChunks')
  expect(files.filter((entry) => entry.isFile())).toHaveLength(Number(named?.n))
  expect((await store.artifacts.verify()).damage).toEqual([])
}

test('what is there is always what the model says, and no file more', async () => {
  const random = seededRandom('artifact model')
  const blocks = Array.from({ length: 5 }, () => randomBytes(BLOCK_BYTES))
  const dir = join(tempDir(), 'state')
  let store = await openTempStore({ dir })
  const model: Model = { contents: new Map(), tags: new Map(), lastVersion: new Map() }
  for (let step = 0; step < shortOrLong(60, 2_000); step++) {
    const name = random.pick(NAMES)
    const versions = model.contents.get(name) ?? new Map<number, string>()
    const choice = random.below(20)
    if (choice < 9) {
      const pieces = Array.from({ length: random.between(0, 3) }, () => random.pick(blocks))
      const content = Buffer.concat([...pieces, Buffer.from(random.text(random.below(5)))])
      const { version } = await store.artifacts.put(name, content)
      expect(version).toBe((model.lastVersion.get(name) ?? 0) + 1)
      model.lastVersion.set(name, version)
      versions.set(version, createHash('sha256').update(content).digest('hex'))
      model.contents.set(name, versions)
    } else if (choice < 14 && versions.size > 0) {
      const version = random.pick([...versions.keys()])
      await store.artifacts.delete(name, version)
      versions.delete(version)
      for (const [tag, at] of model.tags) if (tag.startsWith(`${name} `) && at === version) model.tags.delete(tag)
    } else if (choice < 17 && versions.size > 0) {
      const [version, tag] = [random.pick([...versions.keys()]), random.pick(TAGS)]
      await store.artifacts.tag(name, version, tag)
      model.tags.set(`${name} ${tag}`, version)
    } else if (choice === 17) {
      const cut = (async function* () {
        yield random.pick(blocks)
        throw new Error('cut off')
      })()
      await expect(store.artifacts.put(name, cut)).rejects.toThrow('cut off')
    } else if (choice === 18) await store.artifacts.collectGarbage()
    else if (random.chance(0.3)) {
      await store.close()
      store = await openTempStore({ dir })
    }
    if (step % 20 === 19) await expectAlike(store, model)
  }
  await expectAlike(store, model)
})
