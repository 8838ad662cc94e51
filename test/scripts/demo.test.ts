/** The demo itself, in a short form: the processes, the kills and the checks are the real ones. */
import { spawn } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { DemoResult } from '../../scripts/demo/run/demo-result.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const TIMEOUT_MS = 180_000

let dir: string

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'holdfast-demo-'))
})

afterEach(async () => {
  await rm(dir, { recursive: true, force: true })
})

async function runDemo(...options: readonly string[]) {
  const child = spawn(process.execPath, ['--import', 'tsx', 'scripts/demo.ts', '--dir', dir, ...options], { cwd: ROOT })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const exitCode = await new Promise<number | null>((resolveExit) => child.on('close', resolveExit))
  return { exitCode, stdout, stderr }
}

test(
  'a bot that is killed three times ends where one ends that is left alone',
  async () => {
    const { exitCode, stdout, stderr } = await runDemo('--json', '--share', '0.25')
    const result = JSON.parse(stdout) as DemoResult
    const failed = result.checks.filter((check) => !check.isPassed)
    expect(failed, stderr).toEqual([])
    expect({ exitCode, isPassed: result.isPassed }).toEqual({ exitCode: 0, isPassed: true })

    expect(result.kills.map(({ kind }) => kind)).toEqual(['entry', 'cancel', 'stop'])
    const [entry, cancel, stop] = result.kills.map(({ reconciliation }) => reconciliation.counts)
    expect(entry).toMatchObject({ positionsOpened: 1, stopsPlaced: 1 })
    expect(entry?.fillsImported).toBeGreaterThan(0)
    expect(cancel).toMatchObject({ stopsCleared: 1, stopsPlaced: 1 })
    expect(stop).toMatchObject({ positionsClosed: 1 })
    expect(stop?.fillsImported).toBeGreaterThan(0)
    expect(result.kills[2]?.barsAlone).toBeGreaterThan(0)

    const { killed, uninterrupted } = result.figures
    expect({ killed: killed.processes, uninterrupted: uninterrupted.processes }).toEqual({
      killed: 4,
      uninterrupted: 1,
    })
    expect({ killed: killed.bars, uninterrupted: uninterrupted.bars }).toEqual({
      killed: result.bars,
      uninterrupted: result.bars,
    })
    expect(uninterrupted.durableWrites).toBe(uninterrupted.acceptedWrites)
    for (const { acks, longestGapMs } of [killed, uninterrupted]) {
      expect(acks.p50Ms).toBeGreaterThan(0)
      expect(acks.maxMs).toBeGreaterThanOrEqual(acks.p999Ms)
      expect(longestGapMs).toBeGreaterThan(0)
    }
    expect(result.documents.killed).toEqual(result.documents.uninterrupted)
    expect(result.search.bytes).toBeGreaterThan(0)
    expect((await readdir(dir)).sort()).toEqual(['made-by-holdfast-demo', 'state'])
  },
  TIMEOUT_MS,
)

test(
  'what can not be checked has failed: exit code 1, and which check it was',
  async () => {
    // So few bars that the bot trades nothing, and there is no moment to kill it at.
    const { exitCode, stdout } = await runDemo('--share', '0.005')
    expect(exitCode).toBe(1)
    expect(stdout).toContain('✗')
    expect(stdout).toContain('Failed: Killed, restarted and reconciled.')
  },
  TIMEOUT_MS,
)

test('wrong options are told apart from a demo that failed', async () => {
  const { exitCode, stderr } = await runDemo('--share', 'much')
  expect(exitCode).toBe(2)
  expect(stderr).toContain('--share')
})
