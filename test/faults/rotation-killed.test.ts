/**
 * A process killed while it rotates its keys leaves a store that opens, with every acknowledged write and nothing that
 * was never written: with one password for certain, and with no key or password in any of its files.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { unlockKeyring } from '../../src/crypto/keyring.ts'
import { readKeyring } from '../../src/crypto/keyring-file.ts'
import { passwordBytes } from '../../src/crypto/password.ts'
import { ChildProgram } from './child-program.ts'
import { ownCollections } from './collections.ts'
import { openStore } from './compiled-store.ts'
import { reportFigures, seededRandom, shortOrLong } from './fault-run.ts'
import { Secrets } from './needles.ts'
import type { RotatorArguments } from './programs/rotator.ts'
import { codeOf } from './refusal.ts'
import { canMount, SmallDisk, WITHOUT_MOUNT } from './small-disk.ts'
import { KDF, PASSWORD } from './store-settings.ts'
import { temporaryDirectory } from './temporary-directory.ts'

const LONG_TEST_MS = 1_400_000
const KEYS = 100
const BARS = 1_500
const MIB = 1_048_576

interface Kill {
  readonly failpoint?: { readonly name: string; readonly hit: number }
  readonly afterMs?: number
}

/** A store that is killed and opened again, and what its owners have reported. */
class KilledStore {
  readonly dir: string
  password = PASSWORD
  kills = 0
  interrupted = 0
  acknowledged = 0
  readonly #secrets = new Map<string, string | Buffer>([['password', PASSWORD]])
  #next = 0

  constructor(dir: string) {
    this.dir = dir
  }

  async create(): Promise<void> {
    const store = await openStore({ dir: this.dir, password: PASSWORD, kdf: KDF, collections: ownCollections })
    const filler = Array.from({ length: BARS }, (_, n) => store.kv.set(`filler-${n}`, 'x'.repeat(1_000)))
    await Promise.all(filler)
    await store.close()
  }

  async kill(rotates: RotatorArguments['rotates'], kill: Kill): Promise<void> {
    const nextPasswords = Array.from({ length: 200 }, (_, n) => `the next password, ${this.kills} and ${n}`)
    const given: RotatorArguments = {
      dir: this.dir,
      password: this.password,
      rotates,
      from: this.#next,
      keys: KEYS,
      nextPasswords,
    }
    const { name, hit } = kill.failpoint ?? {}
    const program = ChildProgram.start('rotator', {
      arguments: given,
      environment: name === undefined ? {} : { HOLDFAST_FAILPOINT: `${name}=kill@${hit}` },
    })
    if (kill.afterMs !== undefined) {
      void program.line('rotating').then(() => setTimeout(() => program.kill('SIGKILL'), kill.afterMs))
    }
    const { signal } = await program.ended
    expect(signal, `${JSON.stringify(kill)}: ${program.errorText}`).toBe('SIGKILL')
    this.kills += 1
    await this.#findPassword(program, nextPasswords)
    await this.#rememberKeys()
    await this.#verify(program)
  }

  /** Nothing but the last password that was acknowledged, or the one under way, may open the store. */
  async #findPassword(program: ChildProgram, nextPasswords: readonly string[]): Promise<void> {
    const indexOf = (word: string) =>
      Number(program.lines.findLast((line) => line.startsWith(`${word} `))?.split(' ')[1] ?? -1)
    const acknowledged = nextPasswords[indexOf('rotated')] ?? this.password
    const underWay = nextPasswords[indexOf('rotating')] ?? acknowledged
    const found = await readKeyring(this.dir)
    if (found === undefined) throw new Error('the keyring is gone')
    const opening = await unlockKeyring(found.keyring, passwordBytes(acknowledged)).then(
      () => acknowledged,
      () => underWay,
    )
    this.password = opening
    this.#secrets.set(`password ${this.kills}`, opening)
  }

  async #rememberKeys(): Promise<void> {
    const found = await readKeyring(this.dir)
    if (found === undefined) throw new Error('the keyring is gone')
    const keys = await unlockKeyring(found.keyring, passwordBytes(this.password))
    this.#secrets.set(`data key ${this.kills}`, keys.dataKey)
    this.#secrets.set('sealing key', keys.sealingKey)
    if (keys.nextDataKey === undefined) return
    this.interrupted += 1
    this.#secrets.set(`next data key ${this.kills}`, keys.nextDataKey)
  }

  async #verify(program: ChildProgram): Promise<void> {
    const last = (word: string) =>
      Math.max(
        -1,
        ...program.lines.filter((line) => line.startsWith(`${word} `)).map((line) => Number(line.split(' ')[1])),
      )
    const issued = Math.max(this.#next - 1, last('issued'))
    const durable = Math.max(this.#next - 1, last('durable'))
    this.acknowledged += Math.max(0, durable - this.#next + 1)
    const store = await openStore({
      dir: this.dir,
      password: this.password,
      create: false,
      collections: ownCollections,
    })
    try {
      const values = Array.from(
        { length: KEYS },
        (_, key) => (store.kv.get(`k-${key}`)?.value as number | undefined) ?? -1,
      )
      const found = Math.max(...values)
      expect(found).toBeGreaterThanOrEqual(durable)
      expect(found).toBeLessThanOrEqual(issued)
      // What a prefix of the writes leaves behind: each key has the last number of it that was its own.
      const expected = Array.from({ length: KEYS }, (_, key) => lastOf(key, found))
      expect(values).toEqual(expected)
      expect(await store.kv.count()).toBe(BARS + expected.filter((value) => value >= 0).length)
      await expect.poll(async () => (await store.status()).keys.isRotating, { timeout: 20_000 }).toBe(false)
      expect((await store.check()).filter(({ code }) => code !== 'DISK_NEARLY_FULL')).toEqual([])
      this.#next = found + 1
    } finally {
      await store.close()
    }
  }

  /** No key and no password in any file, those left behind included. */
  expectNoSecrets(): void {
    const secrets = new Secrets(Object.fromEntries(this.#secrets))
    expect(secrets.findBelow(this.dir)).toEqual([])
  }
}

/** The largest number up to `end` that key `key` was written with. */
function lastOf(key: number, end: number): number {
  const last = end - ((((end - key) % KEYS) + KEYS) % KEYS)
  return last < 0 ? -1 : last
}

async function killedStore(): Promise<KilledStore> {
  const store = new KilledStore(join(temporaryDirectory(), 'store'))
  await store.create()
  return store
}

const DATA_KEY_FAILPOINTS: readonly [name: string, hit: number][] = [
  ['rotate:keyring-has-next', 1],
  ['rotate:before-rekey', 1],
  ['rotate:rekeyed', 1],
  ['rotate:file-done', 1],
  ['rotate:before-rekey', 2],
  ['rotate:rekeyed', 2],
  ['rotate:file-done', 2],
  ['rotate:before-promote', 1],
  ['rotate:promoted', 1],
]

test(
  'killed at each named point of a data-key rotation',
  async () => {
    const store = await killedStore()
    const rounds = shortOrLong(1, 8)
    for (let round = 0; round < rounds; round++) {
      for (const [name, hit] of DATA_KEY_FAILPOINTS) await store.kill('data key', { failpoint: { name, hit } })
    }
    store.expectNoSecrets()
    reportFigures(
      `data key, named points: ${store.kills} kills, ${store.interrupted} with two keys, ${store.acknowledged} acknowledged writes, none lost`,
    )
  },
  LONG_TEST_MS,
)

test(
  'killed at random moments of a data-key rotation',
  async () => {
    const random = seededRandom('rotate data key')
    const store = await killedStore()
    const rounds = shortOrLong(5, 140)
    for (let round = 0; round < rounds; round++) await store.kill('data key', { afterMs: random.between(0, 400) })
    store.expectNoSecrets()
    reportFigures(
      `data key, random moments: ${store.kills} kills, ${store.interrupted} with two keys, ${store.acknowledged} acknowledged writes, none lost`,
    )
  },
  LONG_TEST_MS,
)

test(
  'killed at named points and random moments of a password rotation',
  async () => {
    const random = seededRandom('rotate password')
    const store = await killedStore()
    const rounds = shortOrLong(2, 40)
    for (let round = 0; round < rounds; round++) {
      await store.kill('password', { failpoint: { name: 'key:before-write', hit: random.between(1, 3) } })
      await store.kill('password', { failpoint: { name: 'key:written', hit: random.between(1, 3) } })
      await store.kill('password', { afterMs: random.between(0, 300) })
    }
    store.expectNoSecrets()
    reportFigures(`password: ${store.kills} kills, ${store.acknowledged} acknowledged writes, none lost`)
  },
  LONG_TEST_MS,
)

test.skipIf(!canMount)(
  `a disk that is too small for a rotation refuses it before anything has changed (${canMount ? 'tmpfs' : WITHOUT_MOUNT})`,
  async () => {
    const disk = new SmallDisk(64 * MIB)
    const dir = join(disk.dir, 'store')
    const store = await openStore({ dir, password: PASSWORD, kdf: KDF })
    try {
      await Promise.all(Array.from({ length: 8_000 }, (_, n) => store.kv.set(`k-${n}`, 'x'.repeat(1_000))))
      await store.checkpoint()
      const { generation } = await store.keys.list()
      disk.fill(8 * MIB)
      expect(await codeOf(store.rotateDataKey())).toBe('DISK_FULL')
      expect((await store.keys.list()).generation).toBe(generation)
      await store.kv.set('after', 1)
      disk.free()
      await store.rotateDataKey()
      expect(readdirSync(dir)).not.toContain('state.db-journal')
      expect(store.kv.value('after')).toBe(1)
    } finally {
      await store.close()
    }
  },
)
