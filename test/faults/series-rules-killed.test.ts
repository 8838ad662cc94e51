/**
 * A rule that is broken off in the midst of it, at every border of its transaction: each point is there or is part of its longer
 * bar, never both and never neither, and the next run brings it to the end.
 */
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ChildProgram } from './child-program.ts'
import { shortOrLong } from './fault-run.ts'
import { temporaryDirectory } from './temporary-directory.ts'
import { openTestStore, openWithFailpoint, type TestStore } from './worker-faults.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const START = Date.UTC(2024, 0, 1)
/** Longer than one step of a rule. */
const HOURS = 31 * 24
const NOW = START + HOURS * HOUR
const POINTS = [
  'series:append-begun',
  'series-rules:downsampled',
  'series:delete-before-commit',
  'series:append-before-commit',
  'series:append-committed',
] as const

const minutes = Array.from({ length: HOURS * 60 }, (_, i) => START + i * MINUTE)
const columns = {
  ts: Float64Array.from(minutes),
  open: Float64Array.from(minutes, (_, i) => i),
  high: Float64Array.from(minutes, (_, i) => i + 1),
  low: Float64Array.from(minutes, (_, i) => i - 1),
  close: Float64Array.from(minutes, (_, i) => i + 0.5),
  volume: Float64Array.from(minutes, () => 1),
}

const template = mkdtempSync(join(tmpdir(), 'holdfast-rules-'))

beforeAll(async () => {
  const filled = await openTestStore(template)
  await filled.bars.append('K', '1m', columns)
  await filled.seriesRules.set('r', { kind: 'bars', interval: '1m', keep: '1d', downsample: ['1h'] })
  await filled.close()
})

afterAll(() => rmSync(template, { recursive: true, force: true }))

function filledStore(): string {
  const dir = temporaryDirectory()
  cpSync(template, dir, { recursive: true })
  return dir
}

/** Hours that were made, and minutes from there on. */
async function expectWhole(store: TestStore): Promise<number> {
  const hours = await store.bars.range('K', '1h')
  expect(hours.ts).toEqual(hours.ts.map((_, i) => START + i * HOUR))
  expect(hours.open).toEqual(hours.ts.map((_, i) => i * 60))
  expect(hours.close).toEqual(hours.ts.map((_, i) => i * 60 + 59.5))
  expect(hours.volume).toEqual(hours.ts.map(() => 60))
  const left = await store.bars.range('K', '1m', { columns: ['open'] })
  expect(left.open).toEqual(columns.open.subarray(hours.length * 60))
  return hours.length
}

async function expectDone(store: TestStore): Promise<void> {
  expect(await expectWhole(store)).toBe(HOURS - 24)
  expect(await store.check()).toEqual([])
}

/** There are two steps, so the second hit is in the second. */
const BORDERS = POINTS.flatMap((point) => Array.from({ length: shortOrLong(1, 2) }, (_, i) => [point, i + 1] as const))

test.each(BORDERS)('the worker dies at %s, hit %i: another one goes on', { timeout: 600_000 }, async (point, hit) => {
  const store = await openWithFailpoint(filledStore(), `${point}=exit@${hit}`, { maintenance: false })
  await store.seriesRules.apply({ nowMs: NOW })
  expect(store.stats().workerRestarts).toBe(1)
  await expectDone(store)
  await store.close()
})

test.each(BORDERS)('it fails at %s, hit %i: what was done is whole', { timeout: 600_000 }, async (point, hit) => {
  const store = await openWithFailpoint(filledStore(), `${point}=throw@${hit}`, { maintenance: false })
  await expect(store.seriesRules.apply({ nowMs: NOW })).rejects.toMatchObject({ code: expect.any(String) })
  const isCommitted = point === 'series:append-committed'
  const made = await expectWhole(store)
  if (hit === 1) expect(made > 0).toBe(isCommitted)
  else expect(made).toBe(isCommitted ? HOURS - 24 : 28 * 24)
  await store.seriesRules.apply({ nowMs: NOW })
  await expectDone(store)
  await store.close()
})

test.each(BORDERS)('the process is killed at %s, hit %i: so is it then', { timeout: 600_000 }, async (point, hit) => {
  const dir = filledStore()
  const environment = { HOLDFAST_FAILPOINT: `${point}=kill@${hit}` }
  const program = ChildProgram.start('series-rules-applier', { arguments: { dir, nowMs: NOW }, environment })
  expect((await program.ended).signal, program.errorText).toBe('SIGKILL')
  const store = await openTestStore(dir, { maintenance: false })
  await expectWhole(store)
  await store.seriesRules.apply({ nowMs: NOW })
  await expectDone(store)
  await store.close()
})
