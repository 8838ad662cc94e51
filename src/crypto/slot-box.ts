/**
 * Why: a rotation of the data key has to hand the next key to every keyslot, and the owner knows one password at most.
 * So a slot has a key pair: anybody who may see its public key can put a key into its box, and only its password opens
 * it. Who has an old data key, or a removed password, gains nothing from boxes that were made afterwards.
 *
 * X25519 (RFC 7748) with a fresh ephemeral key, HKDF-SHA256 (RFC 5869) over the shared secret with both public keys as
 * salt, AES-256-GCM: the shape of HPKE's base mode (RFC 9180). The keyring keeps public keys encrypted, so that a thief
 * of it who could break X25519 has nothing to break.
 */
import { createPrivateKey, createPublicKey, diffieHellman, generateKeyPairSync, hkdfSync } from 'node:crypto'
import * as z from 'zod'
import { base64Bytes } from './base64-bytes.ts'
import { unwrapKey, Wrapped, wrapKey } from './wrapping.ts'
import { zero } from './zero.ts'

const KEY_BYTES = 32
/** What stands before the 32 bytes of a key in DER (RFC 8410). */
const PRIVATE_PREFIX = Buffer.from('302e020100300506032b656e04220420', 'hex')
const PUBLIC_PREFIX = Buffer.from('302a300506032b656e032100', 'hex')
const INFO = 'holdfast/v2/slot-box'

/** A 32-byte key that only the holder of a private key can take out. */
export const SlotBox = z.strictObject({ ephemeralKey: base64Bytes(KEY_BYTES), wrapped: Wrapped })
export type SlotBox = z.infer<typeof SlotBox>

/** Both halves as their 32 bytes (RFC 7748); the caller zeroes them. */
export interface SlotKeyPair {
  readonly privateKey: Buffer
  readonly publicKey: Buffer
}

export function createSlotKeyPair(): SlotKeyPair {
  const { privateKey, publicKey } = generateKeyPairSync('x25519', {
    privateKeyEncoding: { type: 'pkcs8', format: 'der' },
    publicKeyEncoding: { type: 'spki', format: 'der' },
  })
  const pair = {
    privateKey: Buffer.from(privateKey.subarray(-KEY_BYTES)),
    publicKey: Buffer.from(publicKey.subarray(-KEY_BYTES)),
  }
  zero(privateKey)
  return pair
}

/** Puts a 32-byte key into a box for `publicKey`, bound to `associatedData`. */
export function sealBox(key: Uint8Array, publicKey: Uint8Array, associatedData: Uint8Array): SlotBox {
  const ephemeral = createSlotKeyPair()
  const wrappingKey = agree(ephemeral.privateKey, publicKey, ephemeral.publicKey, publicKey)
  try {
    const wrapped = wrapKey(key, wrappingKey, associatedData)
    return { ephemeralKey: ephemeral.publicKey.toString('base64'), wrapped }
  } finally {
    zero(ephemeral.privateKey, wrappingKey)
  }
}

/** The key in the box, or `undefined` when private key, associated data or box don't belong together. */
export function openBox(box: SlotBox, privateKey: Uint8Array, associatedData: Uint8Array): Buffer | undefined {
  const ephemeralKey = Buffer.from(box.ephemeralKey, 'base64')
  let wrappingKey: Buffer
  try {
    wrappingKey = agree(privateKey, ephemeralKey, ephemeralKey, publicKeyOf(privateKey))
  } catch {
    return undefined // a point of small order, which no box of ours has
  }
  try {
    return unwrapKey(box.wrapped, wrappingKey, associatedData)
  } finally {
    zero(wrappingKey)
  }
}

/** The public half of a private key. */
export function publicKeyOf(privateKey: Uint8Array): Buffer {
  const der = createPublicKey(privateKeyObject(privateKey)).export({ type: 'spki', format: 'der' })
  return Buffer.from(der.subarray(-KEY_BYTES))
}

function agree(own: Uint8Array, other: Uint8Array, ephemeral: Uint8Array, recipient: Uint8Array): Buffer {
  const publicKey = createPublicKey({ key: Buffer.concat([PUBLIC_PREFIX, other]), format: 'der', type: 'spki' })
  const shared = diffieHellman({ privateKey: privateKeyObject(own), publicKey })
  try {
    return Buffer.from(hkdfSync('sha256', shared, Buffer.concat([ephemeral, recipient]), INFO, KEY_BYTES))
  } finally {
    zero(shared)
  }
}

function privateKeyObject(privateKey: Uint8Array): ReturnType<typeof createPrivateKey> {
  // Not Buffer.concat, whose result may lie in Node's shared pool.
  const der = Buffer.alloc(PRIVATE_PREFIX.length + KEY_BYTES)
  PRIVATE_PREFIX.copy(der)
  der.set(privateKey, PRIVATE_PREFIX.length)
  try {
    return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  } finally {
    zero(der)
  }
}
