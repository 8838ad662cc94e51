import { createDecipheriv, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isSealedField, openSealedField, sealField } from '../../src/crypto/sealed-field.ts'

const KEY = randomBytes(32)
const CONTEXT = { collection: 'wallets', key: 'main', field: 'privateKey' }
const CORRUPT = expect.objectContaining({ name: 'StoreError', code: 'STORE_CORRUPT' })

test('any well-formed text comes back exactly', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(openSealedField(KEY, sealField(KEY, text, CONTEXT), CONTEXT)).toBe(text)
    }),
  )
})

test('a byte order mark and a megabyte come back too', () => {
  for (const text of ['\ufeffkey', 'é'.repeat(524_288)]) {
    expect(openSealedField(KEY, sealField(KEY, text, CONTEXT), CONTEXT)).toBe(text)
  }
})

test('the token is hf1, nonce, ciphertext with tag: plain AES-256-GCM with the context as canonical JSON', () => {
  const [prefix, nonce = '', body = ''] = sealField(KEY, 'secret', CONTEXT).split('.')
  const bytes = Buffer.from(body, 'base64url')
  const decipher = createDecipheriv('aes-256-gcm', KEY, Buffer.from(nonce, 'base64url'))
  decipher.setAAD(Buffer.from('{"collection":"wallets","field":"privateKey","format":"hf1","key":"main"}'))
  decipher.setAuthTag(bytes.subarray(-16))
  const text = decipher.update(bytes.subarray(0, -16)).toString()
  decipher.final()
  expect(prefix).toBe('hf1')
  expect(text).toBe('secret')
})

test('sealing the same text twice gives two tokens', () => {
  expect(sealField(KEY, 'secret', CONTEXT)).not.toBe(sealField(KEY, 'secret', CONTEXT))
})

test.each([
  { collection: 'keys' },
  { key: 'other' },
  { field: 'seed' },
  { key: 'mai', field: 'nprivateKey' },
])('a value copied to %o does not open', (elsewhere) => {
  const sealed = sealField(KEY, 'secret', CONTEXT)
  expect(() => openSealedField(KEY, sealed, { ...CONTEXT, ...elsewhere })).toThrow(CORRUPT)
})

test('another key does not open it', () => {
  expect(() => openSealedField(randomBytes(32), sealField(KEY, 'secret', CONTEXT), CONTEXT)).toThrow(CORRUPT)
})

test('a token with any character changed, removed or added does not open', () => {
  const sealed = sealField(KEY, 'secret', CONTEXT)
  for (let at = 0; at < sealed.length; at += 1) {
    const other = sealed[at] === 'A' ? 'B' : 'A'
    expect(() => openSealedField(KEY, sealed.slice(0, at) + other + sealed.slice(at + 1), CONTEXT)).toThrow(CORRUPT)
    expect(() => openSealedField(KEY, sealed.slice(0, at) + sealed.slice(at + 1), CONTEXT)).toThrow(CORRUPT)
    expect(() => openSealedField(KEY, `${sealed.slice(0, at)}A${sealed.slice(at)}`, CONTEXT)).toThrow(CORRUPT)
  }
  expect(() => openSealedField(KEY, `${sealed}\n`, CONTEXT)).toThrow(CORRUPT)
  expect(() => openSealedField(KEY, `${sealed}=`, CONTEXT)).toThrow(CORRUPT)
})

test('a value has one spelling: unused bits of the last character must be zero', () => {
  const sealed = sealField(KEY, '12', CONTEXT) // 18 bytes: 24 characters, none unused
  const loose = sealField(KEY, '1', CONTEXT) // 17 bytes: the last of 23 characters has two unused bits
  const last = loose.slice(-1)
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const respelled = loose.slice(0, -1) + alphabet[alphabet.indexOf(last) + 1]
  expect(isSealedField(sealed)).toBe(true)
  expect(isSealedField(respelled)).toBe(false)
  expect(() => openSealedField(KEY, respelled, CONTEXT)).toThrow(CORRUPT)
})

test('arbitrary text never opens and never fails in another way', () => {
  const tokenLike = fc.oneof(fc.string({ unit: 'binary' }), fc.stringMatching(/^hf1\.[\w-]{0,20}\.[\w-]{0,60}$/))
  fc.assert(
    fc.property(tokenLike, (text) => {
      expect(() => openSealedField(KEY, text, CONTEXT)).toThrow(CORRUPT)
    }),
  )
})

test('isSealedField tells a token from plain text', () => {
  expect(isSealedField(sealField(KEY, '', CONTEXT))).toBe(true)
  for (const text of ['', 'hf1', 'hf1..', 'secret', 'hf2.AAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAA']) {
    expect(isSealedField(text)).toBe(false)
  }
})

test('text that UTF-8 cannot carry is refused rather than changed', () => {
  expect(() => sealField(KEY, 'a\ud800b', CONTEXT)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
})

test('the error names collection and field, and neither the key of the document nor the token', () => {
  const sealed = sealField(KEY, 'secret', CONTEXT)
  const elsewhere = { ...CONTEXT, key: 'wallet-0xdeadbeef' }
  expect(() => openSealedField(KEY, sealed, elsewhere)).toThrow(
    expect.objectContaining({
      message: expect.not.stringMatching(/0xdeadbeef|hf1\./),
      details: { collection: 'wallets', field: 'privateKey' },
    }),
  )
})
