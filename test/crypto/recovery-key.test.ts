import fc from 'fast-check'
import { expect, test } from 'vitest'
import { passwordBytes } from '../../src/crypto/password.ts'
import { canonicalRecoveryKey, createRecoveryKey, isRecoveryKeyLike } from '../../src/crypto/recovery-key.ts'
import { isStoreError } from '../../src/protocol/store-error.ts'

const ALPHABET = [...'0123456789ABCDEFGHJKMNPQRSTVWXYZ']
const anyKey = fc.constant(null).map(createRecoveryKey)
const DIGITS = Array.from({ length: 8 * 5 }, (_, index) => 'HFRK-'.length + index + Math.floor(index / 5))

function refusal(text: string): { readonly code: string; readonly message: string; readonly groups: unknown } {
  try {
    canonicalRecoveryKey(text)
  } catch (error) {
    if (isStoreError(error)) return { code: error.code, message: error.message, groups: error.details.groups }
    throw error
  }
  throw new Error('the mistyped key was taken')
}

test('is eight groups of five characters, never the same twice', () => {
  const keys = Array.from({ length: 100 }, createRecoveryKey)
  for (const key of keys) expect(key).toMatch(/^HFRK(-[0-9A-HJKMNP-TV-Z]{5}){8}$/)
  expect(new Set(keys).size).toBe(keys.length)
})

test('however it is typed, it is the same key', () => {
  fc.assert(
    fc.property(anyKey, (key) => {
      const typings = [
        key.toLowerCase(),
        key.replaceAll('-', ' - '),
        ` ${key}\n`,
        key.replaceAll('-', ' ').replace(' ', '-'),
      ]
      typings.push(key.replace('HFRK-', 'hfrk-').replaceAll('0', 'o').replaceAll('1', 'l'))
      typings.push(`HFRK-${key.slice(5).replaceAll('-', '')}`)
      for (const typed of typings) expect(canonicalRecoveryKey(typed)).toBe(key)
    }),
  )
})

test('any one wrong character is a typo, and the group it is in is named', () => {
  fc.assert(
    fc.property(anyKey, fc.nat(39), fc.constantFrom(...ALPHABET), (key, index, character) => {
      const at = DIGITS[index] as number
      fc.pre(key[at] !== character)
      const typed = key.slice(0, at) + character + key.slice(at + 1)
      const group = String(Math.floor(index / 5) + 1)
      expect(refusal(typed)).toMatchObject({ code: 'RECOVERY_KEY_MISTYPED', groups: [group] })
      expect(refusal(typed).message).toContain(`group ${group} of 8`)
    }),
  )
})

test('any two characters of a group, or any two groups, swapped are a typo', () => {
  fc.assert(
    fc.property(anyKey, fc.nat(7), fc.nat(4), fc.nat(4), fc.nat(7), (key, group, a, b, other) => {
      const groups = key.slice(5).split('-')
      const characters = [...(groups[group] as string)]
      fc.pre(characters[a] !== characters[b] && groups[group] !== groups[other])
      const swapped = characters.with(a, characters[b] as string).with(b, characters[a] as string)
      expect(refusal(`HFRK-${groups.with(group, swapped.join('')).join('-')}`).groups).toEqual([String(group + 1)])
      const moved = groups.with(group, groups[other] as string).with(other, groups[group] as string)
      expect(refusal(`HFRK-${moved.join('-')}`).groups).toEqual([group, other].sort().map((each) => String(each + 1)))
    }),
  )
})

test('a character left out shifts no other group, and a group left out is counted', () => {
  const key = createRecoveryKey()
  expect(refusal(key.slice(0, 12) + key.slice(13)).groups).toEqual(['2'])
  expect(refusal(key.slice(0, -6)).message).toContain('35 characters')
})

test('no refusal repeats what was typed', () => {
  const key = createRecoveryKey()
  const { message } = refusal(key.slice(0, -1))
  for (const group of key.slice(5).split('-')) expect(message).not.toContain(group)
})

test('a password is not taken for one, and a recovery key given as a password is brought to its one form', () => {
  expect(isRecoveryKeyLike('correct horse battery staple')).toBe(false)
  const key = createRecoveryKey()
  expect(passwordBytes(key.toLowerCase())).toEqual(new TextEncoder().encode(key))
  expect(() => passwordBytes(key.slice(0, -1))).toThrow(expect.objectContaining({ code: 'RECOVERY_KEY_MISTYPED' }))
})
