import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { openBytes, sealBytes } from '../../src/crypto/sealed-bytes.ts'

const KEY = randomBytes(32)
const WRAPPING_KEY = randomBytes(32)
const OWNER = Buffer.from('a file')

test('a wrapped key comes back, and is not in the bytes', () => {
  const wrapped = sealBytes(KEY, WRAPPING_KEY, OWNER)
  expect(openBytes(wrapped, WRAPPING_KEY, OWNER)).toStrictEqual(KEY)
  expect(wrapped.includes(KEY)).toBe(false)
})

test('wrapping twice gives different bytes', () => {
  expect(sealBytes(KEY, WRAPPING_KEY, OWNER)).not.toStrictEqual(sealBytes(KEY, WRAPPING_KEY, OWNER))
})

test('it opens under no other key, for nothing else, and not when a bit of it has changed', () => {
  const wrapped = sealBytes(KEY, WRAPPING_KEY, OWNER)
  expect(openBytes(wrapped, randomBytes(32), OWNER)).toBeUndefined()
  expect(openBytes(wrapped, WRAPPING_KEY, Buffer.from('another file'))).toBeUndefined()
  for (let at = 0; at < wrapped.length; at++) {
    const flipped = Buffer.from(wrapped)
    flipped[at] = (flipped[at] as number) ^ 1
    expect(openBytes(flipped, WRAPPING_KEY, OWNER)).toBeUndefined()
  }
})

test('what is too short to be a wrapped key is none', () => {
  for (const length of [0, 11, 27]) expect(openBytes(Buffer.alloc(length), WRAPPING_KEY, OWNER)).toBeUndefined()
})
