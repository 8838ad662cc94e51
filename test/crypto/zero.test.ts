import { expect, test } from 'vitest'
import { withSecret, zero } from '../../src/crypto/zero.ts'

test('zero overwrites every byte of every buffer and skips undefined', () => {
  const a = Buffer.alloc(32, 7)
  const b = new Uint8Array([1, 2, 3])
  zero(a, undefined, b)
  expect(a).toStrictEqual(Buffer.alloc(32))
  expect(b).toStrictEqual(new Uint8Array(3))
})

test('zero of a view leaves its neighbours alone', () => {
  const whole = Buffer.alloc(4, 9)
  zero(whole.subarray(1, 3))
  expect([...whole]).toStrictEqual([9, 0, 0, 9])
})

test('withSecret hands over the secret, returns the result and zeroes afterwards', async () => {
  const secret = Buffer.alloc(4, 5)
  await expect(withSecret(secret, async (bytes) => bytes.reduce((sum, byte) => sum + byte, 0))).resolves.toBe(20)
  expect(secret).toStrictEqual(Buffer.alloc(4))
})

test('withSecret keeps the secret until an asynchronous use has settled', async () => {
  const secret = Buffer.alloc(1, 5)
  const seen = await withSecret(secret, async (bytes) => {
    await new Promise((resolve) => setImmediate(resolve))
    return bytes[0]
  })
  expect(seen).toBe(5)
})

test.each([
  [
    'throws',
    () => {
      throw new Error('no')
    },
  ],
  ['rejects', () => Promise.reject(new Error('no'))],
])('withSecret zeroes when the use %s', async (_how, use) => {
  const secret = Buffer.alloc(4, 5)
  await expect(withSecret(secret, use)).rejects.toThrow('no')
  expect(secret).toStrictEqual(Buffer.alloc(4))
})
