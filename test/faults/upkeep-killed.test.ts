/**
 * SIGKILL in the midst of upkeep (vacuums, compaction, repair, key slots, checks) beside writes, and of restores from an archive: the next
 * owner finds everything that was acknowledged, and nothing to complain of.
 */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { ChildProgram } from './child-program.ts'
import { restoreArchive } from './compiled-store.ts'
import { reportFigures, seed, seededRandom, shortOrLong } from './fault-run.ts'
import { Secrets } from './needles.ts'
import type { UpkeeperArguments } from './programs/upkeeper.ts'
import { KDF, PASSWORD } from './store-settings.ts'
import { temporaryDirectory } from './temporary-directory.ts'
import { openTestStore } from './worker-faults.ts'

vi.setConfig({ testTimeout: 1_800_000 })

const POINTS = {
  'key:before-write': 2,
  'key:written': 2,
  'checkpoint:before': 3,
  'checkpoint:after': 3,
  'series:compact-blocks-written': 2,
  'series:compact-before-commit': 2,
  'commit:after-commit': 200,
} as const

function lastOf({ lines }: ChildProgram, word: string, otherwise: number): number {
  const line = lines.findLast((each) => each.startsWith(`${word} `))
  return line === undefined ? otherwise : Number(line.split(' ')[1])
}

test('whoever is killed while a store is kept up loses nothing that was acknowledged', async () => {
  const random = seededRandom('upkeep killed')
  const dir = join(temporaryDirectory(), 'store')
  await (await openTestStore(dir)).close()
  const kills = shortOrLong(5, 150)
  const interrupted: Record<string, number> = {}
  let next = 0
  for (let round = 0; round < kills; round++) {
    const [point, maxHit] = random.pick(Object.entries(POINTS))
    const isRandom = round % 2 === 0
    const given: UpkeeperArguments = { dir, seed, from: next }
    const program = ChildProgram.start('upkeeper', {
      arguments: given,
      environment: isRandom ? {} : { HOLDFAST_FAILPOINT: `${point}=kill@${random.between(1, maxHit)}` },
      lifetimeMs: 120_000,
    })
    if (isRandom) {
      await program.line('begins')
      setTimeout(() => program.kill('SIGKILL'), random.between(0, 700))
    }
    expect((await program.ended).signal, program.errorText).toBe('SIGKILL')
    const begun = program.lines.findLast((line) => line.startsWith('begins '))?.split(' ')[1]
    if (begun !== undefined && !program.lines.includes(`done ${begun}`))
      interrupted[begun] = (interrupted[begun] ?? 0) + 1
    const store = await openTestStore(dir)
    const found = Number(store.kv.value('n') ?? -1)
    expect(found).toBeGreaterThanOrEqual(lastOf(program, 'durable', next - 1))
    expect(found).toBeLessThanOrEqual(lastOf(program, 'issued', next - 1))
    const bars = await store.bars.range('X', '1m')
    expect(bars.close).toEqual(bars.ts.map((ts) => ts / 60_000))
    expect(bars.ts.at(-1) ?? -1).toBeGreaterThanOrEqual(60_000 * lastOf(program, 'bar', -1))
    expect(await store.check()).toEqual([])
    await store.close()
    next = found + 1
  }
  expect(new Secrets({ value: 'x'.repeat(100), password: PASSWORD }).findBelow(dir)).toEqual([])
  expect(next).toBeGreaterThan(0)
  reportFigures(
    `upkeep: ${kills} kills, ${next} writes, first of their kind when killed: ${JSON.stringify(interrupted)}`,
  )
})

test('a restore from an archive that is killed leaves nothing at its directory, or the whole store', async () => {
  const random = seededRandom('killed restores of moments')
  const root = temporaryDirectory()
  const archive = join(root, 'archive')
  const source = await openTestStore(join(root, 'source'), { archive: { dir: archive, intervalMs: 20 }, kdf: KDF })
  for (let n = 0; n < 200; n++) void source.kv.set(`k-${n}`, 'x'.repeat(5_000))
  await source.flush()
  await vi.waitFor(
    async () => expect((await source.status()).archive).toMatchObject({ generation: expect.any(String), lagBytes: 0 }),
    { timeout: 20_000 },
  )
  await source.close()
  const into = join(root, 'restored')
  const asides = () => readdirSync(root).filter((name) => name.includes('.replaced-'))
  const expectWhole = async (dir: string) => {
    const store = await openTestStore(dir, { readOnly: true })
    expect(store.kv.size).toBe(200)
    expect((await store.check()).filter(({ severity }) => severity === 'error')).toEqual([])
    await store.close()
  }
  const points = ['restore:moved-aside', 'restore:renamed'] as const
  const found = { nothing: 0, 'the whole store': 0 }
  const kills = shortOrLong(4, 100)
  for (let round = 0; round < kills; round++) {
    const given: UpkeeperArguments = { dir: '', seed, from: 0, restores: { archive, into } }
    const isRandom = round % 2 === 0
    const program = ChildProgram.start('upkeeper', {
      arguments: given,
      environment: isRandom ? {} : { HOLDFAST_FAILPOINT: `${random.pick(points)}=kill@${random.between(1, 2)}` },
    })
    if (isRandom) {
      await program.line('open')
      setTimeout(() => program.kill('SIGKILL'), random.between(0, 500))
    }
    expect((await program.ended).signal, program.errorText).toBe('SIGKILL')
    if (existsSync(into)) {
      await expectWhole(into)
      found['the whole store'] += 1
    } else found.nothing += 1
  }
  const aside = random.shuffle(asides())[0]
  if (aside !== undefined) await expectWhole(join(root, aside))
  await restoreArchive({ from: archive, dir: into, password: PASSWORD, force: true })
  await expectWhole(into)
  expect(readdirSync(root).filter((name) => name.includes('.restoring-'))).toEqual([])
  expect(new Secrets({ value: 'x'.repeat(100), password: PASSWORD }).findBelow(root)).toEqual([])
  reportFigures(`restores of moments: ${kills} kills; found ${JSON.stringify(found)}`)
})
