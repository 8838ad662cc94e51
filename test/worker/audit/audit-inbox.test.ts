import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  AUDIT_INBOX,
  leaveAuditNote,
  noteWrongPassword,
  readAuditNotes,
  removeAuditNote,
  removeWrongPasswords,
  takeWrongPasswords,
} from '../../../src/worker/audit/audit-inbox.ts'
import { codeOf, tempDir } from '../../client/fixtures/temp-store.ts'

const key = randomBytes(32)
const ENTRY = { actor: 'ada', event: 'key.slot-added', data: { slot: 'a1', n: [1, { deep: true }] } } as const

const filesIn = (dir: string) => readdirSync(join(dir, AUDIT_INBOX))

describe('a note', () => {
  test('is read back as it was left, with the moment it was left', async () => {
    const dir = tempDir()
    const before = Date.now()
    await leaveAuditNote(dir, key, { ...ENTRY, causationId: 'ticket-7' })
    const { notes, refused } = await readAuditNotes(dir, key)
    expect(refused).toEqual([])
    expect(notes).toEqual([
      { ...ENTRY, causationId: 'ticket-7', id: expect.stringMatching(/^[0-9a-f]{32}$/), at: expect.any(Number) },
    ])
    expect(notes[0]?.at).toBeGreaterThanOrEqual(before)
  })

  test('is readable by its owner alone, in a folder of the same kind', async () => {
    const dir = tempDir()
    await leaveAuditNote(dir, key, ENTRY)
    const [name = ''] = filesIn(dir)
    expect(statSync(join(dir, AUDIT_INBOX)).mode & 0o777).toBe(0o700)
    expect(statSync(join(dir, AUDIT_INBOX, name)).mode & 0o777).toBe(0o600)
  })

  test('stays until it is removed, and notes come oldest first', async () => {
    const dir = tempDir()
    await leaveAuditNote(dir, key, { ...ENTRY, at: 2_000 })
    await leaveAuditNote(dir, key, { ...ENTRY, at: 1_000 })
    const { notes } = await readAuditNotes(dir, key)
    expect(notes.map(({ at }) => at)).toEqual([1_000, 2_000])
    for (const note of notes) await removeAuditNote(dir, note)
    expect(filesIn(dir)).toEqual([])
  })

  test('under another key, changed in any byte, renamed or cut is refused and left where it is', async () => {
    const dir = tempDir()
    await leaveAuditNote(dir, key, ENTRY)
    const [name = ''] = filesIn(dir)
    const path = join(dir, AUDIT_INBOX, name)
    expect(await readAuditNotes(dir, randomBytes(32))).toEqual({ notes: [], refused: [name] })
    const content = readFileSync(path)
    for (let index = 0; index < content.length; index++) {
      const changed = Buffer.from(content)
      changed[index] = (changed[index] as number) ^ 1
      writeFileSync(path, changed)
      expect((await readAuditNotes(dir, key)).notes, `byte ${index}`).toEqual([])
    }
    for (const length of [0, 1, content.length - 1]) {
      writeFileSync(path, content.subarray(0, length))
      expect((await readAuditNotes(dir, key)).refused).toEqual([name])
    }
    writeFileSync(path, content)
    const renamed = name.replace(/-[0-9a-f]{4}/, '-0000')
    renameSync(path, join(dir, AUDIT_INBOX, renamed))
    expect(await readAuditNotes(dir, key)).toEqual({ notes: [], refused: [renamed] })
  })

  test.each([
    ['an event that is none', { ...ENTRY, event: 'no-namespace' }],
    ['no actor', { ...ENTRY, actor: '' }],
    ['data that is no JSON', { ...ENTRY, data: { at: new Date() } }],
    ['data that is too large', { ...ENTRY, data: { text: 'x'.repeat(16 * 1024) } }],
    ['a moment that is none', { ...ENTRY, at: Number.NaN }],
    ['a field nobody knows', { ...ENTRY, secret: 1 }],
  ])('with %s is INVALID_DOCUMENT, and nothing is written', async (_, entry) => {
    const dir = tempDir()
    expect(await codeOf(leaveAuditNote(dir, key, entry as never))).toBe('INVALID_DOCUMENT')
    expect(readdirSync(dir)).toEqual([])
  })

  test('finds no room among a thousand others', async () => {
    const dir = tempDir()
    mkdirSync(join(dir, AUDIT_INBOX))
    for (let n = 0; n < 1_000; n++) writeFileSync(join(dir, AUDIT_INBOX, `junk-${n}`), '')
    expect(await codeOf(leaveAuditNote(dir, key, ENTRY))).toBe('QUEUE_FULL')
  })

  test('is not kept from the trail by folders, links and files of any size beside it', async () => {
    const dir = tempDir()
    await leaveAuditNote(dir, key, ENTRY)
    mkdirSync(join(dir, AUDIT_INBOX, 'folder.note'))
    writeFileSync(join(dir, AUDIT_INBOX, 'large.note'), Buffer.alloc(1024 * 1024))
    const { notes, refused } = await readAuditNotes(dir, key)
    expect(notes).toHaveLength(1)
    expect([...refused].sort()).toEqual(['folder.note', 'large.note'])
  })
})

describe('wrong passwords', () => {
  test('are counted, with the first and the last moment', async () => {
    const dir = tempDir()
    for (const at of [3_000, 4_000, 5_000]) await noteWrongPassword(dir, at)
    expect(await takeWrongPasswords(dir)).toMatchObject({
      attempts: 3,
      firstAt: 3_000,
      lastAt: 5_000,
      isComplete: true,
    })
  })

  test('taken once more before they are forgotten are the same; later ones are apart', async () => {
    const dir = tempDir()
    await noteWrongPassword(dir, 1_000)
    const taken = await takeWrongPasswords(dir)
    await noteWrongPassword(dir, 2_000)
    expect(await takeWrongPasswords(dir)).toEqual(taken)
    await removeWrongPasswords(dir)
    expect(await takeWrongPasswords(dir)).toMatchObject({ attempts: 1, firstAt: 2_000 })
    await removeWrongPasswords(dir)
    expect(await takeWrongPasswords(dir)).toBeUndefined()
  })

  test('however many share one small file', async () => {
    const dir = tempDir()
    for (let n = 0; n < 1_000; n++) await noteWrongPassword(dir, 1_700_000_000_000 + n)
    expect(filesIn(dir)).toEqual(['wrong-passwords'])
    expect(statSync(join(dir, AUDIT_INBOX, 'wrong-passwords')).size).toBeLessThan(5_000)
    expect(await takeWrongPasswords(dir)).toMatchObject({ isComplete: false, lastAt: 1_700_000_000_999 })
  })

  test('whatever somebody puts there in their place is one attempt at least, and nothing worse', async () => {
    const dir = tempDir()
    mkdirSync(join(dir, AUDIT_INBOX))
    writeFileSync(join(dir, AUDIT_INBOX, 'wrong-passwords'), `${'9'.repeat(400)}\n-1\nNaN\n\0\n`)
    expect(await takeWrongPasswords(dir)).toMatchObject({ attempts: 1, firstAt: 0, lastAt: 0 })
  })

  test('that can not be noted are no error', async () => {
    const dir = join(tempDir(), 'missing')
    await noteWrongPassword(dir)
    expect(await takeWrongPasswords(dir)).toBeUndefined()
  })
})
