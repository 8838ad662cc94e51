import { createDecipheriv, createHash, hkdfSync } from 'node:crypto'
import { hash } from 'argon2'
import { describe, expect, test } from 'vitest'
import {
  createKeyring,
  type Keyring,
  type KeyringV2,
  parseKeyring,
  serializeKeyring,
  unlockKeyring,
  withMac,
} from '../../src/crypto/keyring.ts'
import type { Keyslot } from '../../src/crypto/keyslot.ts'
import { passwordBytes } from '../../src/crypto/password.ts'
import { StoreError } from '../../src/protocol/store-error.ts'
import { FIRST_VERSION, FIRST_VERSION_KEYS } from './fixtures/first-version.ts'

const COST = { memoryKiB: 19_456, iterations: 2, parallelism: 1 }
const NOW = new Date('2026-01-02T03:04:05.678Z')
const PASSWORD = passwordBytes('correct horse battery staple')

const CORRUPT = expect.objectContaining({ name: 'StoreError', code: 'KEYRING_CORRUPT' })
const NOT_A_STORE = expect.objectContaining({ name: 'StoreError', code: 'NOT_A_STORE' })
const FROM_FUTURE = expect.objectContaining({ name: 'StoreError', code: 'STORE_FROM_FUTURE' })
const WRONG_PASSWORD = expect.objectContaining({ name: 'StoreError', code: 'WRONG_PASSWORD' })

const made = await createKeyring({ password: PASSWORD, cost: COST, now: NOW })
const other = await createKeyring({ password: PASSWORD, cost: COST, now: NOW })

/** The document with a checksum that matches, computed without the code under test. */
function withChecksum(document: Record<string, unknown>): string {
  const sorted = JSON.stringify(document, (_name, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  )
  return JSON.stringify({ ...document, checksum: createHash('sha256').update(sorted).digest('hex') })
}

function withSlot(keyring: KeyringV2, change: Partial<Keyslot>): KeyringV2 {
  const [slot] = keyring.slots
  if (slot === undefined) throw new Error('a keyring has a slot')
  return { ...keyring, slots: [{ ...slot, ...change }] }
}

function firstSlot(keyring: KeyringV2): Keyslot {
  const [slot] = keyring.slots
  if (slot === undefined) throw new Error('a keyring has a slot')
  return slot
}

function dataKeyOf({ dataKeys: [entry] }: KeyringV2): KeyringV2['dataKeys'][0] {
  if (entry === undefined) throw new Error('a keyring has a data key')
  return entry
}

/** The same base64 with its first bit flipped. */
function flipFirstBit(base64: string): string {
  const bytes = Buffer.from(base64, 'base64')
  bytes.writeUInt8(bytes.readUInt8(0) ^ 0x80, 0)
  return bytes.toString('base64')
}

/** What a third party would write from the description of the format, with nothing of ours. */
async function openByHand(text: string, password: string): Promise<{ dataKey: Buffer; sealingKey: Buffer }> {
  const { format, version, storeId, slots, sealingKey } = JSON.parse(text)
  const { id, kind, kdf, wrapped } = slots[0]
  const keyEncryptionKey = await hash(Buffer.from(password), {
    raw: true,
    salt: Buffer.from(kdf.salt, 'base64'),
    memoryCost: kdf.memoryKiB,
    timeCost: kdf.iterations,
    parallelism: kdf.parallelism,
  })
  const { algorithm, memoryKiB, iterations, parallelism, salt } = kdf
  const sortedKdf = { algorithm, iterations, memoryKiB, parallelism, salt, version: kdf.version }
  const slotHeader = JSON.stringify({ format, id, kdf: sortedKdf, kind, storeId, version })
  const dataKey = gcmOpen(keyEncryptionKey, wrapped, slotHeader)
  const salted = Buffer.from(storeId.replaceAll('-', ''), 'hex')
  const wrappingKey = Buffer.from(hkdfSync('sha256', dataKey, salted, 'holdfast/v1/wrap', 32))
  const sealingHeader = JSON.stringify({ format, kind: 'sealing-key', storeId, version })
  return { dataKey, sealingKey: gcmOpen(wrappingKey, sealingKey, sealingHeader) }
}

function gcmOpen(key: Buffer, wrapped: Record<'nonce' | 'ciphertext' | 'tag', string>, header: string): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(wrapped.nonce, 'base64'))
  decipher.setAAD(Buffer.from(header)).setAuthTag(Buffer.from(wrapped.tag, 'base64'))
  return Buffer.concat([decipher.update(Buffer.from(wrapped.ciphertext, 'base64')), decipher.final()])
}

describe('a new keyring', () => {
  test('has one password slot with the cost that was asked for, and generation 1', () => {
    expect(made.keyring).toMatchObject({
      format: 'holdfast-keyring',
      version: 2,
      generation: 1,
      createdAt: NOW.toISOString(),
      dataKeys: [{ createdAt: NOW.toISOString() }],
      slots: [{ kind: 'password', createdAt: NOW.toISOString(), kdf: { algorithm: 'argon2id', version: 19, ...COST } }],
    })
  })

  test('has 32 random bytes for each of its two keys', () => {
    const keys = [made.dataKey, made.sealingKey, other.dataKey, other.sealingKey]
    expect(keys.map((key) => key.length)).toStrictEqual([32, 32, 32, 32])
    expect(new Set(keys.map((key) => key.toString('hex'))).size).toBe(4)
  })

  test('shares no id, salt or nonce with another, though the password is the same', () => {
    const marks = [made, other].flatMap(({ keyring }) => {
      const { id, kdf, privateKey, publicKey, boxes } = firstSlot(keyring)
      const { id: keyId, sealingKey } = dataKeyOf(keyring)
      const box = boxes[0]
      return [
        keyring.storeId,
        id,
        kdf.salt,
        privateKey.nonce,
        publicKey.nonce,
        box?.ephemeralKey,
        keyId,
        sealingKey.nonce,
      ]
    })
    expect(new Set(marks).size).toBe(marks.length)
  })

  test('is not made with a weak password', async () => {
    const weak = createKeyring({ password: passwordBytes('short'), cost: COST, now: NOW })
    await expect(weak).rejects.toMatchObject({ code: 'PASSWORD_TOO_WEAK' })
  })

  test('is not made at a cost under the floor', async () => {
    const cheap = createKeyring({ password: PASSWORD, cost: { ...COST, iterations: 1 }, now: NOW })
    await expect(cheap).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })
})

describe('unlocking', () => {
  test('the right password gives the keys that the keyring was made with', async () => {
    const { id } = firstSlot(made.keyring)
    const keys = { dataKey: made.dataKey, sealingKey: made.sealingKey, nextDataKey: undefined }
    expect(await unlockKeyring(parseKeyring(serializeKeyring(made.keyring)), PASSWORD)).toStrictEqual({
      ...keys,
      slotId: id,
    })
  })

  test('a wrong password is WRONG_PASSWORD', async () => {
    const wrong = passwordBytes('correct horse battery stapler')
    await expect(unlockKeyring(made.keyring, wrong)).rejects.toThrow(WRONG_PASSWORD)
  })

  test('an empty password is WRONG_PASSWORD', async () => {
    await expect(unlockKeyring(made.keyring, new Uint8Array())).rejects.toThrow(WRONG_PASSWORD)
  })

  test('every slot is tried', async () => {
    const slot = firstSlot(made.keyring)
    const foreign = { ...firstSlot(other.keyring), id: '0000000000000000' }
    const keyring = withMac({ ...made.keyring, slots: [foreign, slot] }, made.dataKey)
    expect(await unlockKeyring(keyring, PASSWORD)).toMatchObject({ dataKey: made.dataKey, slotId: slot.id })
  })

  test('a keyring of the first version opens for good', async () => {
    const keys = await unlockKeyring(parseKeyring(FIRST_VERSION), PASSWORD)
    expect(keys).toStrictEqual({ ...FIRST_VERSION_KEYS, nextDataKey: undefined, slotId: 'a66a81d37d04cfd6' })
  })

  test('the format can be read by hand from its description', async () => {
    expect(await openByHand(FIRST_VERSION, 'correct horse battery staple')).toStrictEqual(FIRST_VERSION_KEYS)
  })
})

describe('a doctored keyring whose checksum was made to match', () => {
  const slot = firstSlot(made.keyring)
  const foreignSlot = firstSlot(other.keyring)
  const entry = dataKeyOf(made.keyring)
  const flippedBox = (box: Keyslot['boxes'][0]) => ({ ...box, ephemeralKey: flipFirstBit(box.ephemeralKey) })

  test.each<[string, Keyring]>([
    ['a higher memory cost', withSlot(made.keyring, { kdf: { ...slot.kdf, memoryKiB: 19_457 } })],
    ['more iterations', withSlot(made.keyring, { kdf: { ...slot.kdf, iterations: 3 } })],
    ['another salt', withSlot(made.keyring, { kdf: { ...slot.kdf, salt: foreignSlot.kdf.salt } })],
    ['another slot id', withSlot(made.keyring, { id: foreignSlot.id })],
    ['another store id', { ...made.keyring, storeId: other.keyring.storeId }],
    ['another kind of slot', withSlot(made.keyring, { kind: 'command' })],
    ['the slot of another store', { ...made.keyring, slots: [foreignSlot] }],
    ...(['nonce', 'ciphertext', 'tag'] as const).map((part): [string, Keyring] => [
      `a flipped ${part} of its private key`,
      withSlot(made.keyring, { privateKey: { ...slot.privateKey, [part]: flipFirstBit(slot.privateKey[part]) } }),
    ]),
    ['its public key as its private key', withSlot(made.keyring, { privateKey: slot.publicKey })],
  ])('with %s opens for nobody', async (_what, keyring) => {
    await expect(unlockKeyring(parseKeyring(serializeKeyring(keyring)), PASSWORD)).rejects.toThrow(WRONG_PASSWORD)
  })

  test.each<[string, Keyring]>([
    ['the sealing key of another store', { ...made.keyring, dataKeys: other.keyring.dataKeys }],
    ['another label', withSlot(made.keyring, { label: 'mine' })],
    ['another time of creation', withSlot(made.keyring, { createdAt: '2031-01-01T00:00:00.000Z' })],
    ['another generation', { ...made.keyring, generation: 7 }],
    ['a second slot, of another store', { ...made.keyring, slots: [slot, foreignSlot] }],
    ['a younger data key', { ...made.keyring, dataKeys: [{ ...entry, createdAt: '2031-01-01T00:00:00.000Z' }] }],
    ['a flipped box', withSlot(made.keyring, { boxes: slot.boxes.map(flippedBox) })],
    ['the box of another store', withSlot(made.keyring, { boxes: foreignSlot.boxes })],
    ['a flipped public key', withSlot(made.keyring, { publicKey: foreignSlot.publicKey })],
    [
      'a flipped sealing key',
      {
        ...made.keyring,
        dataKeys: [
          { ...entry, sealingKey: { ...entry.sealingKey, ciphertext: flipFirstBit(entry.sealingKey.ciphertext) } },
        ],
      },
    ],
  ])('with %s is KEYRING_CORRUPT once the password is known to be right', async (_what, keyring) => {
    await expect(unlockKeyring(parseKeyring(serializeKeyring(keyring)), PASSWORD)).rejects.toThrow(CORRUPT)
  })

  test.each<[string, object]>([
    ['more memory than the ceiling', withSlot(made.keyring, { kdf: { ...slot.kdf, memoryKiB: 4_194_305 } })],
    ['less memory than the floor', withSlot(made.keyring, { kdf: { ...slot.kdf, memoryKiB: 8 } })],
    ['iterations without end', withSlot(made.keyring, { kdf: { ...slot.kdf, iterations: 1_000_000 } })],
    [
      'slots without end',
      {
        ...made.keyring,
        slots: Array.from({ length: 17 }, (_, n) => ({ ...slot, id: n.toString(16).padStart(16, '0') })),
      },
    ],
    ['two slots of one id', { ...made.keyring, slots: [slot, slot] }],
    ['no slot', { ...made.keyring, slots: [] }],
    ['an unknown member', { ...made.keyring, hint: 'the usual' }],
    ['an unknown kind of slot', { ...made.keyring, slots: [{ ...slot, kind: 'fingerprint' }] }],
    ['a label with a line break', { ...made.keyring, slots: [{ ...slot, label: 'a\nb' }] }],
    ['three data keys', { ...made.keyring, dataKeys: [entry, entry, entry] }],
    ['no MAC', { ...made.keyring, mac: undefined }],
    ['a short key', withSlot(made.keyring, { privateKey: { ...slot.privateKey, ciphertext: 'AAAA' } })],
    ['version 0', { ...made.keyring, version: 0 }],
    ['a version that is no integer', { ...made.keyring, version: 1.5 }],
  ])('with %s is refused before argon2 runs', (_what, document) => {
    expect(() => parseKeyring(withChecksum({ ...document }))).toThrow(CORRUPT)
  })

  test('names the fields that are not what they should be', () => {
    const doctored = withSlot(made.keyring, { kdf: { ...slot.kdf, memoryKiB: 8 } })
    expect(() => parseKeyring(withChecksum(doctored))).toThrow(
      expect.objectContaining({ details: { fields: ['slots.0.kdf.memoryKiB'] } }),
    )
  })
})

describe('the serialized form', () => {
  const text = serializeKeyring(made.keyring)

  test('comes back as the same keyring', () => {
    expect(parseKeyring(text)).toStrictEqual(made.keyring)
  })

  test('keeps a label', () => {
    const labelled = withSlot(made.keyring, { label: 'büro' })
    expect(parseKeyring(serializeKeyring(labelled))).toStrictEqual(labelled)
  })

  test('carries the SHA-256 of the rest as its checksum', () => {
    expect(JSON.parse(text)).toStrictEqual(JSON.parse(withChecksum(made.keyring)))
  })

  test('may be re-indented and reordered', () => {
    const reordered = Object.fromEntries(Object.entries(JSON.parse(text)).reverse())
    expect(parseKeyring(JSON.stringify(reordered, null, '\t'))).toStrictEqual(made.keyring)
  })

  test('has no key in it', () => {
    for (const key of [made.dataKey, made.sealingKey]) {
      for (const encoding of ['hex', 'base64', 'base64url', 'latin1'] as const) {
        expect(text).not.toContain(key.toString(encoding))
      }
    }
  })

  test('is not written when it could not be read back', () => {
    const broken = withSlot(made.keyring, { label: '' })
    expect(() => serializeKeyring(broken)).toThrow(expect.objectContaining({ code: 'INTERNAL' }))
  })
})

describe('a damaged keyring', () => {
  const bytes = Buffer.from(serializeKeyring(made.keyring))

  test('any single flipped bit, and any inverted byte, is KEYRING_CORRUPT or changes nothing', () => {
    for (let at = 0; at < bytes.length; at += 1) {
      for (const mask of [1, 2, 4, 8, 16, 32, 64, 128, 255]) {
        const damaged = Buffer.from(bytes)
        damaged.writeUInt8(damaged.readUInt8(at) ^ mask, at)
        const result = parseOrCode(damaged.toString('utf8'))
        if (result !== 'KEYRING_CORRUPT') expect(result, `byte ${at} xor ${mask}`).toStrictEqual(made.keyring)
      }
    }
  })

  test('cut off at any length is KEYRING_CORRUPT', () => {
    for (let length = 0; length < bytes.length - 1; length += 1) {
      expect(parseOrCode(bytes.toString('utf8', 0, length)), `${length} bytes`).toBe('KEYRING_CORRUPT')
    }
  })

  test.each([
    ['an empty file', ''],
    ['a file of zeros', '\0'.repeat(4096)],
    ['nesting without end', `{"format":"holdfast-keyring","checksum":${'['.repeat(200_000)}${']'.repeat(200_000)}}`],
    ['nesting without end in the rest', `{"dataKeys":${'['.repeat(200_000)}${']'.repeat(200_000)}}`],
    ['a keyring without a checksum', JSON.stringify(made.keyring)],
  ])('%s is KEYRING_CORRUPT', (_what, text) => {
    expect(() => parseKeyring(text)).toThrow(CORRUPT)
  })
})

describe('what is no keyring of this version', () => {
  test('a later version with a matching checksum is STORE_FROM_FUTURE, whatever else it holds', () => {
    const later = { ...made.keyring, version: 3, recoveryShares: [] }
    expect(() => parseKeyring(withChecksum(later))).toThrow(FROM_FUTURE)
    expect(() => parseKeyring(withChecksum(later))).toThrow(
      expect.objectContaining({ details: { version: 3, supportedVersion: 2 } }),
    )
  })

  test('a later version without a matching checksum is damage, not the future', () => {
    expect(() => parseKeyring(JSON.stringify({ ...made.keyring, version: 3 }))).toThrow(CORRUPT)
  })

  test.each([
    '{"name":"my-bot","version":"1.0.0"}',
    '{"format":"pgp-keyring","version":3}',
    '[]',
    '1',
    'null',
    '{}',
  ])('other JSON is NOT_A_STORE: %s', (text) => {
    expect(() => parseKeyring(text)).toThrow(NOT_A_STORE)
  })
})

function parseOrCode(text: string): Keyring | string {
  try {
    return parseKeyring(text)
  } catch (error) {
    if (error instanceof StoreError) return error.code
    throw error
  }
}
