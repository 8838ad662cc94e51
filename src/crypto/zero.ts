/**
 * Why: a key that is no longer needed should not be found in a core dump or in swap. JavaScript strings cannot be
 * overwritten, so keys and passwords travel as buffers, and whoever made a buffer zeroes it.
 *
 * This narrows the window; it is no guarantee: native code (OpenSSL, argon2) keeps copies of its own for a moment.
 */

/** Overwrites every byte of the given buffers with zero; an `undefined` is skipped. */
export function zero(...buffers: readonly (Uint8Array | undefined)[]): void {
  for (const buffer of buffers) buffer?.fill(0)
}

/**
 * Runs `use` with `secret` and zeroes the secret when `use` has settled, also when it throws or rejects.
 *
 * @returns what `use` returned; it must not be, or view, the secret itself
 */
export async function withSecret<S extends Uint8Array, T>(secret: S, use: (secret: S) => T | Promise<T>): Promise<T> {
  try {
    return await use(secret)
  } finally {
    zero(secret)
  }
}
