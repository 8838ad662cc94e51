/**
 * A process that dies while it migrates a store leaves it before or after the migration, never between, with a copy
 * from before that opens. The migration here is not idempotent, so a second application would show.
 */
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ChildProgram } from './child-program.ts'
import { openStore } from './compiled-store.ts'
import { reportFigures, seededRandom, shortOrLong } from './fault-run.ts'
import { codeOf } from './refusal.ts'
import { KDF, PASSWORD } from './store-settings.ts'
import { hasStrace, WITHOUT_STRACE, withFault } from './strace.ts'
import { temporaryDirectory } from './temporary-directory.ts'

const LONG_TEST_MS = 600_000
const DOCUMENTS = 60
const COPY = 'state.db.before-user-0002'
const FIRST = 'CREATE TABLE "marks" ("n" INTEGER PRIMARY KEY) STRICT;\n'
const SECOND = `INSERT INTO "marks" VALUES (2);
UPDATE "kv" SET "_doc" = json_set("_doc", '$.value', ("_doc" ->> '$.value') + 1);
`

interface Place {
  readonly dir: string
  /** Folders with the first migration only, and with both. */
  readonly before: string
  readonly after: string
}

/** A store with documents under the first migration. */
async function storeBeforeMigration(): Promise<Place> {
  const root = temporaryDirectory()
  const place = { dir: join(root, 'store'), before: join(root, 'before'), after: join(root, 'after') }
  for (const folder of [place.before, place.after]) {
    mkdirSync(folder)
    writeFileSync(join(folder, '0001_marks.sql'), FIRST)
  }
  writeFileSync(join(place.after, '0002_count_on.sql'), SECOND)
  const store = await openStore({ dir: place.dir, password: PASSWORD, kdf: KDF, migrations: place.before })
  for (let n = 0; n < DOCUMENTS; n++) void store.kv.set(`k-${n}`, n)
  await store.close()
  return place
}

/** `isPutBack`: the database was put back by hand, without the head of its audit trail, and check says so. */
async function valuesWith(dir: string, migrations: string, isPutBack = false): Promise<unknown[]> {
  const store = await openStore({ dir, password: PASSWORD, migrations, create: false })
  try {
    const findings = (await store.check()).filter(({ code }) => !(isPutBack && code.startsWith('AUDIT_')))
    expect(findings).toEqual([])
    return Array.from({ length: DOCUMENTS }, (_, n) => store.kv.value(`k-${n}`))
  } finally {
    await store.close()
  }
}

const original = Array.from({ length: DOCUMENTS }, (_, n) => n)
const migrated = original.map((n) => n + 1)

async function expectCopyOpens({ dir, before }: Place): Promise<void> {
  const restored = join(temporaryDirectory(), 'restored')
  mkdirSync(restored, { mode: 0o700 })
  for (const name of ['keyring.json', 'keyring.backup.json', 'market.db'])
    copyFileSync(join(dir, name), join(restored, name))
  copyFileSync(join(dir, COPY), join(restored, 'state.db'))
  expect(await valuesWith(restored, before, true)).toEqual(original)
}

async function isMigrated({ dir, before }: Place): Promise<boolean> {
  const code = await codeOf(valuesWith(dir, before).then((values) => expect(values).toEqual(original)))
  expect([undefined, 'STORE_FROM_FUTURE']).toContain(code)
  return code === 'STORE_FROM_FUTURE'
}

test.each([
  ['migrate:copy-made', false],
  ['migrate:before-commit', false],
  ['migrate:after-commit', true],
])('a process killed at %s leaves the store whole (migrated: %s)', async (name, applied) => {
  const place = await storeBeforeMigration()
  const program = ChildProgram.start('opener', {
    arguments: { dir: place.dir, migrations: place.after },
    environment: { HOLDFAST_FAILPOINT: `${name}=kill@1` },
  })
  expect(await program.ended, program.errorText).toEqual({ code: null, signal: 'SIGKILL' })
  expect(await isMigrated(place)).toBe(applied)
  expect(await valuesWith(place.dir, place.after)).toEqual(migrated)
  await expectCopyOpens(place)
  expect(await valuesWith(place.dir, place.after)).toEqual(migrated)
})

if (!hasStrace) console.log(`migration killed at system calls: ${WITHOUT_STRACE}`)

test.skipIf(!hasStrace)(
  'so does one killed at any write or rename of the kernel',
  async () => {
    const random = seededRandom('migration')
    let kills = 0
    for (let n = 0; n < shortOrLong(1, 25); n++) {
      const place = await storeBeforeMigration()
      const [call, maxHit] = random.pick([
        ['pwrite64', 130],
        ['fsync', 8],
        ['rename', 1],
      ] as const)
      const fault = `${call}:signal=SIGKILL:when=${random.between(1, maxHit)}`
      const program = ChildProgram.start('opener', {
        arguments: { dir: place.dir, migrations: place.after },
        under: withFault(fault),
      })
      if ((await program.ended).signal === 'SIGKILL') kills += 1
      await isMigrated(place)
      expect(await valuesWith(place.dir, place.after), fault).toEqual(migrated)
      await expectCopyOpens(place)
    }
    reportFigures(`migration: ${kills} kills at system calls`)
  },
  LONG_TEST_MS,
)
