import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { assertPasswordStrength, passwordBytes } from '../../src/crypto/password.ts'

const TOO_WEAK = expect.objectContaining({ name: 'StoreError', code: 'PASSWORD_TOO_WEAK' })

describe('passwordBytes', () => {
  test('is UTF-8', () => {
    expect([...passwordBytes('aé€😀')]).toStrictEqual([0x61, 0xc3, 0xa9, 0xe2, 0x82, 0xac, 0xf0, 0x9f, 0x98, 0x80])
  })

  test('the composed and the decomposed form of a password are one password', () => {
    expect(passwordBytes('pre\u0301cieux mot de passe')).toStrictEqual(passwordBytes('pr\u00e9cieux mot de passe'))
  })

  test('every kind of space is one space', () => {
    expect(passwordBytes('a\u00a0b\u2003c\u3000d')).toStrictEqual(passwordBytes('a b c d'))
  })

  test('case, width and spaces at the ends are kept', () => {
    const distinct = ['Password', 'password', ' password', 'password ', '\uff50assword']
    expect(new Set(distinct.map((text) => passwordBytes(text).join())).size).toBe(distinct.length)
  })

  test('is idempotent', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const bytes = passwordBytes(text)
        expect(passwordBytes(new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes))).toStrictEqual(bytes)
      }),
    )
  })

  test('owns its memory, so that zeroing it touches nothing else', () => {
    const bytes = passwordBytes('correct horse')
    expect(bytes.buffer.byteLength).toBe(bytes.length)
  })
})

describe('assertPasswordStrength', () => {
  test('accepts 12 characters', () => {
    expect(() => assertPasswordStrength(passwordBytes('abcdefghijkl'))).not.toThrow()
  })

  test('refuses 11 characters', () => {
    expect(() => assertPasswordStrength(passwordBytes('abcdefghijk'))).toThrow(TOO_WEAK)
  })

  test('counts characters, not bytes', () => {
    expect(() => assertPasswordStrength(passwordBytes('😀€éßñöüç✓∑Ω'))).toThrow(TOO_WEAK)
    expect(() => assertPasswordStrength(passwordBytes('😀€éßñöüç✓∑Ω!'))).not.toThrow()
  })

  test('counts a character once, however it was typed', () => {
    expect(() => assertPasswordStrength(passwordBytes('abcdefghije\u0301'))).toThrow(TOO_WEAK)
  })

  test.each(['', 'a', '😀'])('refuses %o', (text) => {
    expect(() => assertPasswordStrength(passwordBytes(text))).toThrow(TOO_WEAK)
  })

  test.each(['a', '€', '😀'])('refuses %s over and over, at any length', (character) => {
    expect(() => assertPasswordStrength(passwordBytes(character.repeat(64)))).toThrow(TOO_WEAK)
    expect(() => assertPasswordStrength(passwordBytes(`${character.repeat(63)}b`))).not.toThrow()
  })

  test('agrees with counting the code points of the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 24 }), (text) => {
        const characters = [...new TextDecoder('utf-8', { ignoreBOM: true }).decode(passwordBytes(text))]
        const weak = characters.length < 12 || new Set(characters).size === 1
        const check = () => assertPasswordStrength(passwordBytes(text))
        if (weak) expect(check).toThrow(TOO_WEAK)
        else expect(check).not.toThrow()
      }),
    )
  })

  test('says how long is long enough, and what is advised', () => {
    expect(() => assertPasswordStrength(passwordBytes('short'))).toThrow(/at least 12 .* 20 random/)
  })
})
