/**
 * A process can die between any two file operations. Here every operation counts down to a crash: the chosen one and
 * all after it fail (a chosen write leaves half its bytes), which is what the directory looks like after SIGKILL.
 */

import type { FileHandle } from 'node:fs/promises'
import * as fs from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { beforeAll, expect, test, vi } from 'vitest'
import { createKeyring, type Keyring } from '../../src/crypto/keyring.ts'
import {
  KEYRING_BACKUP_FILE,
  KEYRING_FILE,
  readKeyring,
  restoreKeyringCopies,
  writeKeyring,
} from '../../src/crypto/keyring-file.ts'
import { passwordBytes } from '../../src/crypto/password.ts'

const machine = vi.hoisted(() => ({ stepsUntilCrash: Number.POSITIVE_INFINITY, log: [] as string[] }))

vi.mock('node:fs/promises', async (importActual) => {
  const actual = await importActual<typeof fs>()
  const name = (path: unknown): string => String(path).split('/').at(-1) ?? ''

  async function step<T>(entry: string, work: () => Promise<T>, torn?: () => Promise<void>): Promise<T> {
    machine.stepsUntilCrash -= 1
    if (machine.stepsUntilCrash === 0) await torn?.()
    if (machine.stepsUntilCrash <= 0) throw new Error('crashed')
    machine.log.push(entry)
    return await work()
  }

  function watched(file: FileHandle, path: unknown): FileHandle {
    return new Proxy(file, {
      get(target, property) {
        if (property === 'sync') return () => step(`fsync ${name(path)}`, () => target.sync())
        if (property === 'chmod') return (mode: number) => step(`chmod ${name(path)}`, () => target.chmod(mode))
        if (property === 'writeFile') {
          return (content: string) =>
            step(
              `write ${name(path)}`,
              () => target.writeFile(content),
              () => target.writeFile(content.slice(0, content.length / 2)),
            )
        }
        const value: unknown = Reflect.get(target, property)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
  }

  return {
    ...actual,
    open: async (path: string, flags: string, mode?: number) =>
      watched(await step(`open ${name(path)}`, () => actual.open(path, flags, mode)), path),
    rename: (from: string, to: string) => step(`rename ${name(from)} ${name(to)}`, () => actual.rename(from, to)),
    rm: (path: string, options: object) => step(`rm ${name(path)}`, () => actual.rm(path, options)),
  }
})

let first: Keyring
let second: Keyring

beforeAll(async () => {
  const made = await createKeyring({
    password: passwordBytes('correct horse battery staple'),
    cost: { memoryKiB: 19_456, iterations: 2, parallelism: 1 },
    now: new Date('2026-01-02T03:04:05Z'),
  })
  first = made.keyring
  second = { ...first, generation: 2 }
})

async function inDirectory(run: (dir: string) => Promise<void>): Promise<void> {
  const dir = await fs.mkdtemp(join(tmpdir(), 'holdfast-crash-'))
  try {
    await run(dir)
  } finally {
    await fs.rm(dir, { recursive: true, force: true })
  }
}

/** Runs `work` in a fresh directory, once for every operation it can die at. */
async function atEveryStep(
  prepare: (dir: string) => Promise<void>,
  work: (dir: string) => Promise<unknown>,
  check: (dir: string) => Promise<void>,
): Promise<number> {
  for (let crashAt = 1; ; crashAt += 1) {
    let survived = false
    await inDirectory(async (dir) => {
      await prepare(dir)
      machine.stepsUntilCrash = crashAt
      survived = await work(dir).then(
        () => true,
        () => false,
      )
      machine.stepsUntilCrash = Number.POSITIVE_INFINITY
      await check(dir)
    })
    if (survived) return crashAt - 1
  }
}

async function settles(dir: string, keyring: Keyring): Promise<void> {
  const names = (await fs.readdir(dir)).filter((name) => !name.includes('.damaged-')).sort()
  expect(names).toStrictEqual([KEYRING_BACKUP_FILE, KEYRING_FILE])
  expect(await readKeyring(dir)).toStrictEqual({ keyring, damagedCopies: [] })
}

test('a crash at any step of a change leaves the old keyring or the new one, and the next write cleans up', async () => {
  const seen = new Set<number>()
  const steps = await atEveryStep(
    (dir) => writeKeyring(dir, first),
    (dir) => writeKeyring(dir, second),
    async (dir) => {
      const read = await readKeyring(dir)
      expect([first, second]).toContainEqual(read?.keyring)
      seen.add(read?.keyring.generation ?? 0)
      if (read !== undefined) await restoreKeyringCopies(dir, read.keyring, read.damagedCopies)
      expect(await readKeyring(dir)).toStrictEqual({ keyring: read?.keyring, damagedCopies: [] })
      const third = { ...first, generation: 3 }
      await writeKeyring(dir, third)
      await settles(dir, third)
    },
  )
  expect(steps).toBeGreaterThan(12)
  expect([...seen].sort()).toStrictEqual([1, 2])
})

test('a crash at any step of the first write leaves no keyring or the keyring', async () => {
  await atEveryStep(
    () => Promise.resolve(),
    (dir) => writeKeyring(dir, first),
    async (dir) => {
      expect([undefined, first]).toContainEqual((await readKeyring(dir))?.keyring)
      await writeKeyring(dir, first)
      expect(await readKeyring(dir)).toStrictEqual({ keyring: first, damagedCopies: [] })
    },
  )
})

test.each([
  KEYRING_FILE,
  KEYRING_BACKUP_FILE,
])('a crash at any step of restoring a damaged %s loses neither the keyring nor the damaged bytes', async (damaged) => {
  await atEveryStep(
    async (dir) => {
      await writeKeyring(dir, first)
      await fs.writeFile(join(dir, damaged), 'damage')
    },
    (dir) => restoreKeyringCopies(dir, first, [damaged]),
    async (dir) => {
      const read = await readKeyring(dir)
      expect(read?.keyring).toStrictEqual(first)
      await restoreKeyringCopies(dir, first, read?.damagedCopies ?? [])
      await settles(dir, first)
      expect(await fs.readFile(join(dir, `${damaged}.damaged-1`), 'utf8')).toBe('damage')
    },
  )
})

test('a crash while both damaged copies are replaced never makes the directory look empty', async () => {
  await atEveryStep(
    async (dir) => {
      for (const name of [KEYRING_FILE, KEYRING_BACKUP_FILE]) await fs.writeFile(join(dir, name), 'damage')
    },
    (dir) => writeKeyring(dir, first),
    async (dir) => {
      const outcome = await readKeyring(dir).catch((error: { code: string }) => error.code)
      expect(outcome).not.toBeUndefined()
      if (typeof outcome === 'string') expect(outcome).toBe('KEYRING_CORRUPT')
      await writeKeyring(dir, first)
      await settles(dir, first)
    },
  )
})

test('everything is fsynced before the first rename, and the folder after each', async () => {
  await inDirectory(async (dir) => {
    await writeKeyring(dir, first)
    machine.log.length = 0
    await writeKeyring(dir, second)
    const folder = basename(dir)
    expect(machine.log.filter((entry) => /^(write|fsync|rename)/.test(entry))).toStrictEqual([
      'write keyring.json.tmp',
      'fsync keyring.json.tmp',
      'write keyring.backup.json.tmp',
      'fsync keyring.backup.json.tmp',
      'rename keyring.json.tmp keyring.json',
      `fsync ${folder}`,
      'rename keyring.backup.json.tmp keyring.backup.json',
      `fsync ${folder}`,
    ])
  })
})
