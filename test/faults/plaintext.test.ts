/**
 * Invariants 4 and 5: no plaintext of a value, key or password reaches the disk or an error, and the password is gone
 * from the environment after open. The secrets are made anew in each run, so a find is never an old one.
 */
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { unlockKeyring } from '../../src/crypto/keyring.ts'
import { readKeyring } from '../../src/crypto/keyring-file.ts'
import { passwordBytes } from '../../src/crypto/password.ts'
import { deriveSubKey } from '../../src/crypto/sub-key.ts'
import { ChildProgram } from './child-program.ts'
import { Secrets } from './needles.ts'
import type { SecretiveArguments } from './programs/secretive.ts'
import { hasStrace, WITHOUT_STRACE } from './strace.ts'
import { temporaryDirectory } from './temporary-directory.ts'
import { openTestStore } from './worker-faults.ts'

interface Run {
  readonly dir: string
  /** What the process had as its directory for temporary files. */
  readonly temporaryDir: string
  readonly program: ChildProgram
  readonly password: string
  readonly secrets: Secrets
  /** Document keys name documents and may stand in the details of an error. */
  readonly secretsOfErrors: Secrets
}

async function run(ending: SecretiveArguments['ending'], under: readonly string[] = []): Promise<Run> {
  const root = temporaryDirectory()
  const [dir, migrations, temporaryDir] = ['store', 'migrations', 'tmp'].map((name) => join(root, name)) as [
    string,
    string,
    string,
  ]
  for (const made of [migrations, temporaryDir]) mkdirSync(made)
  writeFileSync(join(migrations, '0001_marks.sql'), 'CREATE TABLE "marks" ("n" INTEGER) STRICT;\n')
  const secret = () => randomBytes(16).toString('hex')
  const given = { value: secret(), key: secret(), privateKey: secret(), wrongPassword: secret() }
  const password = secret()
  const program = ChildProgram.start('secretive', {
    arguments: { dir, migrations, ending, ...given },
    environment: { HOLDFAST_PASSWORD: password, TMPDIR: temporaryDir },
    under,
  })
  await program.ended
  const { key, ...values } = given
  return {
    dir,
    temporaryDir,
    program,
    password,
    secrets: new Secrets({ ...values, key, password }),
    secretsOfErrors: new Secrets({ ...values, password }),
  }
}

async function keysOf(dir: string, password: string): Promise<Secrets> {
  const found = await readKeyring(dir)
  if (found === undefined) throw new Error('the store has no keyring')
  const { storeId } = found.keyring
  const { dataKey, sealingKey } = await unlockKeyring(found.keyring, passwordBytes(password))
  return new Secrets({
    'data key': dataKey,
    'sealing key': sealingKey,
    'key of state.db': deriveSubKey(dataKey, storeId, 'database:state'),
    'key of market.db': deriveSubKey(dataKey, storeId, 'database:market'),
  })
}

test('the search finds a secret in each encoding', () => {
  const secrets = new Secrets({ it: 'correct-horse-battery-staple-9' })
  const text = 'before correct-horse-battery-staple-9 after'
  const forms = [
    Buffer.from(text),
    Buffer.from(text, 'utf16le'),
    Buffer.from(Buffer.from(text).toString('hex')),
    ...[0, 1, 2].map((shift) => Buffer.from(Buffer.from(`${'x'.repeat(shift)}${text}`).toString('base64'))),
  ]
  for (const form of forms) expect(secrets.findIn(form).length).toBeGreaterThan(0)
  expect(secrets.findIn(Buffer.from('correct-horse-battery'))).toEqual([])
})

test('no file holds a value, a key or the password, through all paths and after close', async () => {
  const { dir, temporaryDir, program, password, secrets } = await run('close')
  expect(await program.ended, program.errorText).toEqual({ code: 0, signal: null })
  expect(program.lines.filter((line) => line.startsWith('no-error'))).toEqual([])
  expect(program.lines).toContain('revealed right')
  expect(program.lines).toContain('sealed unreadable')
  expect(program.lines).toContain('wallet unreadable')
  expect(program.lines).toContain('searched 1')
  expect(program.lines).toContain('cached 3')
  const keys = await keysOf(dir, password)
  for (const each of [secrets, keys]) {
    expect(each.findBelow(dir)).toEqual([])
    expect(each.findBelow(temporaryDir)).toEqual([])
  }
})

test('nor what a killed process leaves, nor the copy that a migration makes', async () => {
  const { dir, temporaryDir, program, password, secrets } = await run('kill')
  expect((await program.ended).signal, program.errorText).toBe('SIGKILL')
  const keys = await keysOf(dir, password)
  for (const each of [secrets, keys]) expect([...each.findBelow(dir), ...each.findBelow(temporaryDir)]).toEqual([])

  const migrations = join(dir, '..', 'migrations')
  writeFileSync(
    join(migrations, '0002_more.sql'),
    'CREATE INDEX "by_reason" ON "trades" ("_doc" ->> \'$.exitReason\');\n',
  )
  const copy = join(dir, '..', 'copy')
  cpSync(dir, copy, { recursive: true })
  const store = await openTestStore(copy, { migrations, password })
  expect(store.appliedMigrations).toEqual(['0002_more'])
  for (const each of [secrets, keys]) expect(each.findBelow(copy)).toEqual([])
  await store.close()
  for (const each of [secrets, keys]) expect(each.findBelow(copy)).toEqual([])
})

test('no error shows a value, a key or the password, and the environment holds no password', async () => {
  const { dir, program, password, secretsOfErrors } = await run('close')
  expect(program.lines).toContain('environment clean')
  const keys = await keysOf(dir, password)
  const shown = program.lines.filter((line) => line.startsWith('shown ')).map((line) => line.split(' '))
  expect(shown.length).toBeGreaterThan(80)
  for (const [, path, text = ''] of shown) {
    const decoded = Buffer.from(text, 'base64').toString()
    expect(secretsOfErrors.findInText(decoded), `${path}: ${decoded}`).toEqual([])
    expect(keys.findInText(decoded), `${path}: ${decoded}`).toEqual([])
  }
  expect(secretsOfErrors.findInText(program.errorText)).toEqual([])
})

if (!hasStrace) console.log(`files that a process creates: ${WITHOUT_STRACE}`)

test.skipIf(!hasStrace)('no file is created outside the store directory, not even one that is gone again', async () => {
  const log = join(temporaryDirectory(), 'trace')
  const { dir, program } = await run('close', [
    'strace',
    '-f',
    '--seccomp-bpf',
    '-qq',
    '-e',
    'trace=open,openat,creat',
    '-o',
    log,
  ])
  expect(await program.ended, program.errorText).toEqual({ code: 0, signal: null })
  const created = readFileSync(log, 'utf8')
    .split('\n')
    .filter((line) => /O_CREAT|O_TMPFILE/.test(line) && !/= -1 /.test(line))
    .map((line) => /"([^"]*)"/.exec(line)?.[1] ?? line)
  expect(created.length).toBeGreaterThan(5)
  expect(created.filter((path) => !path.startsWith(`${dir}/`))).toEqual([])
})

test('the scan would notice: SQLite without a key leaves the same values in clear', () => {
  const dir = temporaryDirectory()
  const secrets = new Secrets({ value: 'a-value-that-nothing-encrypts-1234' })
  const script = `
    const { Database } = require('@journeyapps/sqlcipher')
    const database = new Database(process.argv[1])
    database.exec("CREATE TABLE t (v); INSERT INTO t VALUES ('a-value-that-nothing-encrypts-1234')", () => database.close())`
  spawnSync(process.execPath, ['-e', script, join(dir, 'plain.db')], { cwd: process.cwd() })
  expect(secrets.findBelow(dir)).toEqual(['value as utf-8 in plain.db'])
})
