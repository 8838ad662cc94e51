/**
 * Who looks at a store beside its owner can't hold off a rotation of the data key, and reads pages past SQLite's locks:
 * those under the other key pass for damage. But the keyring carries both keys while a rotation runs and another one
 * afterwards, so it can be told whether anything may have moved between two moments.
 */
import { stat } from 'node:fs/promises'
import { readKeyring } from '../../crypto/keyring-file.ts'
import type { CheckFinding } from '../../protocol/check-finding.ts'
import { StoreError } from '../../protocol/store-error.ts'
import { storeDatabases } from '../store-files.ts'

/** Since when no file has moved to another key. */
export class KeysInUse {
  readonly #dir: string
  readonly #seen: string

  private constructor(dir: string, seen: string) {
    this.#dir = dir
    this.#seen = seen
  }

  /** Take it before the keyring is read that the files are opened with. */
  static async of(dir: string): Promise<KeysInUse> {
    return new KeysInUse(dir, await keysInUse(dir))
  }

  async haveChanged(): Promise<boolean> {
    const now = await keysInUse(this.#dir)
    return now !== '' && now !== this.#seen
  }
}

/**
 * While there are two keys, whoever rotates changes files and not the keyring, so they count too: a rotation that was
 * interrupted stands still, and can be looked at. Empty when the keyring can't tell.
 */
async function keysInUse(dir: string): Promise<string> {
  const found = await readKeyring(dir)
  if (found === undefined || found.keyring.version === 1) return ''
  const ids = found.keyring.dataKeys.map(({ id }) => id)
  return JSON.stringify(ids.length === 1 ? ids : [...ids, await fileTimes(dir)])
}

/** Files are not opened for it: the owner may be in this process. */
async function fileTimes(dir: string): Promise<string[]> {
  const paths = (await storeDatabases(dir)).flatMap(({ path }) => [path, `${path}-wal`])
  return await Promise.all(
    paths.map(async (path) => {
      const found = await stat(path, { bigint: true }).catch(() => undefined)
      return found === undefined ? '' : `${found.size} ${found.mtimeNs}`
    }),
  )
}

export function rotationUnderWay(): CheckFinding {
  return {
    code: 'ROTATION_UNDER_WAY',
    severity: 'warning',
    subject: 'data key',
    problem: 'the owner has rotated the data key meanwhile, or is doing so: no page was checked',
    remedy: 'Check again when it has ended, with a store that is opened then.',
    repairable: false,
  }
}

export function openedBeforeRotation(dir: string, cause: unknown): StoreError {
  return new StoreError(
    'BUSY_OPERATION',
    `The owner of ${dir} has rotated the data key since this store was opened beside it, or is doing so. Nothing is damaged: open it again.`,
    { details: { dir, operation: 'read beside the owner', running: 'rotation of the data key' }, cause },
  )
}
