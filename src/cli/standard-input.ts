/** Standard input as text, whole: one document. */
import { StoreError } from '../index.ts'

const MAX_BYTES = 64 * 1024 * 1024

export async function readStandardInput(): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of process.stdin) {
    chunks.push(chunk as Buffer)
    bytes += (chunk as Buffer).length
    if (bytes > MAX_BYTES)
      throw new StoreError('INVALID_DOCUMENT', 'Standard input is too large for one document. Use import.')
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks))
  } catch {
    throw new StoreError('INVALID_DOCUMENT', 'Standard input is not UTF-8 text. Nothing was written.')
  }
}
