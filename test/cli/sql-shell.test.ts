import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { noTerminalReason, runOnTerminal, type Step } from './on-terminal.ts'
import { makeStore, order, temporaryDirectory } from './test-store.ts'

const dir = await makeStore(async (store) => {
  await store.orders.insertMany([order(0), order(1)])
})
const PROMPT = 'holdfast> '
const QUIT = { expect: PROMPT, send: '.quit\r' }

async function shell(steps: readonly Step[], env: Readonly<Record<string, string>> = {}) {
  return await runOnTerminal({ args: ['sql', '--dir', dir], steps, env: { NO_COLOR: '1', ...env } })
}

describe.skipIf(noTerminalReason !== undefined)(`the shell (${noTerminalReason ?? 'pty'})`, () => {
  test('takes a statement over several lines up to its semicolon, and tells the time it took', async () => {
    const { screen, exitCode } = await shell([
      { expect: PROMPT, send: "select 'a;b' as text,\r" },
      { expect: '...> ', send: '2 as n;\r' },
      QUIT,
    ])
    expect(screen).toMatch(/text {2}n\r\n─+ {2}─\r\na;b {3}2\r\n1 row in [\d.]+ ms/)
    expect(exitCode).toBe(0)
  })

  test('goes on after an error', async () => {
    const { screen, exitCode } = await shell([
      { expect: PROMPT, send: 'delete from orders;\r' },
      { expect: '(INVALID_QUERY)', send: 'select count(*) as n from orders;\r' },
      { expect: '1 row', send: '.quit\r' },
    ])
    expect(screen).toMatch(/n\r\n─\r\n2\r\n/)
    expect(exitCode).toBe(0)
  })

  test('lists tables, describes them, and explains itself', async () => {
    const { screen } = await shell([
      { expect: PROMPT, send: '.tables\r' },
      { expect: 'watchlist', send: '.schema fills\r' },
      { expect: 'indexed, refers to orders', send: '.schema\r' },
      { expect: 'watchlist (', send: '.help\r' },
      { expect: '.mode table|json|csv', send: '.schema nope\r' },
      { expect: '(NOT_FOUND)', send: '.nope\r' },
      { expect: '(INVALID_ARGUMENT)', send: '.quit\r' },
    ])
    expect(screen).toContain('orders (_key, ')
  })

  test('changes how results are shown', async () => {
    const { screen } = await shell([
      { expect: PROMPT, send: '.mode json\r' },
      { expect: PROMPT, send: 'select 1 as a;\r' },
      { expect: '[{"a":1}]', send: '.mode csv\r' },
      { expect: PROMPT, send: 'select 2 as b;\r' },
      { expect: 'b\r\n2\r\n', send: '.file market\r' },
      { expect: PROMPT, send: 'select count(*) as c from bars;\r' },
      { expect: 'c\r\n0\r\n', send: '.quit\r' },
    ])
    expect(screen).not.toContain('INVALID')
  })

  test('drops what was typed on Ctrl-C and leaves on Ctrl-D', async () => {
    const { screen, exitCode, echoIsOn } = await shell([
      { expect: PROMPT, send: 'select nonsense\r' },
      { expect: '...> ', send: 'and more\u0003' },
      { expect: PROMPT, send: 'select 7 as n;\r' },
      { expect: '1 row', send: '\u0004' },
    ])
    expect(screen).toContain('─\r\n7\r\n')
    expect(exitCode).toBe(0)
    expect(echoIsOn).toBe(true)
  })

  test('ends on Ctrl-C while a query runs, and leaves the terminal as it was', async () => {
    const endless = 'with recursive c(x) as (select 1 union all select x + 1 from c) select count(*) from c;'
    const { exitCode, echoIsOn } = await shell([
      { expect: PROMPT, send: `${endless}\r` },
      { expect: '\n', send: '\u0003' },
    ])
    expect(exitCode).toBe(130)
    expect(echoIsOn).toBe(true)
  })

  test('remembers statements, in memory and nowhere else', async () => {
    const home = temporaryDirectory()
    const before = readdirSync(dir)
    const { screen } = await shell(
      [
        { expect: PROMPT, send: "select 'remember' as word;\r" },
        { expect: '1 row', send: '' },
        { expect: PROMPT, send: '\u001b[A' },
        { expect: "select 'remember'", send: '\r' },
        { expect: '1 row', send: '' },
        QUIT,
      ],
      { HOME: home },
    )
    expect(screen.match(/─{8}\r\nremember/g)).toHaveLength(2)
    expect(readdirSync(home)).toEqual([])
    expect(readdirSync(dir)).toEqual(before)
  })

  test('completes names', async () => {
    const { screen } = await shell([
      { expect: PROMPT, send: 'select count(*) as n from watch' },
      { expect: 'watch', send: '\t' },
      { expect: 'list', send: ';\r' },
      { expect: '1 row', send: '.quit\r' },
    ])
    expect(screen).toContain('─\r\n0\r\n')
    expect(existsSync(join(dir, '.history'))).toBe(false)
  })
})
