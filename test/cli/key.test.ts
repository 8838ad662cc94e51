import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { KeyringInfo, KeyslotInfo } from '../../src/index.ts'
import { type CommandRun, holdfast, PASSWORD, runCommand } from './run-command.ts'
import { makeStore, openTestStore, temporaryDirectory } from './test-store.ts'

const NEXT = 'another horse, another battery, another staple'

async function store(): Promise<string> {
  return await makeStore(async (made) => await made.kv.set('n', 1))
}

async function list(dir: string, password = PASSWORD): Promise<KeyringInfo> {
  const { stdout, stderr, exitCode } = await runCommand({ args: ['key', 'list', '--dir', dir, '--json'], password })
  expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 })
  return JSON.parse(stdout)
}

async function changed(dir: string, args: readonly string[], env = {}): Promise<KeyslotInfo> {
  const { stdout, stderr, exitCode } = await runCommand({ args: ['key', ...args, '--dir', dir, '--json'], env })
  expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 })
  return JSON.parse(stdout).slot
}

async function opensWith(dir: string, password: string): Promise<boolean> {
  const { exitCode } = await runCommand({ args: ['get', 'kv', 'n', '--dir', dir], password })
  expect([0, 5]).toContain(exitCode)
  return exitCode === 0
}

function expectNoSecret(run: CommandRun, ...secrets: readonly string[]): void {
  for (const secret of secrets) expect(`${run.stdout}${run.stderr}`).not.toContain(secret)
}

async function auditEvents(dir: string): Promise<string[]> {
  // The owner takes the notes of those beside it into the trail.
  await (await openTestStore(dir)).close()
  const { stdout } = await holdfast('audit', 'list', '--event', 'key.*', '--dir', dir, '--json')
  return (JSON.parse(stdout) as { event: string }[]).map(({ event }) => event)
}

describe('key list', () => {
  test('tells the slots, their ages and cost, and no secret', async () => {
    const dir = await store()
    const run = await holdfast('key', 'list', '--dir', dir)
    expect(run.exitCode).toBe(0)
    expect(run.stdout).toMatch(/^slot\s+kind\s+label\s+age\s+argon2id\n/)
    expect(run.stdout).toMatch(/password\s+0 days\s+19456 KiB x 2/)
    expect(run.stdout).toMatch(/Data key: 0 days old; keyring generation \d+\.\n$/)
    expectNoSecret(run, PASSWORD)
    expect((await list(dir)).slots).toHaveLength(1)
  })

  test('refuses a wrong password, and says what is wrong when there is no store', async () => {
    const dir = await store()
    const run = await runCommand({ args: ['key', 'list', '--dir', dir], password: NEXT })
    expect(run.exitCode).toBe(5)
    expectNoSecret(run, NEXT)
    expect((await holdfast('key', 'list', '--dir', temporaryDirectory())).exitCode).toBe(4)
  })
})

describe('key rotate-password', () => {
  test('puts another password in the place of the present one, beside a running owner too', async () => {
    const dir = await store()
    const owner = await openTestStore(dir)
    const args = ['key', 'rotate-password', '--dir', dir]
    const run = await runCommand({ args, env: { HOLDFAST_NEW_PASSWORD: NEXT } })
    expect(run).toMatchObject({ exitCode: 0, stderr: '' })
    expect(run.stdout).toMatch(/^The password was changed and verified: slot \S+\.\n$/)
    expectNoSecret(run, PASSWORD, NEXT)
    await owner.kv.set('n', 2)
    await owner.close()
    expect(await opensWith(dir, PASSWORD)).toBe(false)
    expect(await opensWith(dir, NEXT)).toBe(true)
  })

  test('takes it from a file, and one line end of the file is none of the password', async () => {
    const dir = await store()
    const file = join(temporaryDirectory(), 'next')
    writeFileSync(file, `${NEXT}\r\n`, { mode: 0o600 })
    await changed(dir, ['rotate-password'], { HOLDFAST_NEW_PASSWORD_FILE: file })
    expect(await opensWith(dir, NEXT)).toBe(true)
  })

  test('refuses a weak one and none at all, and the old one still opens', async () => {
    const dir = await store()
    const before = readFileSync(join(dir, 'keyring.json'), 'utf8')
    for (const env of [{ HOLDFAST_NEW_PASSWORD: 'short' }, {}]) {
      const { exitCode } = await runCommand({ args: ['key', 'rotate-password', '--dir', dir], env })
      expect(exitCode).toBe(5)
    }
    expect(readFileSync(join(dir, 'keyring.json'), 'utf8')).toBe(before)
    expect(await opensWith(dir, PASSWORD)).toBe(true)
  })
})

describe('key add, remove and recovery', () => {
  test('another password opens the store until its slot is removed; the last one stays', async () => {
    const dir = await store()
    const slot = await changed(dir, ['add', '--label', 'on call'], { HOLDFAST_NEW_PASSWORD: NEXT })
    expect(slot).toMatchObject({ kind: 'password', label: 'on call' })
    expect(await opensWith(dir, NEXT)).toBe(true)
    const removed = await holdfast('key', 'remove', slot.id, '--dir', dir)
    expect(removed).toMatchObject({ exitCode: 0 })
    expect(removed.stderr).toContain('holdfast key rotate-data')
    expect(await opensWith(dir, NEXT)).toBe(false)

    const [last] = (await list(dir)).slots
    expect((await holdfast('key', 'remove', last?.id ?? '', '--dir', dir)).exitCode).toBe(10)
    expect((await holdfast('key', 'remove', 'no-such-slot', '--dir', dir)).exitCode).toBe(3)
    expect(await opensWith(dir, PASSWORD)).toBe(true)
  })

  test('a recovery key is printed once, opens the store, and a typo in it is told from a wrong password', async () => {
    const dir = await store()
    const run = await holdfast('key', 'recovery', '--label', 'safe', '--dir', dir)
    expect(run.exitCode).toBe(0)
    const recoveryKey = run.stdout.trimEnd()
    expect(await opensWith(dir, recoveryKey)).toBe(true)
    expect((await list(dir)).slots.map(({ kind, label }) => [kind, label])).toContainEqual(['recovery', 'safe'])
    const last = recoveryKey.at(-1)
    const mistyped = `${recoveryKey.slice(0, -1)}${last === '2' ? '3' : '2'}`
    const refused = await runCommand({ args: ['get', 'kv', 'n', '--dir', dir], password: mistyped })
    expect(refused.exitCode).toBe(5)
    expect(refused.stderr).toContain('RECOVERY_KEY_MISTYPED')
    expectNoSecret(refused, mistyped)
  })

  test('a program that prints a key opens the store', async () => {
    const dir = await store()
    const command = JSON.stringify([process.execPath, '-e', 'console.log("from a key management service")'])
    await changed(dir, ['add', '--command', command, '--label', 'kms'])
    const args = ['key', 'list', '--unlock-command', command, '--dir', dir, '--json']
    const { exitCode, stdout } = await runCommand({ args, password: null })
    expect(exitCode).toBe(0)
    expect(JSON.parse(stdout).slots).toHaveLength(2)
  })

  test('leaves a note of each for the audit trail', async () => {
    const dir = await store()
    const slot = await changed(dir, ['add'], { HOLDFAST_NEW_PASSWORD: NEXT })
    await changed(dir, ['remove', slot.id])
    expect(await auditEvents(dir)).toEqual(['key.slot-added', 'key.slot-removed'])
  })
})

describe('key rotate-data', () => {
  test('encrypts every database anew; the password stays, and nothing of the store is lost', async () => {
    const dir = await store()
    const before = await list(dir)
    const salt = readFileSync(join(dir, 'state.db')).subarray(16, 4_096)
    const run = await holdfast('key', 'rotate-data', '--dir', dir, '--json')
    expect(run.exitCode).toBe(0)
    expect((await list(dir)).generation).toBeGreaterThan(before.generation)
    expect(readFileSync(join(dir, 'state.db')).subarray(16, 4_096).equals(salt)).toBe(false)
    expect(await opensWith(dir, PASSWORD)).toBe(true)
    expect((await holdfast('check', '--dir', dir)).exitCode).toBe(0)
  })

  test('is refused beside a running owner, which must do it itself', async () => {
    const dir = await store()
    const owner = await openTestStore(dir)
    try {
      expect((await holdfast('key', 'rotate-data', '--dir', dir)).exitCode).toBe(6)
    } finally {
      await owner.close()
    }
  })
})

describe('key export-raw', () => {
  test('prints nothing unless it is said that this is wanted', async () => {
    const dir = await store()
    const run = await holdfast('key', 'export-raw', '--dir', dir)
    expect(run).toMatchObject({ exitCode: 2, stdout: '' })
    expect(run.stderr).toContain('--yes-print-the-keys')
    expect(await auditEvents(dir)).toEqual([])
  })

  test('prints a key for each database, and the trail records it', async () => {
    const dir = await store()
    const run = await holdfast('key', 'export-raw', '--yes-print-the-keys', '--dir', dir)
    expect(run.exitCode).toBe(0)
    expect(run.stdout).toMatch(
      /^state\.db\tPRAGMA key = "x'[0-9a-f]{64,96}'"\nmarket\.db\tPRAGMA key = "x'[0-9a-f]{64,96}'"\n$/,
    )
    expect(await auditEvents(dir)).toEqual(['key.exported'])
  })
})

test('the keyring is for its owner alone after each change', async () => {
  const dir = await store()
  await changed(dir, ['add'], { HOLDFAST_NEW_PASSWORD: NEXT })
  for (const name of ['keyring.json', 'keyring.backup.json']) {
    expect(statSync(join(dir, name)).mode & 0o777, name).toBe(0o600)
  }
})
