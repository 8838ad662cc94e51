/**
 * Artifacts under SIGKILL, a dying worker and a full disk: what was acknowledged is there and whole, nothing is there
 * twice, and what is there for nobody goes.
 */
import { randomBytes } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { artifactContent } from './artifact-content.ts'
import { ChildProgram } from './child-program.ts'
import { reportFigures, seededRandom, shortOrLong } from './fault-run.ts'
import type { ArtifactKeeperArguments } from './programs/artifact-keeper.ts'
import { canMount, SmallDisk, WITHOUT_MOUNT } from './small-disk.ts'
import { temporaryDirectory } from './temporary-directory.ts'
import { openTestStore, openWithFailpoint, type TestStore } from './worker-faults.ts'

const MIB = 1024 * 1024
const LONG_TEST_MS = 3_600_000
const NAMES = ['a', 'b'] as const

/** How late each may strike. */
const PUT_POINTS = {
  'artifacts:chunk-written': 20,
  'artifacts:group-durable': 10,
  'artifacts:before-commit': 10,
  'artifacts:recorded': 10,
  'artifacts:finished': 8,
} as const
const DELETE_POINTS = { 'artifacts:version-deleted': 5, 'artifacts:shredded': 5 } as const
/** Of a collection of garbage, when it moves what is left of a file. */
const COLLECT_POINTS = { 'artifacts:rewritten': 3, 'artifacts:moved': 3 } as const
const POINTS = { ...PUT_POINTS, ...DELETE_POINTS, ...COLLECT_POINTS }

function blobs(dir: string): string[] {
  return readdirSync(join(dir, 'blobs'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
}

/** Every version has the content it was made of, every chunk is as it was stored, and after a collection no file is left over. */
async function expectWhole(store: TestStore): Promise<Map<string, number[]>> {
  const found = new Map<string, number[]>()
  for (const name of NAMES) {
    const versions = await store.artifacts.versions(name)
    for (const { version, metadata } of versions) {
      const content = await store.artifacts.get(name, version).bytes()
      expect(content.equals(artifactContent(name, Number(metadata.n))), `${name}@${version}`).toBe(true)
    }
    expect(new Set(versions.map(({ metadata }) => metadata.n)).size).toBe(versions.length)
    found.set(name, versions.map(({ version }) => version).reverse())
  }
  expect((await store.artifacts.verify()).damage).toEqual([])
  await store.artifacts.collectGarbage({ unfinishedOlderThanMs: 0 })
  expect((await store.status()).artifacts.unfinishedUploads).toBe(0)
  const [named] = await store.sql<{ n: number }>('select count(distinct file) n from _artifactChunks')
  expect(named?.n === 0 ? [] : blobs(store.dir)).toHaveLength(Number(named?.n))
  expect(await store.check()).toEqual([])
  return found
}

test(
  'whoever is killed in a put or a delete loses nothing that was acknowledged, and leaves nothing half there',
  async () => {
    const random = seededRandom('artifacts killed')
    const dir = temporaryDirectory()
    await (await openTestStore(dir)).close()
    let present = new Map<string, number[]>(NAMES.map((name) => [name, []]))
    const points = random.shuffle(Object.entries(POINTS))
    const kills = shortOrLong(5, 200)
    for (let round = 0; round < kills; round++) {
      const given: ArtifactKeeperArguments = { dir, round }
      const [name, maxHit] = points[round % points.length] as [string, number]
      const isRandom = round % 3 === 2
      const environment: Record<string, string> = isRandom
        ? {}
        : { HOLDFAST_FAILPOINT: `${name}=kill@${random.between(1, maxHit)}` }
      const program = ChildProgram.start('artifact-keeper', { arguments: given, environment })
      if (isRandom) {
        await program.line('open')
        await new Promise((resolve) => setTimeout(resolve, random.between(0, 500)))
        program.kill('SIGKILL')
      }
      expect((await program.ended).signal, program.errorText).toBe('SIGKILL')
      const store = await openTestStore(dir)
      const found = await expectWhole(store)
      for (const artifact of NAMES) {
        const said = program.lines.map((line) => line.split(' ')).filter(([, about]) => about === artifact)
        const of = (word: string) => said.filter(([first]) => first === word).map(([, , version]) => Number(version))
        const versions = found.get(artifact) as number[]
        const before = present.get(artifact) as number[]
        const expected = [...before, ...of('put')].filter((version) => !of('deleted').includes(version))
        const mayBeGone = of('deleting')
        expect(versions).toEqual(expect.arrayContaining(expected.filter((version) => !mayBeGone.includes(version))))
        // One put was under way at most, and its version is the next.
        const beyond = versions.filter((version) => !expected.includes(version))
        expect(beyond.length, `${artifact}: ${versions} after ${expected}`).toBeLessThanOrEqual(1)
        const last = Math.max(0, ...before, ...of('put'))
        for (const version of beyond) expect(version).toBe(last + 1)
      }
      present = found
      await store.close()
    }
    reportFigures(`artifacts: ${kills} kills, versions up to ${[...present.values()].flat().at(-1)}`)
  },
  LONG_TEST_MS,
)

test.each(Object.entries(PUT_POINTS))(
  'a put makes one version, with its content, when the worker dies at %s',
  async (name, maxHit) => {
    const random = seededRandom(`artifacts exit ${name}`)
    for (let round = 0; round < shortOrLong(1, 20); round++) {
      const hit = name === 'artifacts:finished' ? 1 : random.between(1, Math.min(maxHit, 3))
      const store = await openWithFailpoint(temporaryDirectory(), `${name}=exit@${hit}`)
      const content = Buffer.concat([0, 1, 2, 3, 4, 5, 6, 7].map((n) => artifactContent('long', n)))
      const pieces = (async function* () {
        for (let at = 0; at < content.length; at += 300_000) {
          yield content.subarray(at, at + 300_000)
          if (random.chance(0.2)) await new Promise((resolve) => setImmediate(resolve))
        }
      })()
      const { version } = await store.artifacts.put('long', pieces)
      expect(version).toBe(1)
      expect(await store.artifacts.versions('long')).toHaveLength(1)
      expect(store.stats().workerRestarts).toBe(1)
      expect((await store.artifacts.get('long').bytes()).equals(content)).toBe(true)
      await expectWhole(store)
      await store.close()
    }
  },
  LONG_TEST_MS,
)

test.each(Object.keys(DELETE_POINTS))(
  'a deletion is whole when the worker dies at %s, and a reader of another version goes on',
  async (name) => {
    const store = await openWithFailpoint(temporaryDirectory(), `${name}=exit@1`)
    for (const n of [0, 1]) await store.artifacts.put('a', artifactContent('a', n), { metadata: { n } })
    const reading = store.artifacts.get('a', 2).bytes()
    await store.artifacts.delete('a', 1)
    expect((await reading).equals(artifactContent('a', 1))).toBe(true)
    expect(store.stats().workerRestarts).toBe(1)
    expect((await expectWhole(store)).get('a')).toEqual([2])
    await store.close()
  },
  LONG_TEST_MS,
)

test.each(Object.keys(COLLECT_POINTS))(
  'a collection of garbage goes on when the worker dies at %s, and so does a reader of what it moves',
  async (name) => {
    const store = await openWithFailpoint(temporaryDirectory(), `${name}=exit@1`)
    const kept = randomBytes(3 * MIB)
    await store.artifacts.put('mixed', Buffer.concat([kept, randomBytes(7 * MIB)]))
    await store.artifacts.put('kept', kept)
    await store.artifacts.delete('mixed')
    const reading = store.artifacts.get('kept').bytes()
    await store.artifacts.collectGarbage()
    expect((await reading).equals(kept)).toBe(true)
    expect(store.stats().workerRestarts).toBe(1)
    await expectWhole(store)
    await store.close()
  },
  LONG_TEST_MS,
)

if (!canMount) console.log(`artifacts on a full disk: ${WITHOUT_MOUNT}`)

test.skipIf(!canMount)(
  'a put that fills the disk is refused and gives its room back; the store goes on',
  async () => {
    const disk = new SmallDisk(40 * MIB)
    const store = await openTestStore(join(disk.dir, 'store'))
    await store.artifacts.put('a', artifactContent('a', 0), { metadata: { n: 0 } })
    const large = (async function* () {
      for (let n = 0; n < 40; n++) yield artifactContent(`large ${n}`, n)
    })()
    await expect(store.artifacts.put('large', large)).rejects.toMatchObject({ code: 'DISK_FULL' })
    expect(disk.freeBytes).toBeGreaterThan(15 * MIB)
    await store.kv.set('after', 1)
    await store.artifacts.put('a', artifactContent('a', 1), { metadata: { n: 1 } })
    expect(await store.artifacts.versions('large')).toEqual([])
    // Less is left there than a check asks for.
    expect((await store.check()).map(({ code }) => code)).toEqual(['DISK_NEARLY_FULL'])
    expect((await store.artifacts.verify()).damage).toEqual([])
    await store.close()
  },
  LONG_TEST_MS,
)
