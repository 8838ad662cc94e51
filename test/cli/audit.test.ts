import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, expect, test } from 'vitest'
import type { AuditEntry } from '../../src/index.ts'
import { endOf, holdfast, startCommand } from './run-command.ts'
import { makeStore, openTestStore, temporaryDirectory } from './test-store.ts'

const dir = await makeStore(async (store) => {
  for (const actor of ['ada', 'bob', 'ada']) {
    await store.audit.append({ actor, event: 'desk.did', data: { n: 1 }, causationId: 'ticket-7' })
  }
  await store.audit.append({ actor: 'eve', event: 'risk.raised' })
})

async function listed(...args: readonly string[]): Promise<AuditEntry[]> {
  const { stdout, stderr, exitCode } = await holdfast('audit', 'list', ...args, '--dir', dir, '--json')
  expect(stderr).toBe('')
  expect(exitCode).toBe(0)
  return JSON.parse(stdout)
}

describe('audit list', () => {
  test('prints the last entries, oldest first', async () => {
    const { stdout } = await holdfast('audit', 'list', '--limit', '3', '--dir', dir)
    const lines = stdout.trimEnd().split('\n')
    expect(lines[0]).toMatch(/^id\s+at\s+actor\s+event\s+cause\s+data$/)
    expect(lines[2]).toMatch(/^\s*\d+\s+\d{4}-\S+Z\s+ada\s+desk\.did\s+ticket-7\s+\{"n":1\}$/)
    expect(lines[3]).toMatch(/eve\s+risk\.raised/)
    expect(lines[4]).toMatch(/holdfast\s+store\.closed/)
  })

  test('goes by actor, event, namespace and time', async () => {
    expect(await listed('--actor', 'ada')).toHaveLength(2)
    expect(await listed('--event', 'desk.did', '--actor', 'bob')).toHaveLength(1)
    expect((await listed('--event', 'store.*')).map(({ event }) => event)).toEqual([
      'store.created',
      'store.opened',
      'store.closed',
    ])
    expect(await listed('--from', '2999-01-01')).toEqual([])
    expect(await listed('--to', '2000-01-01T10:15')).toEqual([])
    expect((await listed('--from', '2000-01-01', '--actor', 'eve'))[0]).toMatchObject({ event: 'risk.raised' })
  })

  test.each([
    ['--from', 'yesterday'],
    ['--limit', 'x'],
  ])('%s %s is wrong usage', async (...args) => {
    expect((await holdfast('audit', 'list', ...args, '--dir', dir)).exitCode).toBe(2)
  })
})

describe('audit verify', () => {
  test('says that the trail is whole, and gives its head, which status prints too', async () => {
    const { stdout, exitCode } = await holdfast('audit', 'verify', '--dir', dir)
    expect(exitCode).toBe(0)
    const head = /head (\d+:[0-9a-f]{32})\n$/.exec(stdout)?.[1] ?? ''
    expect((await holdfast('status', '--dir', dir)).stdout).toContain(head)
    expect((await holdfast('audit', 'verify', '--head', head, '--dir', dir)).exitCode).toBe(0)
  })

  test('exits with 11 when the head knows more, and names what is missing', async () => {
    const head = `999:${'0'.repeat(32)}`
    const text = await holdfast('audit', 'verify', '--head', head, '--dir', dir)
    expect(text.exitCode).toBe(11)
    expect(text.stdout).toMatch(/^cut: Entries \d+ to 999 are missing at the end/)
    const json = await holdfast('audit', 'verify', '--head', head, '--dir', dir, '--json')
    expect(json.exitCode).toBe(11)
    expect(JSON.parse(json.stdout)).toMatchObject({ ok: false, problems: [{ kind: 'cut' }] })
  })

  test('with a head that is none is wrong usage', async () => {
    expect((await holdfast('audit', 'verify', '--head', 'x', '--dir', dir)).exitCode).toBe(2)
  })
})

describe('audit export', () => {
  test('prints every entry with its MACs, one a line', async () => {
    const { stdout } = await holdfast('audit', 'export', '--jsonl', '--dir', dir)
    const entries = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as AuditEntry)
    expect(entries).toEqual(await listed('--limit', '1000'))
    expect(entries[1]?.previous).toBe(entries[0]?.mac)
  })

  test('writes a file that others can not read, and none over another', async () => {
    const out = join(temporaryDirectory(), 'trail.jsonl')
    const args = ['audit', 'export', '--actor', 'eve', '--out', out, '--dir', dir]
    expect((await holdfast(...args)).exitCode).toBe(0)
    expect(statSync(out).mode & 0o777).toBe(0o600)
    expect(JSON.parse(readFileSync(out, 'utf8'))).toMatchObject({ actor: 'eve' })
    expect((await holdfast(...args)).exitCode).toBe(10)
    expect((await holdfast(...args, '--force')).exitCode).toBe(0)
    expect(existsSync(`${out}.partial`)).toBe(false)
  })
})

describe('audit append', () => {
  test('appends as the owner when there is none', async () => {
    const own = await makeStore()
    const run = await holdfast(
      'audit',
      'append',
      'desk.noted',
      '--actor',
      'ada',
      '--data',
      '{"a":"1.10"}',
      '--cause',
      'c',
      '--dir',
      own,
    )
    expect(run).toMatchObject({ exitCode: 0, stdout: 'Appended.\n' })
    const { stdout } = await holdfast('audit', 'list', '--event', 'desk.*', '--dir', own, '--json')
    expect(JSON.parse(stdout)).toMatchObject([{ actor: 'ada', data: { a: '1.10' }, causationId: 'c', note: null }])
  })

  test.each([
    ['a built-in event', ['key.exported']],
    ['data that is no JSON', ['desk.noted', '--data', '{']],
    ['data that is no object', ['desk.noted', '--data', '[1]']],
    ['a number that would lose digits', ['desk.noted', '--data', '{"n":0.12345678901234567890}']],
  ])('of %s is refused', async (_, args) => {
    expect((await holdfast('audit', 'append', ...args, '--dir', dir)).exitCode).toBe(9)
  })
})

test('beside a running owner everything works: tail follows what it appends, append leaves what it takes in', async () => {
  const own = await makeStore()
  const owner = await openTestStore(own)
  const child = startCommand({ args: ['audit', 'tail', '-n', '1', '-f', '--json', '--dir', own] })
  const seen: AuditEntry[] = []
  createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => seen.push(JSON.parse(line)))
  try {
    await expect.poll(() => seen.length, { timeout: 30_000 }).toBe(1)
    await owner.audit.append({ actor: 'ada', event: 'desk.did' })
    const run = await holdfast('audit', 'append', 'desk.noted', '--actor', 'bob', '--dir', own)
    expect(run).toMatchObject({ exitCode: 0, stdout: 'Left for the owner of the store, which takes it in.\n' })
    await expect.poll(() => seen.map(({ actor }) => actor), { timeout: 30_000 }).toEqual(['holdfast', 'ada', 'bob'])
    expect((await holdfast('audit', 'verify', '--dir', own)).exitCode).toBe(0)
  } finally {
    child.kill('SIGINT')
    expect(await endOf(child)).toMatchObject({ signal: 'SIGINT' })
    await owner.close()
  }
})
