import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { noTerminalReason, runOnTerminal } from './on-terminal.ts'
import { holdfast, PASSWORD, runCommand } from './run-command.ts'
import { makeStore, temporaryDirectory } from './test-store.ts'

const dir = join(temporaryDirectory(), 'new')

describe('init', () => {
  test('makes a store that only its owner may read', async () => {
    const { stdout, exitCode } = await holdfast('init', '--dir', dir)
    expect(stdout).toMatch(/^Created a store in .*new \([0-9a-f-]{36}\)\.\n/)
    expect(exitCode).toBe(0)
    expect(statSync(dir).mode & 0o777).toBe(0o700)
    for (const name of readdirSync(dir)) expect(statSync(join(dir, name)).mode & 0o777).toBe(0o600)
  })

  test('refuses a directory that has a store already, whatever the password', async () => {
    const existing = await makeStore()
    const keyring = readFileSync(join(existing, 'keyring.json'))
    const { stderr, exitCode } = await runCommand({
      args: ['init', '--dir', existing],
      password: 'another good password',
    })
    expect(stderr).toContain('(STORE_EXISTS)')
    expect(exitCode).toBe(10)
    expect(readFileSync(join(existing, 'keyring.json'))).toEqual(keyring)
  })

  test('refuses a directory that holds something else', async () => {
    const other = join(temporaryDirectory(), 'other')
    mkdirSync(other)
    writeFileSync(join(other, 'letter.txt'), 'dear')
    const { stderr, exitCode } = await holdfast('init', '--dir', other)
    expect(stderr).toContain('(NOT_A_STORE)')
    expect(exitCode).toBe(4)
    expect(readdirSync(other)).toEqual(['letter.txt'])
  })

  test('refuses a password of less than 12 characters and leaves no store', async () => {
    const weak = join(temporaryDirectory(), 'weak')
    const { stderr, exitCode } = await runCommand({ args: ['init', '--dir', weak], password: 'short' })
    expect(stderr).toContain('(PASSWORD_TOO_WEAK)')
    expect(stderr).not.toContain('short\n')
    expect(exitCode).toBe(5)
    expect((await holdfast('status', '--dir', weak)).exitCode).toBe(4)
  })

  test('takes the directory from HOLDFAST_DIR, and tells programs what it made', async () => {
    const named = join(temporaryDirectory(), 'named')
    const { stdout } = await runCommand({ args: ['init', '--json'], env: { HOLDFAST_DIR: named } })
    expect(JSON.parse(stdout)).toEqual({ dir: named, storeId: expect.any(String), created: true })
  })
})

describe.skipIf(noTerminalReason !== undefined)(`init on a terminal (${noTerminalReason ?? 'pty'})`, () => {
  test('asks for the password twice and shows it neither time', async () => {
    const typed = join(temporaryDirectory(), 'typed')
    const { screen, exitCode } = await runOnTerminal({
      args: ['init', '--dir', typed],
      password: null,
      steps: [
        { expect: 'New password', send: `${PASSWORD}\r` },
        { expect: 'once more', send: `${PASSWORD}\r` },
      ],
    })
    expect(screen).toContain('Created a store')
    expect(screen).not.toContain('horse')
    expect(exitCode).toBe(0)
    expect((await holdfast('status', '--dir', typed)).exitCode).toBe(0)
  })

  test('asks again when the two differ', async () => {
    const { screen, exitCode } = await runOnTerminal({
      args: ['init', '--dir', join(temporaryDirectory(), 'typed')],
      password: null,
      steps: [
        { expect: 'New password', send: `${PASSWORD}\r` },
        { expect: 'once more', send: `${PASSWORD}!\r` },
        { expect: 'New password', send: `${PASSWORD}\r` },
        { expect: 'once more', send: `${PASSWORD}\r` },
      ],
    })
    expect(screen).toContain('They differ.')
    expect(exitCode).toBe(0)
  })

  test('gives up when they differ three times, and makes nothing', async () => {
    const typed = join(temporaryDirectory(), 'typed')
    const attempt = [
      { expect: 'New password', send: `${PASSWORD}\r` },
      { expect: 'once more', send: `${PASSWORD}!\r` },
    ]
    const { screen, exitCode } = await runOnTerminal({
      args: ['init', '--dir', typed],
      password: null,
      steps: [...attempt, ...attempt, ...attempt],
    })
    expect(screen).toContain('(PASSWORD_MISSING)')
    expect(exitCode).toBe(5)
    expect((await holdfast('status', '--dir', typed)).exitCode).toBe(4)
  })
})
