/** Every change of a keyring, alone and in any order: who can open it afterwards, and what nobody can. */
import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  createKeyring,
  type KeyringV2,
  parseKeyring,
  serializeKeyring,
  unlockKeyring,
} from '../../src/crypto/keyring.ts'
import {
  addNextDataKey,
  addSlot,
  dropNextDataKey,
  promoteNextDataKey,
  removeSlot,
  replaceSlot,
  upgradeKeyring,
} from '../../src/crypto/keyring-change.ts'
import { openKeyslot } from '../../src/crypto/keyslot.ts'
import { passwordBytes } from '../../src/crypto/password.ts'
import { createRecoveryKey } from '../../src/crypto/recovery-key.ts'
import { FIRST_VERSION, FIRST_VERSION_KEYS } from './fixtures/first-version.ts'

const COST = { memoryKiB: 19_456, iterations: 2, parallelism: 1 }
const NOW = new Date('2026-03-01T00:00:00.000Z')
const PASSWORD = passwordBytes('correct horse battery staple')
const SECOND = passwordBytes('another horse, another staple')
const RECOVERY = passwordBytes(createRecoveryKey())

const made = await createKeyring({ password: PASSWORD, cost: COST, now: NOW })
const passwordSlot = { kind: 'password', label: 'second', secret: SECOND, cost: COST, now: NOW } as const
const recoverySlot = { kind: 'recovery', label: null, secret: RECOVERY, cost: COST, now: NOW } as const

function reread(keyring: KeyringV2): KeyringV2 {
  return parseKeyring(serializeKeyring(keyring)) as KeyringV2
}

test('a slot that was added opens, and the others still do', async () => {
  const { keyring, slot } = await addSlot(made.keyring, made, passwordSlot)
  expect(keyring.generation).toBe(2)
  expect(await unlockKeyring(reread(keyring), SECOND)).toMatchObject({ dataKey: made.dataKey, slotId: slot.id })
  expect(await unlockKeyring(reread(keyring), PASSWORD)).toMatchObject({ sealingKey: made.sealingKey })
})

test('two slots of one label, and more than sixteen, are refused', async () => {
  const { keyring } = await addSlot(made.keyring, made, passwordSlot)
  await expect(addSlot(keyring, made, passwordSlot)).rejects.toMatchObject({ code: 'CONSTRAINT' })
  const full = { ...keyring, slots: Array.from({ length: 16 }, () => keyring.slots[0] as KeyringV2['slots'][0]) }
  await expect(addSlot(full, made, recoverySlot)).rejects.toMatchObject({ code: 'CONSTRAINT' })
})

test('a replaced password opens nothing any more, and its successor keeps the label', async () => {
  const before = await addSlot(made.keyring, made, passwordSlot)
  const third = passwordBytes('a third horse and its staple')
  const { keyring, slot } = await replaceSlot(before.keyring, made, before.slot.id, { ...passwordSlot, secret: third })
  expect(slot).toMatchObject({ label: 'second', kind: 'password' })
  expect(await unlockKeyring(reread(keyring), third)).toMatchObject({ slotId: slot.id })
  await expect(unlockKeyring(reread(keyring), SECOND)).rejects.toMatchObject({ code: 'WRONG_PASSWORD' })
})

test('the last slot stays, and a slot that is not there is named', async () => {
  const id = made.keyring.slots[0]?.id as string
  expect(() => removeSlot(made.keyring, made, id)).toThrow(expect.objectContaining({ code: 'LAST_KEYSLOT' }))
  expect(() => removeSlot(made.keyring, made, '0000000000000000')).toThrow(
    expect.objectContaining({ code: 'NOT_FOUND' }),
  )
})

test('during a rotation each slot gives both keys, afterwards the next one alone', async () => {
  const { keyring } = await addSlot(made.keyring, made, recoverySlot)
  const next = randomBytes(32)
  const during = addNextDataKey(keyring, made, next, new Date('2026-04-01T00:00:00.000Z'))
  for (const secret of [PASSWORD, RECOVERY]) {
    expect(await unlockKeyring(reread(during), secret)).toMatchObject({ dataKey: made.dataKey, nextDataKey: next })
  }
  const after = promoteNextDataKey(during, { ...made, nextDataKey: next })
  expect(after.dataKeys).toHaveLength(1)
  expect(after.dataKeys[0]?.createdAt).toBe('2026-04-01T00:00:00.000Z')
  for (const secret of [PASSWORD, RECOVERY]) {
    expect(await unlockKeyring(reread(after), secret)).toMatchObject({
      dataKey: next,
      sealingKey: made.sealingKey,
      nextDataKey: undefined,
    })
  }
})

test('a rotation that is dropped leaves the data key as it was', async () => {
  const during = addNextDataKey(made.keyring, made, randomBytes(32), NOW)
  const after = dropNextDataKey(during, made)
  expect(await unlockKeyring(reread(after), PASSWORD)).toMatchObject({ dataKey: made.dataKey, nextDataKey: undefined })
})

test('who had the old data key and a removed password gets nothing out of a keyring made after them', async () => {
  const old = await addSlot(made.keyring, made, passwordSlot)
  const removed = removeSlot(old.keyring, made, old.slot.id).keyring
  const next = randomBytes(32)
  const during = addNextDataKey(removed, made, next, NOW)
  const after = promoteNextDataKey(during, { ...made, nextDataKey: next })
  const ids = after.dataKeys.map(({ id }) => id)
  const boxes = after.slots.flatMap(({ boxes }) => boxes)
  // The old slot opens with its password as ever, but no box of the new keyring is for it.
  expect(await openKeyslot(old.keyring.storeId, { ...old.slot, boxes }, SECOND, ids)).toEqual([])
  await expect(unlockKeyring(after, SECOND)).rejects.toMatchObject({ code: 'WRONG_PASSWORD' })
})

test('a keyring of version 1 becomes one of version 2 with the same keys, id, times and generation', async () => {
  const first = parseKeyring(FIRST_VERSION)
  const upgraded = await upgradeKeyring(first, PASSWORD)
  expect(upgraded).toMatchObject({ version: 2, storeId: first.storeId, generation: 1, createdAt: first.createdAt })
  expect(upgraded.dataKeys[0]?.createdAt).toBe(first.createdAt)
  expect(upgraded.slots[0]).toMatchObject({ kind: 'password', createdAt: first.slots[0]?.createdAt })
  expect(await unlockKeyring(reread(upgraded), PASSWORD)).toMatchObject(FIRST_VERSION_KEYS)
  await expect(upgradeKeyring(first, SECOND)).rejects.toMatchObject({ code: 'WRONG_PASSWORD' })
})

test('any order of changes leaves a keyring that exactly the right secrets open', async () => {
  const step = fc.constantFrom('add', 'remove', 'replace', 'next', 'promote', 'drop')
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 4 }), async (steps) => {
      let keyring = made.keyring
      const keys = { ...made, nextDataKey: undefined as Buffer | undefined }
      const secrets = new Map([[made.keyring.slots[0]?.id as string, PASSWORD]])
      const gone: Uint8Array[] = []
      for (const [index, each] of steps.entries()) {
        const secret = passwordBytes(`the secret number ${index} of this run`)
        const last = keyring.slots.at(-1)?.id as string
        if (each === 'add') {
          const added = await addSlot(keyring, keys, { ...passwordSlot, label: null, secret })
          secrets.set(added.slot.id, secret)
          keyring = added.keyring
        } else if (each === 'replace') {
          const replaced = await replaceSlot(keyring, keys, last, { ...passwordSlot, secret })
          gone.push(secrets.get(last) as Uint8Array)
          secrets.delete(last)
          secrets.set(replaced.slot.id, secret)
          keyring = replaced.keyring
        } else if (each === 'remove' && keyring.slots.length > 1) {
          gone.push(secrets.get(last) as Uint8Array)
          secrets.delete(last)
          keyring = removeSlot(keyring, keys, last).keyring
        } else if (each === 'next' && keys.nextDataKey === undefined) {
          const next = randomBytes(32)
          keyring = addNextDataKey(keyring, keys, next, NOW)
          keys.nextDataKey = next
        } else if (each === 'promote' && keys.nextDataKey !== undefined) {
          keyring = promoteNextDataKey(keyring, keys)
          keys.dataKey = keys.nextDataKey
          keys.nextDataKey = undefined
        } else if (each === 'drop' && keys.nextDataKey !== undefined) {
          keyring = dropNextDataKey(keyring, keys)
          keys.nextDataKey = undefined
        }
        keyring = reread(keyring)
      }
      const { dataKey, sealingKey, nextDataKey } = keys
      for (const [slotId, secret] of secrets) {
        expect(await unlockKeyring(keyring, secret)).toStrictEqual({ dataKey, sealingKey, nextDataKey, slotId })
      }
      for (const secret of gone) {
        await expect(unlockKeyring(keyring, secret)).rejects.toMatchObject({ code: 'WRONG_PASSWORD' })
      }
    }),
    { numRuns: 20 },
  )
})
