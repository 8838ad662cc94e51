import * as z from 'zod'

/**
 * A zod schema for exactly `length` bytes written as base64 (RFC 4648 section 4, padded). Only the canonical text is
 * accepted: Node's decoder also takes stray characters and unused bits, which would give one value many spellings.
 */
export function base64Bytes(length: number): z.ZodType<string, string> {
  return z.string().refine(
    (text) => {
      const bytes = Buffer.from(text, 'base64')
      return bytes.length === length && bytes.toString('base64') === text
    },
    { error: `must be ${length} bytes in base64` },
  )
}
