/**
 * Why: a recovery key is typed off paper on the worst day of the year. Each group of it has a check character of its
 * own, so a slip is named with the group it is in, instead of coming back as a wrong password after a second of argon2.
 *
 * 160 random bits in Crockford's base32 (https://www.crockford.com/base32.html: no I, L, O, U; case does not matter), as
 * `HFRK-` and eight groups of four characters and a check character: a weighted sum over GF(32) with the polynomial
 * x^5 + x^2 + 1, in which every single wrong character, every swap within a group and every swap of groups shows.
 */
import { randomBytes } from 'node:crypto'
import { StoreError } from '../protocol/store-error.ts'
import { zero } from './zero.ts'

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const PREFIX = 'HFRK'
const GROUPS = 8
const GROUP_DATA = 4
const GROUP_LENGTH = GROUP_DATA + 1
const SECRET_BYTES = 20
const LOOKS_LIKE_ONE = /^\s*HFRK\s*-/i

/** A new random recovery key in its printed form. It is a string, so its memory can't be overwritten: print it and let go. */
export function createRecoveryKey(): string {
  const secret = randomBytes(SECRET_BYTES)
  const digits = Array.from({ length: GROUPS * GROUP_DATA }, (_, index) => fiveBits(secret, index * 5))
  zero(secret)
  const groups = Array.from({ length: GROUPS }, (_, group) => {
    const values = digits.slice(group * GROUP_DATA, (group + 1) * GROUP_DATA)
    return [...values, checkValue(values, group)].map((value) => ALPHABET[value]).join('')
  })
  return [PREFIX, ...groups].join('-')
}

/** True for text that is meant as a recovery key, right or mistyped. */
export function isRecoveryKeyLike(text: string): boolean {
  return LOOKS_LIKE_ONE.test(text)
}

/**
 * The one printed form of a recovery key that was typed in whatever case, with or without its separators, with O for 0
 * and I or L for 1.
 *
 * @throws StoreError RECOVERY_KEY_MISTYPED, naming the group that is wrong; the text is not repeated
 */
export function canonicalRecoveryKey(text: string): string {
  const characters = text
    .toUpperCase()
    .replace(/[\s-]/g, '')
    .slice(PREFIX.length)
    .replaceAll('O', '0')
    .replace(/[IL]/g, '1')
  const groups = typedGroups(text, characters)
  const wrong = groups.flatMap((group, index) => (isRight(group, index) ? [] : [index + 1]))
  if (wrong.length > 0 || groups.length !== GROUPS) throw mistyped(wrong, characters.length)
  return [PREFIX, ...groups].join('-')
}

/** By its own separators where they cut it into the right number of groups, so that a character left out shifts no other. */
function typedGroups(text: string, characters: string): string[] {
  const parts = text
    .trim()
    .split(/[\s-]+/)
    .slice(1)
  if (parts.length === GROUPS) {
    return parts.map((part) => part.toUpperCase().replaceAll('O', '0').replace(/[IL]/g, '1'))
  }
  return characters.match(new RegExp(`.{1,${GROUP_LENGTH}}`, 'g')) ?? []
}

function isRight(group: string, index: number): boolean {
  const values = [...group].map((character) => ALPHABET.indexOf(character))
  if (values.length !== GROUP_LENGTH || values.includes(-1)) return false
  return values[GROUP_DATA] === checkValue(values.slice(0, GROUP_DATA), index)
}

function mistyped(wrong: readonly number[], length: number): StoreError {
  const expected = GROUPS * GROUP_LENGTH
  const where =
    wrong.length === 0 || length !== expected
      ? `it has ${length} characters behind ${PREFIX}, not ${expected}`
      : `group ${wrong.join(', ')} of ${GROUPS} is wrong`
  const first = wrong[0] === undefined ? '' : ` Look at group ${wrong[0]} first.`
  return new StoreError(
    'RECOVERY_KEY_MISTYPED',
    `The recovery key is mistyped: ${where}.${first} Compare it with the printed one, group by group. Nothing was tried or changed.`,
    { details: { groups: wrong.map(String), characters: length } },
  )
}

function checkValue(values: readonly number[], group: number): number {
  let check = multiply(powerOfTwo(GROUP_DATA + 1), group)
  for (const [index, value] of values.entries()) check ^= multiply(powerOfTwo(index + 1), value)
  return check
}

function powerOfTwo(exponent: number): number {
  let power = 1
  for (let step = 0; step < exponent; step++) power = multiply(power, 2)
  return power
}

/** In GF(32). */
function multiply(a: number, b: number): number {
  let product = 0
  for (let bit = 0; bit < 5; bit++) if ((b >> bit) & 1) product ^= a << bit
  for (let bit = 8; bit >= 5; bit--) if ((product >> bit) & 1) product ^= 0b100101 << (bit - 5)
  return product
}

function fiveBits(bytes: Uint8Array, offset: number): number {
  const index = offset >> 3
  const pair = ((bytes[index] ?? 0) << 8) | (bytes[index + 1] ?? 0)
  return (pair >> (11 - (offset & 7))) & 0b11111
}
