import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { noTerminalReason, runOnTerminal } from './on-terminal.ts'
import { PASSWORD, runCommand } from './run-command.ts'
import { makeStore, temporaryDirectory } from './test-store.ts'

const dir = await makeStore()
const passwordFile = join(temporaryDirectory(), 'password')
writeFileSync(passwordFile, `${PASSWORD}\n`, { mode: 0o600 })

describe('the password', () => {
  test('comes from the file that HOLDFAST_PASSWORD_FILE names', async () => {
    const { exitCode } = await runCommand({
      args: ['status', '--dir', dir],
      password: null,
      env: { HOLDFAST_PASSWORD_FILE: passwordFile },
    })
    expect(exitCode).toBe(0)
  })

  test('comes from --password-file before it comes from the environment', async () => {
    const { exitCode } = await runCommand({
      args: ['status', '--dir', dir, '--password-file', passwordFile],
      password: 'not the password at all',
    })
    expect(exitCode).toBe(0)
  })

  test('that is wrong fails with WRONG_PASSWORD and exit code 5, without repeating it', async () => {
    const { stderr, exitCode } = await runCommand({
      args: ['status', '--dir', dir],
      password: 'not the password at all',
    })
    expect(stderr).toContain('(WRONG_PASSWORD)')
    expect(stderr).not.toContain('not the password at all')
    expect(exitCode).toBe(5)
  })

  test('in a file that is not there fails with PASSWORD_MISSING and names the file', async () => {
    const { stderr, exitCode } = await runCommand({
      args: ['status', '--dir', dir, '--password-file', '/nowhere/password'],
      password: null,
    })
    expect(stderr).toContain('/nowhere/password')
    expect(stderr).toContain('(PASSWORD_MISSING)')
    expect(exitCode).toBe(5)
  })

  test('that nobody gives, with no terminal to ask on, is missing rather than waited for', async () => {
    const { stderr, exitCode } = await runCommand({ args: ['status', '--dir', dir], password: null })
    expect(stderr).toContain('(PASSWORD_MISSING)')
    expect(stderr).toContain('HOLDFAST_PASSWORD')
    expect(exitCode).toBe(5)
  })

  test.each([
    ['--password', 'sesame-sesame-sesame'],
    ['--password=sesame-sesame-sesame'],
    ['--passwrd=sesame-sesame-sesame'],
  ])('is refused as an argument and never repeated: %s', async (...option) => {
    const { stdout, stderr, exitCode } = await runCommand({ args: ['status', '--dir', dir, ...option], password: null })
    expect(stdout + stderr).not.toContain('sesame')
    expect(stderr).toContain('(INVALID_ARGUMENT)')
    expect(exitCode).toBe(2)
  })
})

describe.skipIf(noTerminalReason !== undefined)(`the hidden prompt (${noTerminalReason ?? 'pty'})`, () => {
  const args = ['list', 'kv', '--dir', dir]

  test('opens the store with what is typed, shows nothing of it, and leaves the terminal as it was', async () => {
    const { screen, exitCode, echoIsOn } = await runOnTerminal({
      args,
      password: null,
      steps: [{ expect: `Password of ${dir}: `, send: `${PASSWORD}\r` }],
    })
    expect(screen).not.toContain('horse')
    expect(exitCode).toBe(0)
    expect(echoIsOn).toBe(true)
  })

  test('knows backspace, Ctrl-U and arrow keys', async () => {
    const { exitCode } = await runOnTerminal({
      args,
      password: null,
      steps: [{ expect: 'Password', send: `nonsense\u0015${PASSWORD}\u001b[Dé日\u007f\u007f\r` }],
    })
    expect(exitCode).toBe(0)
  })

  test('ends with the signal on Ctrl-C, and the terminal echoes again', async () => {
    const { screen, exitCode, echoIsOn } = await runOnTerminal({
      args,
      password: null,
      steps: [{ expect: 'Password', send: 'half\u0003' }],
    })
    expect(exitCode).toBe(130)
    expect(screen).not.toContain('half')
    expect(echoIsOn).toBe(true)
  })

  test('takes Ctrl-D for no password', async () => {
    const { screen, exitCode } = await runOnTerminal({
      args,
      password: null,
      steps: [{ expect: 'Password', send: '\u0004' }],
    })
    expect(screen).toContain('(PASSWORD_MISSING)')
    expect(exitCode).toBe(5)
  })
})
