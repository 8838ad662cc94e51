import { createDecipheriv, randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { unwrapKey, Wrapped, wrapKey } from '../../src/crypto/wrapping.ts'

const KEY = randomBytes(32)
const WRAPPING_KEY = randomBytes(32)
const HEADER = Buffer.from('header')

test('a wrapped key comes back under the same wrapping key and associated data', () => {
  expect(unwrapKey(wrapKey(KEY, WRAPPING_KEY, HEADER), WRAPPING_KEY, HEADER)).toStrictEqual(KEY)
})

test('the wrapped form is plain AES-256-GCM', () => {
  const wrapped = Wrapped.parse(wrapKey(KEY, WRAPPING_KEY, HEADER))
  const decipher = createDecipheriv('aes-256-gcm', WRAPPING_KEY, Buffer.from(wrapped.nonce, 'base64'))
  decipher.setAAD(HEADER).setAuthTag(Buffer.from(wrapped.tag, 'base64'))
  const key = decipher.update(Buffer.from(wrapped.ciphertext, 'base64'))
  decipher.final()
  expect(key).toStrictEqual(KEY)
})

test('wrapping twice gives another nonce and another ciphertext', () => {
  const [first, second] = [wrapKey(KEY, WRAPPING_KEY, HEADER), wrapKey(KEY, WRAPPING_KEY, HEADER)]
  expect(second.nonce).not.toBe(first.nonce)
  expect(second.ciphertext).not.toBe(first.ciphertext)
})

test('another wrapping key or other associated data opens nothing', () => {
  const wrapped = wrapKey(KEY, WRAPPING_KEY, HEADER)
  expect(unwrapKey(wrapped, randomBytes(32), HEADER)).toBeUndefined()
  expect(unwrapKey(wrapped, WRAPPING_KEY, Buffer.from('headex'))).toBeUndefined()
  expect(unwrapKey(wrapped, WRAPPING_KEY, Buffer.alloc(0))).toBeUndefined()
})

test.each(['nonce', 'ciphertext', 'tag'] as const)('any flipped bit of the %s opens nothing', (part) => {
  const wrapped = wrapKey(KEY, WRAPPING_KEY, HEADER)
  const bytes = Buffer.from(wrapped[part], 'base64')
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    const flipped = Buffer.from(bytes)
    flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
    expect(unwrapKey({ ...wrapped, [part]: flipped.toString('base64') }, WRAPPING_KEY, HEADER)).toBeUndefined()
  }
})

test.each(['nonce', 'ciphertext', 'tag'] as const)('a %s of another length opens nothing', (part) => {
  const wrapped = wrapKey(KEY, WRAPPING_KEY, HEADER)
  const shortened = Buffer.from(wrapped[part], 'base64').subarray(0, -1).toString('base64')
  expect(unwrapKey({ ...wrapped, [part]: shortened }, WRAPPING_KEY, HEADER)).toBeUndefined()
  expect(Wrapped.safeParse({ ...wrapped, [part]: shortened }).success).toBe(false)
})

test('only 32 bytes can be wrapped', () => {
  expect(() => wrapKey(randomBytes(16), WRAPPING_KEY, HEADER)).toThrow(
    expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
  )
})
