import { hash } from 'argon2'
import { describe, expect, test } from 'vitest'
import {
  argon2id,
  DEFAULT_KDF_COST,
  deriveKeyEncryptionKey,
  KdfCost,
  KdfParameters,
  kdfParameters,
} from '../../src/crypto/kdf.ts'

const FLOOR = { memoryKiB: 19_456, iterations: 2, parallelism: 1 }
const SALT = Buffer.alloc(16, 2)
const PASSWORD = new TextEncoder().encode('correct horse battery staple')

describe('argon2id', () => {
  test('gives the tag of the test vector in RFC 9106 section 5.3', async () => {
    const tag = await argon2id({
      password: Buffer.alloc(32, 1),
      salt: Buffer.alloc(16, 2),
      secret: Buffer.alloc(8, 3),
      associatedData: Buffer.alloc(12, 4),
      memoryKiB: 32,
      iterations: 3,
      parallelism: 4,
      length: 32,
    })
    expect(tag.toString('hex')).toBe('0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659')
  })

  test('reads only the bytes of a view, not the buffer behind it', async () => {
    const input = { salt: SALT, memoryKiB: 32, iterations: 1, parallelism: 1, length: 32 }
    const pool = Buffer.from('xxcorrect horse battery staplexx')
    expect(await argon2id({ ...input, password: pool.subarray(2, -2) })).toStrictEqual(
      await argon2id({ ...input, password: PASSWORD }),
    )
  })

  test('a computation that argon2 refuses is a StoreError', async () => {
    const tooLittle = { password: PASSWORD, salt: SALT, memoryKiB: 1, iterations: 1, parallelism: 1, length: 32 }
    await expect(argon2id(tooLittle)).rejects.toMatchObject({ name: 'StoreError', code: 'INTERNAL' })
  })
})

describe('deriveKeyEncryptionKey', () => {
  test('is argon2id version 1.3 of the password with the stored cost and salt, 32 bytes long', async () => {
    const key = await deriveKeyEncryptionKey(PASSWORD, kdfParameters(FLOOR, SALT))
    const expected = await hash(Buffer.from(PASSWORD), {
      raw: true,
      salt: SALT,
      memoryCost: 19_456,
      timeCost: 2,
      parallelism: 1,
    })
    expect(key).toHaveLength(32)
    expect(key).toStrictEqual(expected)
  })

  test('leaves the password to its owner', async () => {
    const password = Uint8Array.from(PASSWORD)
    await deriveKeyEncryptionKey(password, kdfParameters(FLOOR, SALT))
    expect(password).toStrictEqual(PASSWORD)
  })

  test('refuses parameters out of bounds before it spends anything, and names them', async () => {
    const greedy = { ...kdfParameters(FLOOR, SALT), memoryKiB: 2 ** 31 }
    await expect(deriveKeyEncryptionKey(PASSWORD, greedy)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('memoryKiB'),
    })
  })
})

describe('KdfCost', () => {
  test('accepts the default, the floor and the ceiling', () => {
    expect(KdfCost.safeParse(DEFAULT_KDF_COST).success).toBe(true)
    expect(KdfCost.safeParse(FLOOR).success).toBe(true)
    expect(KdfCost.safeParse({ memoryKiB: 4_194_304, iterations: 100, parallelism: 16 }).success).toBe(true)
  })

  test.each([
    { memoryKiB: 19_455 },
    { memoryKiB: 4_194_305 },
    { memoryKiB: 20_000.5 },
    { iterations: 1 },
    { iterations: 101 },
    { parallelism: 0 },
    { parallelism: 17 },
    { memoryKiB: Number.NaN },
    { lanes: 4 },
  ])('refuses %o', (fault) => {
    expect(KdfCost.safeParse({ ...FLOOR, ...fault }).success).toBe(false)
  })
})

describe('KdfParameters', () => {
  const valid = kdfParameters(FLOOR, SALT)

  test('accepts what kdfParameters makes', () => {
    expect(KdfParameters.parse(valid)).toStrictEqual(valid)
  })

  test.each([
    { algorithm: 'argon2i' },
    { version: 0x10 },
    { salt: Buffer.alloc(8).toString('base64') },
    { salt: Buffer.alloc(32).toString('base64') },
    { salt: valid.salt.replace('==', '') },
    { salt: valid.salt.replace('g==', 'h==') },
  ])('refuses %o', (fault) => {
    expect(KdfParameters.safeParse({ ...valid, ...fault }).success).toBe(false)
  })
})
