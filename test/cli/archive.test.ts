import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { openStore } from '../../src/index.ts'
import { endOf, holdfast, PASSWORD, runCommand, startCommand } from './run-command.ts'
import { order, temporaryDirectory } from './test-store.ts'

const root = temporaryDirectory()
const dir = join(root, 'state')
const place = join(root, 'archive')
const sequences: number[] = []

const store = await openStore({
  dir,
  password: PASSWORD,
  kdf: { memoryKiB: 19_456, iterations: 2, parallelism: 1 },
  archive: { dir: place, intervalMs: 20 },
})
await vi.waitFor(async () => expect((await store.status()).archive?.generation).toEqual(expect.any(String)), 20_000)
for (const index of [0, 1, 2]) {
  await store.orders.insert(order(index))
  const [row] = await store.sql('select "_sequence" from main."orders" where "_key" = ?', [`o-${index}`])
  sequences.push(Number(row?._sequence))
}
await store.close()

async function ordersIn(restored: string): Promise<string[]> {
  const { stdout } = await holdfast('list', 'orders', '--dir', restored, '--json')
  return [...stdout.matchAll(/"id":\s*"(o-\d)"/g)].map(([, id]) => id as string).sort()
}

test('restores from an archive the latest moment, a sequence, and a time', async () => {
  const latest = await holdfast('restore', '--from', place, '--dir', join(root, 'latest'))
  expect(latest.stderr).toBe('')
  expect(latest).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^Restored to .*The archive reaches to/) })
  expect(await ordersIn(join(root, 'latest'))).toEqual(['o-0', 'o-1', 'o-2'])
  const one = ['--from', place, '--dir', join(root, 'one'), '--sequence', String(sequences[0]), '--json']
  const restored = await holdfast('restore', ...one)
  expect(JSON.parse(restored.stdout)).toMatchObject({ sequence: sequences[0], isComplete: true, movedAside: null })
  expect(await ordersIn(join(root, 'one'))).toEqual(['o-0'])
  const time = new Date(Date.now() + 60_000).toISOString()
  expect((await holdfast('restore', '--from', place, '--dir', join(root, 'at'), '--at', time)).exitCode).toBe(0)
  expect(await ordersIn(join(root, 'at'))).toEqual(['o-0', 'o-1', 'o-2'])
})

test('moves a store aside with --force only, and never writes over one', async () => {
  const where = join(root, 'forced')
  await holdfast('restore', '--from', place, '--dir', where)
  const first = ['--from', place, '--dir', where, '--sequence', String(sequences[1])]
  expect((await holdfast('restore', ...first)).exitCode).toBe(10)
  expect(await ordersIn(where)).toHaveLength(3)
  const { movedAside } = JSON.parse((await holdfast('restore', ...first, '--force', '--json')).stdout)
  expect(await ordersIn(where)).toEqual(['o-0', 'o-1'])
  expect(await ordersIn(movedAside)).toEqual(['o-0', 'o-1', 'o-2'])
})

test('records the restore in the trail, which is whole', async () => {
  const where = join(root, 'audited')
  await holdfast('restore', '--from', place, '--dir', where)
  const owner = await openStore({ dir: where, password: PASSWORD })
  const [entry] = await owner.sql(`select "data" from main."_audit" where "event" = 'store.restored'`)
  expect(JSON.parse(String(entry?.data))).toMatchObject({ sequence: expect.any(String), archive: expect.any(String) })
  await owner.close()
  const checked = await holdfast('check', '--dir', where)
  expect(checked.exitCode, checked.stdout).toBe(0)
})

test('refuses what does not go together and moments that are not there', async () => {
  const to = ['--from', place, '--dir', join(root, 'x')]
  expect((await holdfast('restore', ...to, '--at', '2026-01-01', '--sequence', '1')).exitCode).toBe(2)
  expect((await holdfast('restore', ...to, '--id', 'a', '--sequence', '1')).exitCode).toBe(2)
  expect((await holdfast('restore', ...to, '--at', 'yesterday')).exitCode).toBe(2)
  expect((await holdfast('restore', ...to, '--at', '2001-01-01')).exitCode).toBe(3)
  expect((await runCommand({ args: ['restore', ...to], password: 'not the right one at all' })).exitCode).not.toBe(0)
  expect(readdirSync(root).filter((name) => name.startsWith('x'))).toEqual([])
})

test('goes up to a damaged segment, names it, and says so by its exit code', async () => {
  const name = readdirSync(place, { recursive: true, encoding: 'utf8' })
    .filter((each) => /\/state\/.*\.segment$/.test(each))
    .sort()
    .at(-1) as string
  const path = join(place, name)
  const whole = readFileSync(path)
  const flipped = Buffer.from(whole)
  flipped[3_000] = (flipped[3_000] ?? 0) ^ 1
  writeFileSync(path, flipped)
  const run = await holdfast('restore', '--from', place, '--dir', join(root, 'cut'))
  writeFileSync(path, whole)
  expect(run.exitCode).toBe(7)
  expect(run.stderr).toContain(name.slice(-18))
})

test('a standby catches up without a password, follows until it is interrupted, and is promoted by opening it', async () => {
  const where = join(root, 'standby')
  const args = ['standby', '--from', place, '--dir', where]
  const once = await runCommand({ args: [...args, '--once'], password: null })
  expect(once).toMatchObject({ exitCode: 0, stderr: '', stdout: expect.stringContaining('caught up') })
  const child = startCommand({ args: [...args, '--json', '--poll-ms', '20'], password: null })
  let text = ''
  child.stdout?.on('data', (part: Buffer) => {
    text += String(part)
  })
  await expect.poll(() => text, { timeout: 20_000 }).toContain('"isCaughtUp":true')
  child.kill('SIGINT')
  expect(await endOf(child)).toEqual({ exitCode: null, signal: 'SIGINT' })
  expect((await holdfast('get', 'orders', 'o-2', '--dir', where)).exitCode).not.toBe(0)
  const promoted = await openStore({ dir: where, password: PASSWORD })
  const findings = (await promoted.check()).filter(({ code }) => code !== 'AUDIT_HEAD_MISSING')
  expect(findings).toEqual([])
  await promoted.close()
  expect(await ordersIn(where)).toEqual(['o-0', 'o-1', 'o-2'])
  expect((await runCommand({ args, password: null })).exitCode).toBe(10)
})
