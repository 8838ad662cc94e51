/** What can be asked of a keyring, and what it answers. Passwords travel as bytes that the worker zeroes. */
import type { KdfCostOptions } from './methods.ts'

/** How a keyslot is opened: with a password, with a printed recovery key, or with what a command prints. */
export type KeyslotKind = 'password' | 'recovery' | 'command'

/** One way into the store, without its secrets. */
export interface KeyslotInfo {
  readonly id: string
  readonly label: string | null
  readonly kind: KeyslotKind
  /** Unix time in milliseconds. */
  readonly createdAtMs: number
  readonly kdf: KdfCostOptions
}

/** What the keyring says of itself; authenticated once it was unlocked. */
export interface KeyringInfo {
  /** Grows by one with each change. */
  readonly generation: number
  /** Unix time in milliseconds. */
  readonly dataKeyCreatedAtMs: number
  /** True while files may be under either of two data keys. */
  readonly isRotating: boolean
  readonly slots: readonly KeyslotInfo[]
}

/** One database file and its raw key, as any SQLCipher 4 tool takes it. */
export interface RawDatabaseKey {
  /** From the store directory. */
  readonly file: string
  /** 64 hexadecimal digits. */
  readonly key: string
}

export type KeyOperation =
  | { readonly operation: 'list' }
  | {
      readonly operation: 'add'
      readonly kind: KeyslotKind
      readonly label: string | null
      /** Null for a recovery key, which is made here. */
      readonly secret: Uint8Array | null
      readonly cost: KdfCostOptions | null
    }
  | { readonly operation: 'remove'; readonly slot: string }
  | {
      readonly operation: 'rotate-password'
      readonly next: Uint8Array
      /** Null: the one that the password at hand opens. */
      readonly slot: string | null
      readonly cost: KdfCostOptions | null
    }
  | { readonly operation: 'raise-cost'; readonly cost: KdfCostOptions }
  | { readonly operation: 'export-raw' }
  | { readonly operation: 'accept-older' }

export interface KeyRequest {
  readonly dir: string
  readonly password: Uint8Array
  /** Who asks, for the audit trail. */
  readonly actor: string
  readonly change: KeyOperation
}

export interface KeyResult extends KeyringInfo {
  /** The slot that the password opened. */
  readonly openedSlot: string
  /** The slot that was added, removed or rewritten. */
  readonly slot: KeyslotInfo | null
  /** Printed once and kept nowhere. */
  readonly recoveryKey: string | null
  readonly rawKeys: readonly RawDatabaseKey[]
  /** The serialized keyring, ciphertext throughout: what a worker that takes over unlocks when the password has changed. */
  readonly keyring: string
}

/** How far a rotation of the data key has come. */
export interface RotationProgress {
  readonly phase: 'preparing' | 'rewriting' | 'verifying' | 'finishing'
  /** The file at hand, from the store directory. */
  readonly file: string | null
  readonly bytesDone: number
  readonly bytesTotal: number
  readonly bytesPerSecond: number
  /** Null until it can be told. */
  readonly remainingMs: number | null
}

export interface RotateDataKeyRequest {
  readonly password: Uint8Array
  readonly actor: string
}

export interface RotateDataKeyResult extends KeyringInfo {
  readonly files: readonly string[]
  readonly bytes: number
  readonly durationMs: number
  readonly keyring: string
}
