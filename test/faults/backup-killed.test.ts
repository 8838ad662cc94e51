/**
 * Backups and restores that are killed, at named failpoints and at random moments. Whatever happens, every backup that
 * is listed verifies and restores; a killed backup leaves nothing that the next one doesn't clear; a killed restore
 * leaves either nothing at its directory or the whole store, and what was there before is there still, or aside.
 */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ChildProgram } from './child-program.ts'
import { listBackups, openStore, restoreStore, verifyBackup } from './compiled-store.ts'
import { reportFigures, seededRandom, shortOrLong } from './fault-run.ts'
import type { Random } from './random.ts'
import { KDF, PASSWORD } from './store-settings.ts'
import { temporaryDirectory } from './temporary-directory.ts'

const LONG_TEST_MS = 1_800_000
const BACKUP_FAILPOINTS = [
  'target:before-rename',
  'backup:packs-written',
  'backup:verified',
  'backup:manifest-written',
  'prune:manifest-removed',
  'prune:file-removed',
]
const RESTORE_FAILPOINTS = ['restore:files-written', 'restore:checked', 'restore:moved-aside', 'restore:renamed']

async function valueIn(dir: string): Promise<number> {
  const store = await openStore({ dir, password: PASSWORD, create: false })
  try {
    expect(await store.check()).toEqual([])
    return (await store.kv.value('round')) as number
  } finally {
    await store.close()
  }
}

/** Starts the program and kills it at a failpoint or a random moment; the line it ended with, if it was faster. */
async function kill(
  work: 'backup' | 'restore',
  places: { readonly dir: string; readonly place: string },
  failpoints: readonly string[],
  random: Random,
): Promise<string | undefined> {
  const atFailpoint = random.chance(0.6)
  const environment = atFailpoint
    ? { HOLDFAST_FAILPOINT: `${random.pick(failpoints)}=kill@${random.between(1, 3)}` }
    : {}
  const program = ChildProgram.start('backup', { arguments: { work, ...places }, environment: { ...environment } })
  if (!atFailpoint) {
    await program.line('begun')
    setTimeout(() => program.kill('SIGKILL'), random.between(0, 250))
  }
  await program.ended
  expect(program.errorText).toBe('')
  return program.lines.find((line) => /^(done|failed)/.test(line))
}

test(
  'every backup that is listed restores, whenever the one after it is killed',
  async () => {
    const random = seededRandom('killed backups')
    const root = temporaryDirectory()
    const dir = join(root, 'state')
    const place = join(root, 'backups')
    const store = await openStore({ dir, password: PASSWORD, kdf: KDF })
    const roundOf = new Map<string, number>()
    let kills = 0
    for (let round = 1; kills < shortOrLong(6, 110); round++) {
      await store.transaction((tx) => {
        tx.kv.put({ key: 'round', value: round })
        tx.kv.put({ key: `filler-${random.between(1, 30)}`, value: 'x'.repeat(random.between(1, 60_000)) })
      })
      const ended = await kill('backup', { dir, place }, BACKUP_FAILPOINTS, random)
      if (ended === undefined) kills += 1
      else expect(ended).toMatch(/^done/)
      const { backups, damaged } = await listBackups(place)
      expect(damaged).toEqual([])
      for (const { id } of backups) {
        if (!roundOf.has(id)) roundOf.set(id, round)
        await verifyBackup({ from: place, id, password: PASSWORD })
      }
      if (backups.length === 0 || round % 5 !== 0) continue
      const { id } = random.pick(backups)
      const restored = join(root, `restored-${round}`)
      await restoreStore({ from: place, dir: restored, password: PASSWORD, id })
      expect(await valueIn(restored)).toBe(roundOf.get(id))
    }
    await store.backup(place, { retention: { last: 1 } })
    const left = readdirSync(place, { recursive: true, encoding: 'utf8' })
    expect(left.filter((name) => name.endsWith('.part'))).toEqual([])
    expect((await listBackups(place)).backups).toHaveLength(1)
    await verifyBackup({ from: place, password: PASSWORD })
    expect(readdirSync(dir).filter((name) => name.startsWith('.backup-check'))).toEqual([])
    await store.close()
    reportFigures(`Backups killed: ${kills}; ${roundOf.size} backups came to count, all of them whole.`)
  },
  LONG_TEST_MS,
)

test(
  'a restore that is killed leaves nothing at its directory, or the whole store',
  async () => {
    const random = seededRandom('killed restores')
    const root = temporaryDirectory()
    const place = join(root, 'backups')
    const source = await openStore({ dir: join(root, 'state'), password: PASSWORD, kdf: KDF })
    await source.kv.put({ key: 'round', value: 7 })
    for (let n = 0; n < 50; n++) void source.kv.put({ key: `filler-${n}`, value: 'x'.repeat(20_000) })
    await source.flush()
    await source.backup(place)
    await source.close()
    let kills = 0
    const found = { nothing: 0, 'the whole store': 0 }
    for (let round = 0; kills < shortOrLong(6, 110); round++) {
      const dir = join(root, `restored-${round % 3}`)
      const asideBefore = asideOf(root)
      const wasThere = existsSync(dir)
      const ended = await kill('restore', { dir, place }, RESTORE_FAILPOINTS, random)
      if (ended === undefined) kills += 1
      else expect(ended).toMatch(/^done/)
      if (existsSync(dir)) {
        expect(await valueIn(dir)).toBe(7)
        found['the whole store'] += 1
      } else {
        found.nothing += 1
        if (wasThere) expect(asideOf(root)).toBe(asideBefore + 1)
      }
    }
    const last = join(root, 'restored-0')
    await restoreStore({ from: place, dir: last, password: PASSWORD, force: true })
    expect(await valueIn(last)).toBe(7)
    expect(readdirSync(root).filter((name) => name.startsWith('restored-0.restoring-'))).toEqual([])
    reportFigures(`Restores killed: ${kills}; found ${JSON.stringify(found)}.`)
  },
  LONG_TEST_MS,
)

function asideOf(root: string): number {
  return readdirSync(root).filter((name) => name.includes('.replaced-')).length
}
