import { execFile } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { holdfast, PASSWORD, runCommand } from './run-command.ts'
import { makeStore, order, temporaryDirectory } from './test-store.ts'

const dir = await makeStore(async (store) => {
  await store.orders.insert(order(0))
})

test('backs up, lists, verifies, prunes and restores', async () => {
  const root = temporaryDirectory()
  const place = join(root, 'backups')
  const made = await holdfast('backup', '--dir', dir, '--to', place, '--json')
  expect(made.exitCode, made.stderr).toBe(0)
  const { id } = JSON.parse(made.stdout)
  await holdfast('backup', '--dir', dir, '--to', place)

  const listed = await holdfast('backup', 'list', '--from', place, '--json')
  expect(JSON.parse(listed.stdout)).toMatchObject({ backups: [{ id }, {}], damaged: [] })
  const verified = await holdfast('backup', 'verify', '--from', place, '--id', id)
  expect(verified.stdout).toContain(`Backup ${id} is whole, and made by this store`)
  const pruned = await holdfast('backup', 'prune', '--from', place, '--keep-last', '1', '--json')
  expect(JSON.parse(pruned.stdout)).toMatchObject({ removed: [id] })

  const restored = await holdfast('restore', '--from', place, '--dir', join(root, 'restored'))
  expect(restored.stdout).toMatch(/^Restored to .* sequence \d+/)
  const got = await holdfast('get', 'orders', order(0).id, '--dir', join(root, 'restored'), '--json')
  expect(JSON.parse(got.stdout)).toEqual(order(0))
  expect((await holdfast('restore', '--from', place, '--dir', join(root, 'restored'))).exitCode).toBe(10)
})

test('a backup is proven with a password file as with a password, and read without one', async () => {
  const place = join(temporaryDirectory(), 'backups')
  await holdfast('backup', '--dir', dir, '--to', place)
  const passwordFile = join(temporaryDirectory(), 'password.txt')
  writeFileSync(passwordFile, `${PASSWORD}\n`)
  const verify = async (args: readonly string[] = [], env: Readonly<Record<string, string>> = {}) =>
    await runCommand({ args: ['backup', 'verify', '--from', place, ...args], password: null, env })
  expect((await verify([], { HOLDFAST_PASSWORD_FILE: passwordFile })).stdout).toContain('made by this store')
  expect((await verify(['--password-file', passwordFile])).stdout).toContain('made by this store')
  expect((await verify()).stdout).toContain('not authenticated')
  writeFileSync(passwordFile, 'another horse, another battery, another staple')
  expect((await verify(['--password-file', passwordFile])).exitCode).toBe(5)
  expect((await verify(['--password-file', `${passwordFile}.gone`])).exitCode).toBe(5)
})

test('says what is missing by its exit code', async () => {
  const root = temporaryDirectory()
  expect((await holdfast('backup', '--dir', dir)).exitCode).toBe(2)
  expect((await holdfast('backup', 'prune', '--from', root)).exitCode).toBe(2)
  expect((await holdfast('restore', '--from', root, '--dir', join(root, 'x'))).exitCode).toBe(3)
})

test('the script for cron takes everything from the environment', async () => {
  const place = join(temporaryDirectory(), 'backups')
  const run = (env: Readonly<Record<string, string>>) =>
    promisify(execFile)(process.execPath, ['--import', import.meta.resolve('tsx'), 'scripts/backup.ts'], {
      env: { PATH: process.env.PATH ?? '', HOLDFAST_PASSWORD: PASSWORD, HOLDFAST_DIR: dir, ...env },
    })
  const { stdout } = await run({ HOLDFAST_BACKUP_TO: place, HOLDFAST_BACKUP_KEEP: 'last=2,daily=7' })
  expect(JSON.parse(stdout)).toMatchObject({ location: place, pruned: [] })
  await expect(run({})).rejects.toMatchObject({ code: 2 })
  await expect(run({ HOLDFAST_BACKUP_TO: place, HOLDFAST_BACKUP_KEEP: 'all' })).rejects.toMatchObject({ code: 2 })
  expect(existsSync(place)).toBe(true)
})
