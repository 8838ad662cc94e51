/** Where the password comes from, and that it does not stay there. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { openStore } from '../../src/index.ts'
import { codeOf, FAST_KDF, failureOf, openSharedStore, PASSWORD, tempDir } from './fixtures/temp-store.ts'

const existing = await openSharedStore()
await existing.close()

beforeEach(() => {
  vi.stubEnv('HOLDFAST_PASSWORD', undefined)
  vi.stubEnv('HOLDFAST_PASSWORD_FILE', undefined)
})
afterEach(() => {
  vi.unstubAllEnvs()
})

/** Opens the existing store as a program does that gives no password of its own. */
async function open(options: { password?: string | Uint8Array; dir?: string } = {}): Promise<void> {
  const store = await openStore({ dir: existing.dir, kdf: FAST_KDF, ...options })
  await store.close()
}

function passwordFile(content: string | Uint8Array): string {
  const path = join(tempDir(), 'password')
  writeFileSync(path, content, { mode: 0o600 })
  return path
}

describe('the password may be', () => {
  test('an option', async () => {
    await open({ password: PASSWORD })
  })

  test('an option in bytes', async () => {
    await open({ password: new TextEncoder().encode(PASSWORD) })
  })

  test('in the named file when HOLDFAST_PASSWORD is there and empty', async () => {
    vi.stubEnv('HOLDFAST_PASSWORD', '')
    vi.stubEnv('HOLDFAST_PASSWORD_FILE', passwordFile(PASSWORD))
    await open()
  })

  test('in HOLDFAST_PASSWORD', async () => {
    vi.stubEnv('HOLDFAST_PASSWORD', PASSWORD)
    await open()
  })

  test.each([
    ['alone', PASSWORD],
    ['with a line end', `${PASSWORD}\n`],
    ['with the line end of Windows', `${PASSWORD}\r\n`],
  ])('in the file that HOLDFAST_PASSWORD_FILE names, %s', async (_, content) => {
    vi.stubEnv('HOLDFAST_PASSWORD_FILE', passwordFile(content))
    await open()
  })

  test('given twice: the option counts before the variable, the variable before the file', async () => {
    vi.stubEnv('HOLDFAST_PASSWORD', 'not the password at all')
    vi.stubEnv('HOLDFAST_PASSWORD_FILE', passwordFile('nor is this'))
    await open({ password: PASSWORD })
    vi.stubEnv('HOLDFAST_PASSWORD', PASSWORD)
    await open()
  })

  test('typed with composed or combining characters, and with any blank', async () => {
    const dir = join(tempDir(), 's')
    await open({ dir, password: 'caf\u00e9 au lait, bien chaud' })
    await open({ dir, password: 'cafe\u0301\u00a0au lait, bien\u2003chaud' })
  })
})

describe('it is wrong', () => {
  test.each([
    ['another', 'another password, just as long'],
    ['in another case', PASSWORD.toUpperCase()],
    ['with a blank behind', `${PASSWORD} `],
    ['too short', 'x'],
  ])('when it is %s: WRONG_PASSWORD', async (_, password) => {
    expect(await codeOf(open({ password }))).toBe('WRONG_PASSWORD')
  })

  test('when its file has two line ends: only one belongs to the file', async () => {
    vi.stubEnv('HOLDFAST_PASSWORD_FILE', passwordFile(`${PASSWORD}\n\n`))
    expect(await codeOf(open())).toBe('WRONG_PASSWORD')
  })
})

describe('PASSWORD_MISSING', () => {
  test('when nothing names one', async () => {
    const error = await failureOf(open())
    expect(error.code).toBe('PASSWORD_MISSING')
    expect(error.message).toContain('HOLDFAST_PASSWORD')
    expect(error.message).toContain('HOLDFAST_PASSWORD_FILE')
  })

  test.each([
    ['an empty option', () => open({ password: '' })],
    ['no bytes', () => open({ password: new Uint8Array() })],
  ])('for %s', async (_, work) => {
    expect(await codeOf(work)).toBe('PASSWORD_MISSING')
  })

  test('for an empty variable', async () => {
    vi.stubEnv('HOLDFAST_PASSWORD', '')
    expect(await codeOf(open())).toBe('PASSWORD_MISSING')
  })

  test.each(['', '\n', '\r\n'])('for a file with %j in it', async (content) => {
    vi.stubEnv('HOLDFAST_PASSWORD_FILE', passwordFile(content))
    expect(await codeOf(open())).toBe('PASSWORD_MISSING')
  })

  test('for a file that can not be read, named with the reason', async () => {
    const path = join(tempDir(), 'none')
    vi.stubEnv('HOLDFAST_PASSWORD_FILE', path)
    const error = await failureOf(open())
    expect(error).toMatchObject({ code: 'PASSWORD_MISSING', details: { path }, cause: { code: 'ENOENT' } })
  })
})

describe('the environment', () => {
  test('has no password after the store is open', async () => {
    vi.stubEnv('HOLDFAST_PASSWORD', PASSWORD)
    const store = await openStore({ dir: existing.dir })
    expect('HOLDFAST_PASSWORD' in process.env).toBe(false)
    await store.close()
  })

  test('has none either when the password came from elsewhere', async () => {
    vi.stubEnv('HOLDFAST_PASSWORD', 'left over from before')
    await open({ password: PASSWORD })
    expect('HOLDFAST_PASSWORD' in process.env).toBe(false)
  })

  test('keeps it when the open fails, for the next attempt', async () => {
    vi.stubEnv('HOLDFAST_PASSWORD', PASSWORD)
    expect(await codeOf(openStore({ dir: join(tempDir(), 'none'), create: false }))).toBe('STORE_NOT_FOUND')
    expect(process.env.HOLDFAST_PASSWORD).toBe(PASSWORD)
    await open()
  })

  test('of the worker never has it', async () => {
    const dir = tempDir()
    const report = join(dir, 'environment')
    const spy = join(dir, 'spy.cjs')
    writeFileSync(
      spy,
      `if (!require('node:worker_threads').isMainThread) require('node:fs').writeFileSync(${JSON.stringify(report)}, JSON.stringify(process.env))`,
    )
    vi.stubEnv('HOLDFAST_PASSWORD', PASSWORD)
    vi.stubEnv('NODE_OPTIONS', `--require ${spy}`)
    await open()
    const environment = readFileSync(report, 'utf8')
    expect(environment).toContain('NODE_OPTIONS')
    expect(environment).not.toContain(PASSWORD)
  })
})
