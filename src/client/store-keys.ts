/**
 * The keys of a store, as an operator handles them. Changes of the keyring work beside a running owner too; encrypting
 * the databases under another data key is the owner's.
 */
import { userInfo } from 'node:os'
import { resolve } from 'node:path'
import type {
  KeyOperation,
  KeyResult,
  KeyringInfo,
  KeyslotInfo,
  RawDatabaseKey,
  RotateDataKeyResult,
  RotationProgress,
} from '../protocol/keys.ts'
import type { KdfCostOptions } from '../protocol/methods.ts'
import { StoreError } from '../protocol/store-error.ts'
import { readPassword } from './password-source.ts'
import { runUnlockCommand, type UnlockCommand } from './unlock-command.ts'
import { WorkerLink } from './worker-link.ts'
import type { WorkerSupervisor } from './worker-supervisor.ts'

const PROGRESS_INTERVAL_MS = 200

interface KeyActor {
  /** Who does it, for the audit trail; default: the user of this process. */
  readonly actor?: string
}

export interface AddKeyOptions extends KeyActor {
  /** What people call the slot; one line. */
  readonly label?: string
  /** Cost of argon2id; default 64 MiB, 3 passes, 4 lanes. */
  readonly kdf?: KdfCostOptions
}

export interface RotatePasswordOptions extends KeyActor {
  /** The slot that gets the password; default: the one the store was opened with, or the only one of kind `password`. */
  readonly slot?: string
  readonly kdf?: KdfCostOptions
}

export interface RotateDataKeyOptions extends KeyActor {
  /** Called some five times a second. */
  readonly onProgress?: (progress: RotationProgress) => void
}

/** What came of a rotation of the data key. */
export interface DataKeyRotation extends KeyringInfo {
  /** The files that were encrypted anew, from the store directory. */
  readonly files: readonly string[]
  readonly bytes: number
  readonly durationMs: number
}

/** What can be done with the keyring of a store, beside its owner too. */
export interface KeyringOperations {
  /** The slots, authenticated. Rejects with `KEYRING_CORRUPT` when somebody without the data key has changed them. */
  list(): Promise<KeyringInfo>
  /**
   * Another way into the store. Rejects with `PASSWORD_TOO_WEAK`, `CONSTRAINT` for a label that is taken.
   *
   * @example await store.keys.add(process.env.SECOND_PASSWORD, { label: 'on-call' })
   */
  add(password: string | Uint8Array, options?: AddKeyOptions): Promise<KeyslotInfo>
  /** A slot for what a program prints. It is run once to make the slot, and again to open the store. */
  addCommand(command: UnlockCommand, options?: AddKeyOptions): Promise<KeyslotInfo>
  /** A recovery key: print it and put it away. It opens the store wherever a password does, and is kept nowhere. */
  addRecoveryKey(options?: AddKeyOptions): Promise<{ readonly slot: KeyslotInfo; readonly recoveryKey: string }>
  /** Rejects with `LAST_KEYSLOT`, `NOT_FOUND`. Who has the password and an older keyring still has the data key: rotate that. */
  remove(slot: string, options?: KeyActor): Promise<KeyslotInfo>
  /** Puts another password in the place of one. Takes milliseconds at any size; what is left open stays open. */
  rotatePassword(next: string | Uint8Array, options?: RotatePasswordOptions): Promise<KeyslotInfo>
  /** Makes each guess at the password at hand dearer. Rejects with `INVALID_ARGUMENT` when it would be cheaper. */
  raiseCost(kdf: KdfCostOptions, options?: KeyActor): Promise<KeyslotInfo>
  /**
   * The raw keys of the databases, for another SQLCipher 4 tool. Whoever has them reads everything until the data key is
   * rotated. Recorded in the audit trail.
   */
  exportRaw(options: KeyActor & { readonly yesGiveMeTheKeys: true }): Promise<readonly RawDatabaseKey[]>
  /**
   * Makes a keyring that is older than the store the one that counts, where the newer one is lost. Its passwords open the
   * store again, those that were changed since among them. Recorded in the audit trail. Rejects with `INVALID_ARGUMENT`
   * when it is not older.
   *
   * @example await openKeyring({ dir, password }).acceptOlder({ yesItsPasswordsMayOpenTheStore: true })
   */
  acceptOlder(options: KeyActor & { readonly yesItsPasswordsMayOpenTheStore: true }): Promise<KeyringInfo>
}

/** The keys of an open store. */
export interface StoreKeys extends KeyringOperations {
  /** See `store.rotateDataKey`. */
  rotateDataKey(options?: RotateDataKeyOptions): Promise<DataKeyRotation>
}

type Transport = (change: KeyOperation, actor: string) => Promise<KeyResult>

class KeyringClient implements KeyringOperations {
  readonly #ask: Transport

  constructor(ask: Transport) {
    this.#ask = ask
  }

  async list(): Promise<KeyringInfo> {
    return infoOf(await this.#ask({ operation: 'list' }, actorOf({})))
  }

  async add(password: string | Uint8Array, options: AddKeyOptions = {}): Promise<KeyslotInfo> {
    return slotOf(await this.#add('password', bytesOf(password), options))
  }

  async addCommand(command: UnlockCommand, options: AddKeyOptions = {}): Promise<KeyslotInfo> {
    return slotOf(await this.#add('command', await runUnlockCommand(command), options))
  }

  async addRecoveryKey(
    options: AddKeyOptions = {},
  ): Promise<{ readonly slot: KeyslotInfo; readonly recoveryKey: string }> {
    const result = await this.#add('recovery', null, options)
    return { slot: slotOf(result), recoveryKey: result.recoveryKey as string }
  }

  async remove(slot: string, options: KeyActor = {}): Promise<KeyslotInfo> {
    return slotOf(await this.#ask({ operation: 'remove', slot }, actorOf(options)))
  }

  async rotatePassword(next: string | Uint8Array, options: RotatePasswordOptions = {}): Promise<KeyslotInfo> {
    const { slot = null, kdf = null } = options
    const bytes = bytesOf(next)
    try {
      return slotOf(await this.#ask({ operation: 'rotate-password', next: bytes, slot, cost: kdf }, actorOf(options)))
    } finally {
      bytes.fill(0)
    }
  }

  async raiseCost(kdf: KdfCostOptions, options: KeyActor = {}): Promise<KeyslotInfo> {
    return slotOf(await this.#ask({ operation: 'raise-cost', cost: kdf }, actorOf(options)))
  }

  async exportRaw(options: KeyActor & { readonly yesGiveMeTheKeys: true }): Promise<readonly RawDatabaseKey[]> {
    if (options?.yesGiveMeTheKeys !== true) {
      throw new StoreError(
        'INVALID_ARGUMENT',
        'exportRaw gives out the keys of the databases: say yesGiveMeTheKeys: true.',
      )
    }
    return (await this.#ask({ operation: 'export-raw' }, actorOf(options))).rawKeys
  }

  async acceptOlder(options: KeyActor & { readonly yesItsPasswordsMayOpenTheStore: true }): Promise<KeyringInfo> {
    if (options?.yesItsPasswordsMayOpenTheStore !== true) {
      throw new StoreError(
        'INVALID_ARGUMENT',
        'acceptOlder brings back the passwords of an older keyring: say yesItsPasswordsMayOpenTheStore: true.',
      )
    }
    return infoOf(await this.#ask({ operation: 'accept-older' }, actorOf(options)))
  }

  async #add(kind: KeyslotInfo['kind'], secret: Uint8Array | null, options: AddKeyOptions): Promise<KeyResult> {
    const { label = null, kdf = null } = options
    try {
      return await this.#ask({ operation: 'add', kind, label, secret, cost: kdf }, actorOf(options))
    } finally {
      secret?.fill(0)
    }
  }
}

/** The keys of an open store; `assertOpen` throws when it is not. */
export function keysOfStore(supervisor: WorkerSupervisor, assertOpen: () => void): StoreKeys {
  const client = new KeyringClient(async (change, actor) => {
    assertOpen()
    return await supervisor.changeKeys(change, actor)
  })
  return Object.freeze({
    ...operationsOf(client),
    rotateDataKey: async (options: RotateDataKeyOptions = {}) => {
      assertOpen()
      return await rotateDataKey(supervisor, options)
    },
  })
}

export interface OpenKeyringOptions {
  readonly dir: string
  /** Default: as for `openStore`. */
  readonly password?: string | Uint8Array
  readonly unlockCommand?: UnlockCommand
}

/**
 * The keyring of the store in `dir`, also while another process has the store open: that one goes on undisturbed, and
 * knows of the change at its next open. Each call starts a worker of its own and is by itself.
 *
 * @throws StoreError of each call: `WRONG_PASSWORD`, `STORE_NOT_FOUND`, `BUSY_OPERATION`, `KEYRING_CORRUPT`,
 * `KEYRING_OUTDATED`, `DISK_FULL`
 *
 * @example
 * await openKeyring({ dir: './state', password }).rotatePassword(next)
 */
export function openKeyring({ dir, password, unlockCommand }: OpenKeyringOptions): KeyringOperations {
  let current = password
  const client = new KeyringClient(async (change, actor) => {
    const secret = unlockCommand === undefined ? readPassword(current) : await runUnlockCommand(unlockCommand)
    const next = change.operation === 'rotate-password' ? Uint8Array.from(change.next) : undefined
    const link = await WorkerLink.start()
    try {
      const result = await link.call('keys', { dir: resolve(dir), password: secret, actor, change })
      const isReplaced = result.slots.every(({ id }) => id !== result.openedSlot)
      if (next !== undefined && isReplaced) current = next
      return result
    } finally {
      secret.fill(0)
      await link.terminate()
    }
  })
  return Object.freeze(operationsOf(client))
}

function operationsOf(client: KeyringClient): KeyringOperations {
  return {
    list: () => client.list(),
    add: (password, options) => client.add(password, options),
    addCommand: (command, options) => client.addCommand(command, options),
    addRecoveryKey: (options) => client.addRecoveryKey(options),
    remove: (slot, options) => client.remove(slot, options),
    rotatePassword: (next, options) => client.rotatePassword(next, options),
    raiseCost: (kdf, options) => client.raiseCost(kdf, options),
    exportRaw: (options) => client.exportRaw(options),
    acceptOlder: (options) => client.acceptOlder(options),
  }
}

async function rotateDataKey(supervisor: WorkerSupervisor, options: RotateDataKeyOptions): Promise<DataKeyRotation> {
  const { onProgress } = options
  const timer =
    onProgress &&
    setInterval(() => {
      supervisor.callOnce('rotationProgress').then(
        (progress) => progress !== null && onProgress(progress),
        () => undefined,
      )
    }, PROGRESS_INTERVAL_MS)
  try {
    const result: RotateDataKeyResult = await supervisor.rotateDataKey(actorOf(options))
    return { ...infoOf(result), files: result.files, bytes: result.bytes, durationMs: result.durationMs }
  } finally {
    clearInterval(timer)
  }
}

function infoOf({ generation, dataKeyCreatedAtMs, isRotating, slots }: KeyringInfo): KeyringInfo {
  return { generation, dataKeyCreatedAtMs, isRotating, slots }
}

function slotOf({ slot }: KeyResult): KeyslotInfo {
  return slot as KeyslotInfo
}

function bytesOf(password: string | Uint8Array): Uint8Array {
  if (typeof password === 'string') return new TextEncoder().encode(password)
  if (password instanceof Uint8Array) return Uint8Array.from(password)
  throw new StoreError('PASSWORD_MISSING', 'No new password given. It is a text or bytes.')
}

function actorOf({ actor }: KeyActor): string {
  if (actor !== undefined) return actor
  try {
    return userInfo().username
  } catch {
    return 'unknown' // a user without an entry in the password file, as in containers
  }
}
