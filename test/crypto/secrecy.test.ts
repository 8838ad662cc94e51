/**
 * Invariant 4: no key and no password in an error. And what is zeroed after use really is: argon2 is watched from the
 * outside, because the key-encryption key never leaves the modules under test.
 */

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { beforeEach, expect, test, vi } from 'vitest'
import { argon2id, deriveKeyEncryptionKey } from '../../src/crypto/kdf.ts'
import { createKeyring, type Keyring, parseKeyring, serializeKeyring, unlockKeyring } from '../../src/crypto/keyring.ts'
import { readKeyring } from '../../src/crypto/keyring-file.ts'
import { assertPasswordStrength, passwordBytes } from '../../src/crypto/password.ts'
import { openSealedField, sealField } from '../../src/crypto/sealed-field.ts'
import { deriveSubKey } from '../../src/crypto/sub-key.ts'
import { wrapKey } from '../../src/crypto/wrapping.ts'
import { isStoreError, serializeError } from '../../src/protocol/store-error.ts'

const watched = vi.hoisted(() => ({ passwords: [] as ArrayBuffer[], tags: [] as Buffer[] }))

vi.mock('argon2', async (importActual) => {
  const actual = await importActual<typeof import('argon2')>()
  return {
    ...actual,
    hash: async (password: Buffer, options: { raw: true }) => {
      watched.passwords.push(password as unknown as ArrayBuffer)
      const tag = await actual.hash(password, options)
      watched.tags.push(tag)
      return tag
    },
  }
})

const COST = { memoryKiB: 19_456, iterations: 2, parallelism: 1 }
const SECRET_TEXT = 'Tr0ub4dor&3-Tr0ub4dor'
const PASSWORD = passwordBytes(SECRET_TEXT)
const made = await createKeyring({ password: PASSWORD, cost: COST, now: new Date() })
const sealingKeyDamaged: Keyring = {
  ...made.keyring,
  dataKeys: made.keyring.dataKeys.map((entry) => ({
    ...entry,
    sealingKey: { ...entry.sealingKey, nonce: 'AAAAAAAAAAAAAAAA' },
  })),
}
const CONTEXT = { collection: 'wallets', key: 'main', field: 'privateKey' }

beforeEach(() => {
  watched.passwords.length = 0
  watched.tags.length = 0
})

test('the password copy and the key-encryption key are zero after a keyring was made', async () => {
  await createKeyring({ password: PASSWORD, cost: COST, now: new Date() })
  expectWatchedZero(1)
})

test('they are zero after unlocking', async () => {
  await unlockKeyring(made.keyring, PASSWORD)
  expectWatchedZero(1)
})

test('they are zero after a wrong password', async () => {
  await expect(unlockKeyring(made.keyring, passwordBytes('another password'))).rejects.toThrow()
  expectWatchedZero(1)
})

test('they are zero when the sealing key does not open', async () => {
  await expect(unlockKeyring(sealingKeyDamaged, PASSWORD)).rejects.toThrow()
  expectWatchedZero(1)
})

test('the password copy is zero when argon2 fails', async () => {
  await expect(
    argon2id({ password: PASSWORD, salt: PASSWORD, memoryKiB: 1, iterations: 1, parallelism: 1, length: 32 }),
  ).rejects.toThrow()
  expect(watched.passwords.map((copy) => Buffer.from(copy))).toStrictEqual([Buffer.alloc(PASSWORD.length)])
})

test('the password stays with its owner', () => {
  expect(PASSWORD).toStrictEqual(passwordBytes(SECRET_TEXT))
})

const text = serializeKeyring(made.keyring)
const failures: readonly (readonly [string, () => unknown])[] = [
  ['a weak password', () => assertPasswordStrength(passwordBytes(SECRET_TEXT.slice(0, 11)))],
  [
    'a cost under the floor',
    () => createKeyring({ password: PASSWORD, cost: { ...COST, iterations: 1 }, now: new Date() }),
  ],
  ['a wrong password', () => unlockKeyring({ ...made.keyring, storeId: crypto.randomUUID() }, PASSWORD)],
  ['a damaged sealing key', () => unlockKeyring(sealingKeyDamaged, PASSWORD)],
  ['a keyring that is not JSON', () => parseKeyring(`${SECRET_TEXT.slice(0, 11)}${text}`)],
  ['a damaged checksum', () => parseKeyring(text.replace('"generation": 1', '"generation": 2'))],
  ['other JSON', () => parseKeyring(JSON.stringify({ password: SECRET_TEXT }))],
  ['an unwritable keyring', () => serializeKeyring({ ...made.keyring, createdAt: SECRET_TEXT })],
  ['argon2 out of bounds', () => argon2id({ ...COST, password: PASSWORD, salt: PASSWORD, memoryKiB: 1, length: 32 })],
  [
    'kdf parameters out of bounds',
    () => deriveKeyEncryptionKey(PASSWORD, { algorithm: 'argon2id', version: 19, ...COST, salt: PASSWORD.toString() }),
  ],
  ['a sub-key of half a data key', () => deriveSubKey(made.dataKey.subarray(0, 16), made.keyring.storeId, 'wrap')],
  ['wrapping half a key', () => wrapKey(made.dataKey.subarray(0, 16), made.sealingKey, PASSWORD)],
  ['text that cannot be sealed', () => sealField(made.sealingKey, `${SECRET_TEXT}\ud800`, CONTEXT)],
  [
    'a sealed field elsewhere',
    () => openSealedField(made.dataKey, sealField(made.sealingKey, SECRET_TEXT, CONTEXT), CONTEXT),
  ],
  ['plain text in place of a sealed field', () => openSealedField(made.sealingKey, SECRET_TEXT, CONTEXT)],
  [
    'both copies of a keyring damaged',
    async () => {
      const dir = await mkdtemp(join(tmpdir(), 'holdfast-secrecy-'))
      try {
        await writeFile(join(dir, 'keyring.json'), `${SECRET_TEXT}${text}`)
        await readKeyring(dir)
      } finally {
        await rm(dir, { recursive: true })
      }
    },
  ],
]

test.each(failures)('the error of %s carries no password and no key', async (_what, fail) => {
  const error = await Promise.resolve()
    .then(fail)
    .then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
  expect(isStoreError(error)).toBe(true)
  const everything = [
    inspect(error, { depth: null, showHidden: true }),
    JSON.stringify(error),
    JSON.stringify(serializeError(error)),
    error instanceof Error ? `${error.message}${error.stack}` : '',
  ].join('\n')
  const secrets = [
    PASSWORD,
    PASSWORD.subarray(0, 11),
    ...[made.dataKey, made.sealingKey].map((key) => key.subarray(0, 15)),
  ]
  for (const secret of secrets) {
    for (const encoding of ['latin1', 'hex', 'base64'] as const) {
      expect(everything).not.toContain(Buffer.from(secret).toString(encoding).replace(/=+$/, ''))
    }
    expect(everything).not.toContain([...secret].join(','))
    expect(everything).not.toContain([...secret].join(', '))
  }
})

function expectWatchedZero(runs: number): void {
  expect(watched.tags).toStrictEqual(Array.from({ length: runs }, () => Buffer.alloc(32)))
  expect(watched.passwords).toHaveLength(runs)
  for (const copy of watched.passwords) {
    expect(copy).toBeInstanceOf(ArrayBuffer)
    expect(Buffer.from(copy).every((byte) => byte === 0)).toBe(true)
  }
}
