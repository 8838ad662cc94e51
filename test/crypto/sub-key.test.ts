import { createHmac } from 'node:crypto'
import { expect, test } from 'vitest'
import { deriveSubKey, type SubKeyPurpose } from '../../src/crypto/sub-key.ts'

const DATA_KEY = Uint8Array.from({ length: 32 }, (_, index) => index)
const STORE_ID = '123e4567-e89b-42d3-a456-426614174000'

// Computed with Python's hmac and hashlib.
const KNOWN_ANSWERS: Readonly<Record<SubKeyPurpose, string>> = {
  'database:state': 'c105db0bf29714e3306ca1120f126a498e4ebb461279a085a9660fbabd7b22ec',
  'database:market': '303a3e9f350250a36419b0b4a4fb7b88ab059028aeb7ed8852f6dfc0ae10d24d',
  wrap: '58e818cc1282fd067c8d24340e18213c2503e13f98da1e10bd33d4396c0838bc',
  'audit-mac': '0f22b40634992e1e976028d8cc411e6c56b984c363941300bd3830d662867ae3',
  'audit-chain': '8b061dcbaaa473f872ff138c15c7ec56cc7b8c156126e67801112fb82f45b6e3',
  'backup-mac': '1e1855d8c790c163928bdb5235c42373449ac53dbe28b169ee066a3dfe461130',
  'keyring-mac': 'd198ed4ca3b7cbfe68277b5729663b3c19fe490178d7dd223ed8fa19b4591745',
  keyslot: 'e168e5835f5a32225ff78498f2e5d1479850374b842c9ba6b54c863b57d752bb',
  'artifact-address': '70cf7faf7a584c7e8994a4fc5afb45d4b84ae8fadea186d261688c10e43ff89e',
  'artifact-gear': '08243a88c76f41a5d1693dd55f242afc62db869e1c4252af6a4d1ab5b2ed4676',
  'artifact-wrap': 'e5f098513563953898417973cc260ddfc0ce172f21dd79a1e2493a23b1443f1b',
  'session-cache-wrap': 'f98a65b8ba1cf4b7990fdbca67252920b90b97d555bcffa478329576a755533a',
}
const PURPOSES = Object.keys(KNOWN_ANSWERS) as SubKeyPurpose[]

test.each(PURPOSES)('the sub-key %s has its known value', (purpose) => {
  expect(deriveSubKey(DATA_KEY, STORE_ID, purpose).toString('hex')).toBe(KNOWN_ANSWERS[purpose])
})

test.each(PURPOSES)('the sub-key %s is HKDF-SHA256 by hand: extract with the store id, expand one block', (purpose) => {
  const salt = Buffer.from('123e4567e89b42d3a456426614174000', 'hex')
  const pseudorandomKey = createHmac('sha256', salt).update(DATA_KEY).digest()
  const block = createHmac('sha256', pseudorandomKey).update(`holdfast/v1/${purpose}`).update('\x01').digest()
  expect(deriveSubKey(DATA_KEY, STORE_ID, purpose)).toStrictEqual(block)
})

test('another data key or another store gives another sub-key', () => {
  const key = deriveSubKey(DATA_KEY, STORE_ID, 'wrap')
  expect(deriveSubKey(new Uint8Array(32), STORE_ID, 'wrap')).not.toStrictEqual(key)
  expect(deriveSubKey(DATA_KEY, '123e4567-e89b-42d3-a456-426614174001', 'wrap')).not.toStrictEqual(key)
})

test('the spelling of the store id does not matter', () => {
  expect(deriveSubKey(DATA_KEY, STORE_ID.toUpperCase(), 'wrap')).toStrictEqual(deriveSubKey(DATA_KEY, STORE_ID, 'wrap'))
})

test('a data key of another length and a store id that is no UUID are refused', () => {
  expect(() => deriveSubKey(new Uint8Array(16), STORE_ID, 'wrap')).toThrow(
    expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
  )
  expect(() => deriveSubKey(DATA_KEY, 'a store', 'wrap')).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
})
