/**
 * Skills under a dying worker, a killed process and a full disk: what was acknowledged is there, nothing is there twice,
 * and the search index holds what the tables do.
 */
import { expect, test } from 'vitest'
import { ChildProgram } from './child-program.ts'
import { reportFigures, seededRandom, shortOrLong } from './fault-run.ts'
import type { SkillKeeperArguments } from './programs/skill-keeper.ts'
import { canMount, SmallDisk } from './small-disk.ts'
import { temporaryDirectory } from './temporary-directory.ts'
import { openTestStore, openWithFailpoint, type TestStore } from './worker-faults.ts'

const LONG_TEST_MS = 1_800_000
const POINTS = ['skills:before-commit', 'skills:committed'] as const

/** Every version is numbered without a gap, the index finds each current one by its own word, and the file is whole. */
async function expectWhole(store: TestStore): Promise<Map<string, number>> {
  const versions = new Map<string, number>()
  for (const { name, version } of await store.skills.list()) {
    const history = await store.skills.history(name)
    expect(history.map((each) => each.version)).toEqual(Array.from({ length: version }, (_, n) => version - n))
    const current = await store.skills.get(name)
    expect((await store.skills.search(`"${current?.content}"`)).map((each) => each.name)).toEqual([name])
    versions.set(name, version)
  }
  await store.sql(`select count(*) from "_skillSearch"`)
  expect(await store.check()).toEqual([])
  return versions
}

test.each(POINTS)(
  'a save, a record and a deletion happen once when the worker dies at %s',
  async (name) => {
    const random = seededRandom(`skills exit ${name}`)
    for (let round = 0; round < shortOrLong(2, 20); round++) {
      const store = await openWithFailpoint(temporaryDirectory(), `${name}=exit@${random.between(1, 9)}`)
      const { skills } = store
      const saved: Promise<unknown>[] = []
      for (let n = 0; n < 5; n++) {
        saved.push(skills.save({ name: 's', content: `v ${n}` }))
        saved.push(skills.recordPerformance('s', { n }))
        saved.push(skills.save({ name: `d-${n}`, content: `deleted ${n}` }), skills.delete(`d-${n}`))
      }
      const results = await Promise.all(saved)
      expect(results.filter((_, index) => index % 4 === 0)).toEqual(
        [1, 2, 3, 4, 5].map((version) => ({ name: 's', version, isNew: true })),
      )
      expect(results.filter((_, index) => index % 4 === 3)).toEqual(Array(5).fill(true))
      expect(store.stats().workerRestarts).toBe(1)
      expect(await skills.performance('s')).toMatchObject({ records: 5, metrics: { n: { count: 5, last: 4 } } })
      expect(await expectWhole(store)).toEqual(new Map([['s', 5]]))
      await store.close()
    }
  },
  LONG_TEST_MS,
)

test(
  'whoever is killed while saving loses nothing that was acknowledged, and leaves an index that is whole',
  async () => {
    const random = seededRandom('skills killed')
    const dir = temporaryDirectory()
    await (await openTestStore(dir)).close()
    const acknowledged = new Map<string, number>()
    const kills = shortOrLong(4, 120)
    for (let round = 0; round < kills; round++) {
      const given: SkillKeeperArguments = { dir, round }
      const point = round % 2 === 0 ? random.pick(POINTS) : undefined
      const environment: Record<string, string> =
        point === undefined ? {} : { HOLDFAST_FAILPOINT: `${point}=kill@${random.between(1, 40)}` }
      const program = ChildProgram.start('skill-keeper', { arguments: given, environment })
      if (point === undefined) {
        await program.line('open')
        await new Promise((resolve) => setTimeout(resolve, random.between(0, 300)))
        program.kill('SIGKILL')
      }
      expect((await program.ended).signal, program.errorText).toBe('SIGKILL')
      for (const line of program.lines) {
        const [word, name = '', version] = line.split(' ')
        if (word === 'durable') acknowledged.set(name, Number(version))
      }
      const store = await openTestStore(dir)
      const found = await expectWhole(store)
      for (const [name, version] of acknowledged) {
        expect(found.get(name), name).toBeGreaterThanOrEqual(version)
        // One save of each skill was under way at most.
        expect(found.get(name), name).toBeLessThanOrEqual(version + 1)
      }
      for (const [name, version] of found) acknowledged.set(name, version)
      await store.close()
    }
    reportFigures(`skills: ${kills} kills, ${[...acknowledged.values()].reduce((sum, n) => sum + n, 0)} versions`)
    expect(acknowledged.size).toBeGreaterThan(0)
  },
  LONG_TEST_MS,
)

test.skipIf(!canMount)(
  'on a full disk a save is refused whole, and goes through when there is room',
  async () => {
    const disk = new SmallDisk(12 * 1_048_576)
    const store = await openTestStore(`${disk.dir}/store`)
    await store.skills.save({ name: 'before', content: 'before all' })
    disk.fill()
    const codes = new Set<string>()
    for (let n = 0; n < 60; n++) {
      const content = `full ${n} ${'text '.repeat(20_000)}`
      await store.skills.save({ name: `f-${n}`, content }).catch((error) => codes.add(error.code))
    }
    expect([...codes]).toEqual(['DISK_FULL'])
    disk.free()
    await store.skills.save({ name: 'after', content: 'after all' })
    const names = (await store.skills.list()).map(({ name }) => name)
    expect(names).toEqual(expect.arrayContaining(['before', 'after']))
    for (const name of names) expect(await store.skills.get(name)).toMatchObject({ name, version: 1 })
    expect((await store.skills.search('full')).length).toBe(Math.min(20, names.length - 2))
    await store.close()
  },
  LONG_TEST_MS,
)
