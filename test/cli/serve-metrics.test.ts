/** `holdfast serve-metrics` in a process beside the owner. */
import { createInterface } from 'node:readline'
import { describe, expect, test } from 'vitest'
import { parseExposition } from '../client/fixtures/exposition-format.ts'
import { endOf, holdfast, startCommand } from './run-command.ts'
import { makeStore, openTestStore, order } from './test-store.ts'

describe('serve-metrics', () => {
  test('serves beside a running owner until it is ended', async () => {
    const dir = await makeStore()
    const owner = await openTestStore(dir)
    await owner.orders.put(order(0))
    const child = startCommand({ args: ['serve-metrics', '--port', '0', '--dir', dir] })
    const ended = endOf(child)
    let url = ''
    for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
      url = line
      break
    }
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/metrics$/)
    const metrics = parseExposition(await (await fetch(url)).text())
    expect(metrics.value('holdfast_store_info', { mode: 'read-only' })).toBe(1)
    expect(metrics.value('holdfast_database_bytes', { file: 'state' })).toBeGreaterThan(0)
    child.kill('SIGTERM')
    expect(await ended).toEqual({ exitCode: null, signal: 'SIGTERM' })
    await owner.close()
  })

  test.each([
    ['--port', 'x'],
    ['--port', '70000'],
    ['--address', '203.0.113.1'],
  ])('refuses %s %s with exit code 2', async (...option) => {
    const { exitCode, stderr } = await holdfast('serve-metrics', ...option, '--dir', await makeStore())
    expect(stderr).toContain('(INVALID_ARGUMENT)')
    expect(exitCode).toBe(2)
  })
})
