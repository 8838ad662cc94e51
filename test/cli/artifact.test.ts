/** `holdfast artifact`: files in, files out, and what scripts rely on. */
import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { holdfast, runCommand } from './run-command.ts'
import { makeStore, temporaryDirectory } from './test-store.ts'

const json = (stdout: string) => JSON.parse(stdout)

test('a file goes in with what is known of it, and comes out as it was', async () => {
  const dir = await makeStore(async (store) => {
    await store.artifacts.put('features', Buffer.from('f'))
  })
  const folder = temporaryDirectory()
  const [file, out] = [join(folder, 'model.bin'), join(folder, 'out.bin')]
  writeFileSync(file, randomBytes(3_000_000))
  const about = [
    '--tag',
    'candidate',
    '--metadata',
    'layers=[64,64]',
    '--metadata',
    'framework=onnx',
    '--metric',
    'sharpe=1.8',
  ]
  const args = ['--dir', dir, 'artifact', 'put', 'model', file, ...about, '--parent', 'features@1']
  const put = await holdfast('--json', ...args)
  expect(json(put.stdout)).toMatchObject({ name: 'model', version: 1, bytes: 3_000_000, newBytes: 3_000_000 })
  expect((await holdfast(...args)).stdout).toBe('Stored model version 2: 2.9 MiB, of which 0 B had to be written.\n')

  const info = json((await holdfast('--dir', dir, '--json', 'artifact', 'info', 'model', 'candidate')).stdout)
  expect(info).toMatchObject({
    version: 2,
    tags: ['candidate'],
    metadata: { layers: [64, 64], framework: 'onnx' },
    metrics: { sharpe: 1.8 },
    lineage: { ancestors: [{ name: 'features', version: 1, distance: 1, isDeleted: false }], descendants: [] },
  })
  const shown = (await holdfast('--dir', dir, 'artifact', 'info', 'model')).stdout
  expect(shown).toContain('made from  features@1')

  const got = await holdfast('--dir', dir, '--json', 'artifact', 'get', 'model', '1', '--out', out)
  expect(json(got.stdout)).toMatchObject({ version: 1, file: out })
  expect(readFileSync(out).equals(readFileSync(file))).toBe(true)
  expect(statSync(out).mode & 0o777).toBe(0o600)
  expect((await holdfast('--dir', dir, 'artifact', 'get', 'model', '--out', out)).exitCode).toBe(10)
  expect((await holdfast('--dir', dir, 'artifact', 'get', 'model', '--out', out, '--force')).exitCode).toBe(0)
})

test('standard input and output do, too', async () => {
  const dir = await makeStore()
  const put = await runCommand({ args: ['--dir', dir, 'artifact', 'put', 'notes', '-'], input: 'line\n' })
  expect(put.stdout).toBe('Stored notes version 1: 5 B, of which 5 B had to be written.\n')
  expect((await holdfast('--dir', dir, 'artifact', 'get', 'notes')).stdout).toBe('line\n')
})

test('lists, tags, metrics, deletion and garbage', async () => {
  const dir = await makeStore(async ({ artifacts }) => {
    await artifacts.put('a', Buffer.from('1'), { tags: ['old'] })
    await artifacts.put('a', Buffer.from('2'))
    await artifacts.put('b', Buffer.from('3'))
  })
  const run = async (...args: readonly string[]) =>
    json((await holdfast('--dir', dir, '--json', 'artifact', ...args)).stdout)
  const names = (versions: { name: string; version: number }[]) =>
    versions.map((each) => `${each.name}@${each.version}`)
  expect(names(await run('list'))).toEqual(['a@2', 'b@1'])
  expect(names(await run('list', '--tag', 'old'))).toEqual(['a@1'])
  expect(names(await run('list', '--prefix', 'b'))).toEqual(['b@1'])
  expect(names(await run('versions', 'a'))).toEqual(['a@2', 'a@1'])
  await run('tag', 'a', '2', 'production')
  await run('untag', 'a', 'old')
  await run('metrics', 'a', '2', '--metric', 'sharpe=2')
  expect(await run('info', 'a')).toMatchObject({ tags: ['production'], metrics: { sharpe: 2 } })
  const table = (await holdfast('--dir', dir, 'artifact', 'list')).stdout
  expect(table).toMatch(/name +version +size +created +tags +metrics/)
  expect(table).toMatch(/a +2 +1 B +20\S+ +production +sharpe=2/)
  expect((await holdfast('--dir', dir, 'artifact', 'delete', 'a')).exitCode).toBe(2)
  expect(await run('delete', 'a', '1')).toEqual({ versions: 1, freedBytes: 1 })
  expect(await run('delete', 'a', '--all-versions')).toEqual({ versions: 1, freedBytes: 1 })
  expect((await holdfast('--dir', dir, 'artifact', 'info', 'a')).exitCode).toBe(3)
  expect(await run('gc')).toMatchObject({ files: 0, isDeferred: false })
})

test('damage has an exit code, in verify, get and check', async () => {
  const dir = await makeStore(async ({ artifacts }) => {
    await artifacts.put('model', randomBytes(1_000))
  })
  expect((await holdfast('--dir', dir, 'artifact', 'verify')).stdout).toBe('1 chunk, 1000 B: all as stored.\n')
  const [path] = readdirSync(join(dir, 'blobs'), { recursive: true, encoding: 'utf8' })
    .map((name) => join(dir, 'blobs', name))
    .filter((name) => statSync(name).isFile()) as [string]
  rmSync(path)
  const verify = await holdfast('--dir', dir, '--json', 'artifact', 'verify', 'model')
  expect(verify.exitCode).toBe(11)
  expect(json(verify.stdout)).toMatchObject({ ok: false, damage: [{ name: 'model', version: 1, problem: 'missing' }] })
  const out = join(temporaryDirectory(), 'out')
  const get = await holdfast('--dir', dir, '--json', 'artifact', 'get', 'model', '--out', out)
  expect(get.exitCode).toBe(7)
  expect(json(get.stderr)).toMatchObject({ error: { code: 'ARTIFACT_DAMAGED' } })
  expect(existsSync(out)).toBe(false)
  expect((await holdfast('--dir', dir, 'check')).exitCode).toBe(11)
})

test('what can not be read is told, and makes no version', async () => {
  const dir = await makeStore()
  const run = await holdfast('--dir', dir, '--json', 'artifact', 'put', 'a', join(dir, 'nowhere'))
  expect(run.exitCode).toBe(13)
  expect(json(run.stderr)).toMatchObject({ error: { code: 'IO_ERROR' } })
  expect((await holdfast('--dir', dir, 'artifact', 'put', 'a', '/dev/null', '--metric', 'x=y')).exitCode).toBe(2)
  expect((await holdfast('--dir', dir, 'artifact', 'put', 'a', '/dev/null', '--parent', 'x')).exitCode).toBe(2)
  expect(json((await holdfast('--dir', dir, '--json', 'artifact', 'list')).stdout)).toEqual([])
})
