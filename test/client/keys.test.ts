/** Keys of a real store: who opens it afterwards, what a running owner notices, and what is left when it is killed. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { defineCollection, openKeyring, openStore, type RotationProgress, type Store, z } from '../../src/index.ts'
import { FIRST_VERSION } from '../crypto/fixtures/first-version.ts'
import { codeOf, FAST_KDF, openTempStore, PASSWORD } from './fixtures/temp-store.ts'

const SECOND = 'another horse, another staple'
const OPTIONS = { kdf: FAST_KDF } as const

async function reopened<T>(dir: string, password: string, use: (store: Store) => T | Promise<T>): Promise<T> {
  const store = await openStore({ dir, password, create: false })
  try {
    return await use(store)
  } finally {
    await store.close()
  }
}

describe('a password', () => {
  test('is replaced on a live store; writes go on, and only the new one opens it', async () => {
    const store = await openTempStore()
    await store.kv.set('a', 1)
    const slot = await store.rotatePassword(SECOND, OPTIONS)
    expect(slot).toMatchObject({ kind: 'password', kdf: FAST_KDF })
    await store.kv.set('b', 2)
    await store.close()
    expect(await codeOf(openStore({ dir: store.dir, password: PASSWORD, create: false }))).toBe('WRONG_PASSWORD')
    await reopened(store.dir, SECOND, (again) =>
      expect([again.kv.get('a')?.value, again.kv.get('b')?.value]).toEqual([1, 2]),
    )
  })

  test('that is weak, or looks like a recovery key, is refused and nothing changes', async () => {
    const store = await openTempStore()
    const { generation } = await store.keys.list()
    expect(await codeOf(store.rotatePassword('short'))).toBe('PASSWORD_TOO_WEAK')
    expect(await codeOf(store.rotatePassword('hfrk-no-recovery-key-at-all'))).toBe('RECOVERY_KEY_MISTYPED')
    expect((await store.keys.list()).generation).toBe(generation)
  })

  test('is changed beside a running owner, which outlives its worker with the password it knows', async () => {
    const store = await openTempStore()
    await store.kv.set('a', 1)
    await openKeyring({ dir: store.dir, password: PASSWORD }).rotatePassword(SECOND, OPTIONS)
    expect(await codeOf(store.keys.list())).toBe('WRONG_PASSWORD')
    await store.kv.set('b', 2)
    await store.close()
    await reopened(store.dir, SECOND, (again) => expect(again.kv.get('b')?.value).toBe(2))
  })

  test('two operators at once lose no slot', async () => {
    const store = await openTempStore()
    const labels = ['one', 'two', 'three', 'four']
    await Promise.all(
      labels.map((label, index) => {
        const keys = index % 2 === 0 ? store.keys : openKeyring({ dir: store.dir, password: PASSWORD })
        return keys.add(`the password of number ${label}`, { label, ...OPTIONS })
      }),
    )
    const { slots, generation } = await store.keys.list()
    expect(slots.map(({ label }) => label).sort()).toEqual([...labels, null].sort())
    expect(generation).toBe(5)
  })
})

describe('keyslots', () => {
  test('the last one stays; removed ones open nothing', async () => {
    const store = await openTempStore()
    const [first] = (await store.keys.list()).slots
    expect(await codeOf(store.keys.remove(first?.id as string))).toBe('LAST_KEYSLOT')
    const second = await store.keys.add(SECOND, { label: 'on-call', ...OPTIONS })
    await store.keys.remove(second.id)
    await store.close()
    expect(await codeOf(openStore({ dir: store.dir, password: SECOND, create: false }))).toBe('WRONG_PASSWORD')
  })

  test('a lost password is replaced with the recovery key, and the recovery key stays', async () => {
    const store = await openTempStore()
    const { recoveryKey, slot } = await store.keys.addRecoveryKey({ label: 'safe', ...OPTIONS })
    await store.close()
    const typed = recoveryKey.toLowerCase().replaceAll('-', ' ').replace(' ', '-')
    await openKeyring({ dir: store.dir, password: typed }).rotatePassword(SECOND, OPTIONS)
    await reopened(store.dir, SECOND, async (again) => {
      expect((await again.keys.list()).slots.map(({ kind }) => kind).sort()).toEqual(['password', 'recovery'])
      expect((await again.status()).keys.slots.some(({ id }) => id === slot.id)).toBe(true)
    })
  })

  test('the cost of argon2id is raised in place, and never lowered', async () => {
    const store = await openTempStore()
    const dearer = { ...FAST_KDF, iterations: 3 }
    expect(await store.keys.raiseCost(dearer)).toMatchObject({ kdf: dearer })
    expect(await codeOf(store.keys.raiseCost(FAST_KDF))).toBe('INVALID_ARGUMENT')
    await store.close()
    await reopened(store.dir, PASSWORD, (again) => expect(again.created).toBe(false))
  })

  test('what they are named is authenticated', async () => {
    const store = await openTempStore()
    await store.keys.add(SECOND, { label: 'mine', ...OPTIONS })
    expect(await codeOf(store.keys.add('a third password, long enough', { label: 'mine' }))).toBe('CONSTRAINT')
    expect(await codeOf(store.keys.add('a third password, long enough', { label: 'a\nb' }))).toBe('INVALID_ARGUMENT')
  })
})

describe('a key from a command', () => {
  const KEY = 'a2V5IGZyb20gYW4gSFNNLCAzMiBieXRlcw=='

  function program(script: string): string {
    const dir = mkdtempSync(join(tmpdir(), 'holdfast-command-'))
    onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
    const path = join(dir, 'print key')
    writeFileSync(path, `#!/bin/sh\n${script}\n`, { mode: 0o700 })
    return path
  }

  test('opens the store, with arguments passed as they are and no shell between', async () => {
    const store = await openTempStore()
    const path = program(`[ "$1" = '$(exit 1); x' ] && echo '${KEY}'`)
    const command = [path, '$(exit 1); x']
    expect(await store.keys.addCommand(command, OPTIONS)).toMatchObject({ kind: 'command' })
    await store.close()
    const again = await openStore({ dir: store.dir, unlockCommand: command, create: false })
    await again.close()
    const shell = { shell: `'${path}' '$(exit 1); x'` }
    expect((await openKeyring({ dir: store.dir, unlockCommand: shell }).list()).slots).toHaveLength(2)
  })

  test.each([
    ['fails', 'exit 3', 'exit code 3'],
    ['prints nothing', 'true', 'printed nothing'],
    ['prints without end', 'yes secret-output', 'more than 4096 bytes'],
    ['prints bytes that are no text', "printf '\\377\\376'", 'no text'],
  ])('that %s is named as such, and what it printed is not repeated', async (_how, script, message) => {
    const error = await openStore({ dir: '/nowhere', unlockCommand: program(script) }).catch((each) => each)
    expect(error).toMatchObject({ code: 'UNLOCK_COMMAND_FAILED' })
    expect(error.message).toContain(message)
    expect(error.message).not.toContain('secret-output')
  })

  test('that is not there is named as such', async () => {
    expect(await codeOf(openStore({ dir: '/nowhere', unlockCommand: '/no/such/program' }))).toBe(
      'UNLOCK_COMMAND_FAILED',
    )
  })
})

describe('the data key', () => {
  const bars = defineCollection({
    name: 'bars',
    key: 'id',
    schema: z.object({ id: z.string(), v: z.number() }),
    file: 'market',
  })

  test('is rotated under writes and reads; all of it opens afterwards, sealed fields too', async () => {
    const store = await openTempStore({ collections: { barRows: bars } })
    const { recoveryKey } = await store.keys.addRecoveryKey(OPTIONS)
    await store.wallets.insert({ address: '0x1', chain: 'eth', privateKey: 'the sealed one' })
    const documents = Array.from({ length: 2_000 }, (_, index) => store.kv.set(`key-${index}`, 'x'.repeat(500) + index))
    await Promise.all(documents)
    await store.barRows.put({ id: 'b', v: 1 })
    const before = (await store.status()).keys
    const seen: RotationProgress[] = []
    const writes: Promise<unknown>[] = []
    let isDone = false
    const rotating = store.rotateDataKey({ onProgress: (progress) => seen.push(progress) }).finally(() => {
      isDone = true
    })
    for (let index = 0; !isDone; index++) {
      writes.push(store.kv.set(`during-${index % 50}`, index))
      expect(store.kv.get(`during-${index % 50}`)?.value).toBe(index)
      expect(await store.barRows.get('b')).toMatchObject({ v: 1 })
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    const rotated = await rotating
    await Promise.all(writes)
    expect(rotated).toMatchObject({ isRotating: false, files: ['state.db', 'market.db'] })
    expect(rotated.dataKeyCreatedAtMs).toBeGreaterThan(before.dataKeyCreatedAtMs)
    expect(await store.check()).toEqual([])
    expect(await store.wallets.reveal('0x1', { actor: 'test', reason: 'test' })).toMatchObject({
      privateKey: 'the sealed one',
    })
    await store.rotateDataKey()
    await store.close()
    for (const password of [PASSWORD, recoveryKey]) {
      await reopened(store.dir, password, async (again) => {
        expect(again.kv.get('key-1999')?.value).toContain('1999')
        expect((await again.audit.verify()).ok).toBe(true)
      })
    }
  })

  test('a keyring of version 1 opens, and is of version 2 after a change', async () => {
    expect(JSON.parse(FIRST_VERSION)).toMatchObject({ version: 1 })
    const store = await openTempStore()
    expect(JSON.parse(readFileSync(join(store.dir, 'keyring.json'), 'utf8'))).toMatchObject({ version: 2 })
  })

  test('raw keys are given out only when asked for by name, and the trail has it', async () => {
    const store = await openTempStore()
    expect(await codeOf(store.keys.exportRaw({} as never))).toBe('INVALID_ARGUMENT')
    const raw = await store.keys.exportRaw({ yesGiveMeTheKeys: true, actor: 'auditor' })
    expect(raw.map(({ file }) => file)).toEqual(['state.db', 'market.db'])
    for (const { key } of raw) expect(key).toMatch(/^[0-9a-f]{64}$/)
    await store.close()
    await reopened(store.dir, PASSWORD, async (again) => {
      const entries = await again.sql('select event, actor from main."_audit" where event = ?', ['key.exported'])
      expect(entries).toEqual([{ event: 'key.exported', actor: 'auditor' }])
    })
  })

  test('a store that is closed during a rotation opens as ever, and goes on with it', async () => {
    const store = await openTempStore({ collections: { barRows: bars } })
    await Promise.all(Array.from({ length: 2_000 }, (_, index) => store.kv.set(`key-${index}`, 'x'.repeat(2_000))))
    const rotating = codeOf(store.rotateDataKey())
    while (!(await store.status()).keys.isRotating) await new Promise((resolve) => setTimeout(resolve, 2))
    await store.close()
    expect(['STORE_CLOSED', 'WORKER_LOST']).toContain(await rotating)
    await reopened(store.dir, PASSWORD, async (again) => {
      expect(again.kv.get('key-1999')?.value).toBe('x'.repeat(2_000))
      while ((await again.status()).keys.isRotating) await new Promise((resolve) => setTimeout(resolve, 5))
      expect(await again.check()).toEqual([])
    })
  })

  test('a store looked at beside its owner has no business with it', async () => {
    const store = await openTempStore()
    const reader = await openStore({ dir: store.dir, password: PASSWORD, readOnly: true })
    expect(await codeOf(reader.rotateDataKey())).toBe('READ_ONLY')
    await reader.close()
  })
})
