/**
 * Why: a password is guessable and a key is not. Argon2id makes each guess cost memory and time, and its parameters
 * are stored next to what it protects, so the cost can rise later without locking anybody out.
 *
 * The cost comes from a file that an attacker may have edited: a floor keeps guessing expensive, a ceiling keeps
 * opening a store from eating the machine.
 */

import { argon2id as ARGON2ID, hash } from 'argon2'
import * as z from 'zod'
import { StoreError } from '../protocol/store-error.ts'
import { base64Bytes } from './base64-bytes.ts'
import { zero } from './zero.ts'

/** Argon2 version 1.3, the one of RFC 9106. */
const ARGON2_VERSION = 0x13

/** Bytes of a salt. */
export const SALT_BYTES = 16

const KEY_BYTES = 32

const costShape = {
  memoryKiB: z.int().min(19_456).max(4_194_304),
  iterations: z.int().min(2).max(100),
  parallelism: z.int().min(1).max(16),
}

/**
 * What one guess of a password costs: memory in KiB (19 MiB to 4 GiB), passes over that memory (2 to 100) and lanes
 * (1 to 16). The floor is the minimum of the OWASP Password Storage Cheat Sheet for argon2id.
 */
export const KdfCost = z.strictObject(costShape)
export type KdfCost = z.infer<typeof KdfCost>

/** The second recommended option of RFC 9106 section 4: 64 MiB, 3 passes, 4 lanes; some 140 ms on a small server. */
export const DEFAULT_KDF_COST: Readonly<KdfCost> = Object.freeze({ memoryKiB: 65_536, iterations: 3, parallelism: 4 })

/** Everything but the password that the key-encryption key depends on; `salt` is 16 bytes in base64. */
export const KdfParameters = z.strictObject({
  algorithm: z.literal('argon2id'),
  version: z.literal(ARGON2_VERSION),
  ...costShape,
  salt: base64Bytes(SALT_BYTES),
})
export type KdfParameters = z.infer<typeof KdfParameters>

/** The parameters that go with a cost and a salt of 16 bytes. */
export function kdfParameters(cost: KdfCost, salt: Uint8Array): KdfParameters {
  return {
    algorithm: 'argon2id',
    version: ARGON2_VERSION,
    memoryKiB: cost.memoryKiB,
    iterations: cost.iterations,
    parallelism: cost.parallelism,
    salt: Buffer.from(salt).toString('base64'),
  }
}

/**
 * The 32-byte key-encryption key of a password. Runs on libuv's pool, `parallelism` threads wide.
 *
 * @param password as made by `passwordBytes`; it is neither kept nor changed
 * @throws StoreError INVALID_ARGUMENT when the parameters are outside the bounds of `KdfCost`
 * @throws StoreError INTERNAL when the machine refuses the memory
 */
export async function deriveKeyEncryptionKey(password: Uint8Array, parameters: KdfParameters): Promise<Buffer> {
  const checked = KdfParameters.safeParse(parameters)
  if (!checked.success) {
    const faults = checked.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`)
    throw new StoreError('INVALID_ARGUMENT', `The cost of the key derivation is out of bounds (${faults.join('; ')}).`)
  }
  const { memoryKiB, iterations, parallelism, salt } = checked.data
  return argon2id({
    password,
    salt: Buffer.from(salt, 'base64'),
    memoryKiB,
    iterations,
    parallelism,
    length: KEY_BYTES,
  })
}

/** The inputs of Argon2 by the names of RFC 9106 section 3.1; `length` is the tag's length in bytes. */
export interface Argon2idInput {
  readonly password: Uint8Array
  readonly salt: Uint8Array
  readonly secret?: Uint8Array
  readonly associatedData?: Uint8Array
  readonly memoryKiB: number
  readonly iterations: number
  readonly parallelism: number
  readonly length: number
}

/**
 * Argon2id version 1.3 (RFC 9106) without bounds on its cost.
 *
 * @throws StoreError INTERNAL when the computation fails, in practice because the machine refuses the memory
 */
export async function argon2id(input: Argon2idInput): Promise<Buffer> {
  // The package copies a Buffer before it hashes, and nobody could zero that copy. An ArrayBuffer it takes as it is,
  // though its types do not say so; the test vector of RFC 9106 would notice a change.
  const password = Uint8Array.from(input.password)
  try {
    return await hash(password.buffer as unknown as Buffer, {
      raw: true,
      type: ARGON2ID,
      version: ARGON2_VERSION,
      salt: Buffer.from(input.salt),
      ...(input.secret === undefined ? {} : { secret: Buffer.from(input.secret) }),
      ...(input.associatedData === undefined ? {} : { associatedData: Buffer.from(input.associatedData) }),
      memoryCost: input.memoryKiB,
      timeCost: input.iterations,
      parallelism: input.parallelism,
      hashLength: input.length,
    })
  } catch (cause) {
    throw new StoreError(
      'INTERNAL',
      `Deriving the key from the password failed. It needs ${Math.ceil(input.memoryKiB / 1024)} MiB of memory for a ` +
        'moment: check the memory limits of this process and machine, then try again.',
      { cause, details: { memoryKiB: input.memoryKiB, parallelism: input.parallelism } },
    )
  } finally {
    zero(password)
  }
}
