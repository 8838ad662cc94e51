import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { STORE_ERROR_CODES } from '../../src/index.ts'
import { endOf, FROM_SOURCES, holdfast, runCommand, startCommand } from './run-command.ts'
import { makeStore, openTestStore, order, temporaryDirectory } from './test-store.ts'

const dir = await makeStore(async (store) => {
  await store.orders.insertMany(Array.from({ length: 5_000 }, (_, index) => order(index)))
})

const ownedDir = join(temporaryDirectory(), 'state')
const owner = await openTestStore(ownedDir)
afterAll(() => owner.close())

describe('holdfast', () => {
  test('runs from its TypeScript sources as well as compiled', async () => {
    const { stdout, exitCode } = await runCommand({
      args: ['get', 'orders', 'o-0', '--json', '--dir', dir],
      program: FROM_SOURCES,
    })
    expect(JSON.parse(stdout)).toEqual(order(0))
    expect(exitCode).toBe(0)
  })

  test('tells the version of its package', async () => {
    const { stdout, exitCode } = await holdfast('--version')
    expect(stdout.trim()).toBe(JSON.parse(readFileSync('package.json', 'utf8')).version)
    expect(exitCode).toBe(0)
  })

  test('documents every error code with its exit code in --help', async () => {
    const { stdout, exitCode } = await holdfast('--help')
    expect(stdout).toMatch(/^ {4}6 {2}the store is in use by another process.*\n {7}STORE_LOCKED\b/m)
    const general = ['RESULT_TOO_LARGE', 'QUEUE_FULL', 'READ_ONLY', 'TIMEOUT', 'WORKER_LOST', 'STORE_CLOSED']
    const unlisted = STORE_ERROR_CODES.filter((code) => !stdout.includes(code))
    expect(unlisted).toEqual(expect.arrayContaining(general))
    expect(exitCode).toBe(0)
  })

  test('shows help on standard error and exits with 2 when no command is given', async () => {
    const { stdout, stderr, exitCode } = await holdfast()
    expect(stdout).toBe('')
    expect(stderr).toContain('Usage: holdfast')
    expect(exitCode).toBe(2)
  })

  test.each([
    ['an unknown command', ['lsit']],
    ['an unknown option', ['status', '--nope']],
    ['a missing argument', ['get', 'orders']],
    ['an argument too many', ['status', 'now']],
    ['a limit that is no number', ['list', 'orders', '--limit', 'few']],
    ['an unknown format', ['export', '--format', 'xml']],
  ])('exits with 2 for %s', async (_, args) => {
    const { stdout, stderr, exitCode } = await holdfast(...args)
    expect(stdout).toBe('')
    expect(stderr).toMatch(/^holdfast: .*\(INVALID_ARGUMENT\)\n$/)
    expect(exitCode).toBe(2)
  })

  test('tells a failure with --json as one JSON object on standard error', async () => {
    const { stdout, stderr } = await holdfast('get', 'orders', 'nope', '--dir', dir, '--json')
    expect(stdout).toBe('')
    expect(JSON.parse(stderr)).toEqual({
      error: {
        code: 'NOT_FOUND',
        message: expect.any(String),
        details: { collection: 'orders', key: 'nope' },
        exitCode: 3,
      },
    })
  })

  test('tells wrong usage with --json as JSON too', async () => {
    const { stderr } = await holdfast('lsit', '--json')
    expect(JSON.parse(stderr).error).toMatchObject({ code: 'INVALID_ARGUMENT', exitCode: 2 })
  })

  test('prints no stack, unless HOLDFAST_DEBUG=1 asks for it', async () => {
    const args = ['get', 'orders', 'nope', '--dir', dir]
    expect((await runCommand({ args })).stderr).not.toContain('    at ')
    expect((await runCommand({ args, env: { HOLDFAST_DEBUG: '1' } })).stderr).toContain('    at ')
  })

  test('takes global options before and after the command', async () => {
    expect((await holdfast('--dir', dir, '--json', 'get', 'orders', 'o-1')).stdout).toBe(
      `${JSON.stringify(order(1))}\n`,
    )
  })

  test('prints no colours into a pipe', async () => {
    expect((await holdfast('status', '--dir', dir)).stdout).not.toContain('\u001b')
  })

  test.each([
    ['get', 'kv', 'a'],
    ['list', 'orders'],
    ['sql', 'select 1'],
    ['export', 'kv', '--out', '-'],
    ['collections'],
  ])('%s reads beside a running owner', async (...args) => {
    await owner.kv.put({ key: 'a', value: 1 })
    expect((await holdfast(...args, '--dir', ownedDir)).exitCode).toBe(0)
  })

  test.each([
    ['delete', 'kv', 'a'],
    ['import', 'package.json', '--collection', 'kv'],
    ['migrate'],
    ['migrate', '--dry-run'],
  ])('%s %s is refused beside a running owner with exit code 6', async (...args) => {
    const { stderr, exitCode } = await holdfast(...args, '--dir', ownedDir)
    expect(stderr).toContain(`process ${process.pid}`)
    expect(stderr).toContain('(STORE_LOCKED)')
    expect(exitCode).toBe(6)
  })
})

describe('its output', () => {
  test('may be closed by who reads it: the command stops without a word', async () => {
    const child = startCommand({ args: ['list', 'orders', '--json', '--dir', dir] })
    let stderr = ''
    child.stderr?.on('data', (chunk) => {
      stderr += String(chunk)
    })
    child.stdout?.once('data', () => child.stdout?.destroy())
    expect(await endOf(child)).toEqual({ exitCode: 0, signal: null })
    expect(stderr).toBe('')
  })

  test.skipIf(process.platform !== 'linux')('fails loudly on a full disk, with exit code 12', async () => {
    const full = openSync('/dev/full', 'w')
    const child = startCommand({ args: ['list', 'orders', '--dir', dir] }, full)
    closeSync(full)
    let stderr = ''
    child.stderr?.on('data', (chunk) => {
      stderr += String(chunk)
    })
    expect((await endOf(child)).exitCode).toBe(12)
    expect(stderr).toContain('(DISK_FULL)')
  })
})
