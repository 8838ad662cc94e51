/** `holdfast top` in a process beside the owner: frames, JSON lines, and a real terminal that is given back. */
import { createInterface } from 'node:readline'
import { afterAll, describe, expect, test } from 'vitest'
import { serveMetrics } from '../../src/index.ts'
import { noTerminalReason, runOnTerminal } from './on-terminal.ts'
import { endOf, holdfast, startCommand } from './run-command.ts'
import { makeStore, openTestStore, order } from './test-store.ts'

const ENTER = '\x1b[?1049h'
const LEAVE = '\x1b[?1049l'

const owner = await openTestStore(await makeStore())
await owner.orders.put(order(0))
await owner.maintain()
const server = await serveMetrics(owner, { port: 0 })
afterAll(async () => {
  await server.close()
  await owner.close()
})
const DIR = ['--dir', owner.dir]
const metrics = `http://127.0.0.1:${server.port}`

describe('one frame', () => {
  test('is what is printed where the output is no terminal, without an escape', async () => {
    const { stdout, exitCode } = await holdfast('top', ...DIR)
    expect(exitCode).toBe(0)
    expect(stdout).toMatch(/^owner +process \d+ on /m)
    expect(stdout).toMatch(/^queue +known to the owner alone/m)
    expect(stdout).toMatch(/^keys +data key [\d.]+ s old, 1 slot$/m)
    expect(stdout).toMatch(/^state\.db +[\d.]+ KiB/m)
    expect(stdout).toMatch(/^orders +[\d.]+ KiB/m)
    expect(stdout).not.toContain('\x1b')
  })

  test('has with --metrics what the owner alone knows', async () => {
    const { stdout } = await holdfast('top', '--once', '--metrics', metrics, ...DIR)
    expect(stdout).toMatch(/^queue +state 0, market 0, 0 B, oldest 0\.0 s$/m)
    expect(stdout).toMatch(/^writes +1 durable, 0 failed, 0 worker restarts$/m)
  })

  test('says so when the metrics can not be had, or are of another store', async () => {
    const other = await openTestStore(await makeStore())
    const elsewhere = await serveMetrics(other, { port: 0 })
    const foreign = await holdfast('top', '--metrics', elsewhere.url, ...DIR)
    expect(foreign.stdout).toContain('is not of the owner of this store')
    await elsewhere.close()
    const gone = await holdfast('top', '--metrics', elsewhere.url, ...DIR)
    expect(gone.stdout).toContain('does not answer')
    expect(gone.exitCode).toBe(0)
    await other.close()
  })

  test.each([
    ['--interval', '0.01s'],
    ['--interval', '5'],
    ['--metrics', 'file:///etc/passwd'],
    ['--metrics', 'http://a:b@127.0.0.1'],
  ])('is refused with %s %s', async (...option) => {
    expect((await holdfast('top', ...option, ...DIR)).exitCode).toBe(2)
  })
})

describe('JSON', () => {
  test('is one line with --once', async () => {
    const { stdout } = await holdfast('top', '--json', '--once', '--metrics', metrics, ...DIR)
    expect(stdout.trimEnd().split('\n')).toHaveLength(1)
    expect(JSON.parse(stdout)).toMatchObject({
      storeId: owner.storeId,
      owner: { pid: process.pid },
      ownerFigures: { queues: { state: { operations: 0 } }, durableOperations: 1, archive: null },
      perSecond: null,
      metricsProblem: null,
    })
  })

  test('is a line for each frame, with rates from the second on, until it is ended', async () => {
    const child = startCommand({ args: ['top', '--json', '--interval', '0.1s', '--metrics', metrics, ...DIR] })
    const ended = endOf(child)
    const frames: { perSecond: unknown; at: string }[] = []
    for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
      frames.push(JSON.parse(line))
      if (frames.length === 3) break
    }
    child.kill('SIGTERM')
    expect(await ended).toEqual({ exitCode: null, signal: 'SIGTERM' })
    expect(frames.map(({ perSecond }) => perSecond === null)).toEqual([true, false, false])
    expect(new Set(frames.map(({ at }) => at)).size).toBe(3)
  })
})

describe.skipIf(noTerminalReason !== undefined)('on a terminal', () => {
  test.each([
    ['q', 'q'],
    ['Ctrl-C', '\x03'],
  ])('%s ends it, and the screen, the cursor and the echo are as before', async (_name, send) => {
    const { screen, exitCode, echoIsOn } = await runOnTerminal({
      args: ['top', '--interval', '0.2s', ...DIR],
      steps: [{ expect: 'market.db', send }],
    })
    expect(exitCode).toBe(0)
    expect(screen.indexOf(ENTER)).toBeGreaterThanOrEqual(0)
    expect(screen.trimEnd().endsWith(LEAVE)).toBe(true)
    expect(screen).toContain('\x1b[?25h')
    expect(echoIsOn).toBe(true)
  })

  test('draws again after the interval', async () => {
    const { screen } = await runOnTerminal({
      args: ['top', '--interval', '0.1s', ...DIR],
      steps: [
        { expect: 'market.db', send: 'x' },
        { expect: '\x1b[H', send: 'x' },
        { expect: '\x1b[H', send: 'q' },
      ],
    })
    expect(screen.split('\x1b[H').length).toBeGreaterThan(2)
  })

  test('--once leaves the screen alone', async () => {
    const { screen } = await runOnTerminal({ args: ['top', '--once', ...DIR], steps: [] })
    expect(screen).toContain('state.db')
    expect(screen).not.toContain(ENTER)
  })

  test.each([10, 20, 40, 80])('of %i columns gets no line that is longer', async (columns) => {
    const { screen } = await runOnTerminal({
      args: ['top', '--interval', '0.2s', ...DIR],
      columns,
      env: { NO_COLOR: '1' },
      steps: [{ expect: 'backup', send: 'q' }],
    })
    const frame = screen.slice(screen.lastIndexOf('\x1b[H') + 3, screen.indexOf('\x1b[?7h')).replace('\x1b[J', '')
    const drawn = frame.trimEnd().split('\r\n')
    // Erased first: an erasing after a line of full width would take its last character.
    expect(drawn.filter((line) => line.lastIndexOf('\x1b[K') !== 0)).toEqual([])
    const lines = drawn.map((line) => line.replace('\x1b[K', ''))
    expect(lines.length).toBeGreaterThan(5)
    expect(lines.filter((line) => line.length > columns)).toEqual([])
  })
})
