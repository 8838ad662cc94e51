/** Documents as text, in pieces large enough to be worth a write: one a line, in an array for `json`. */
import type { StoredDocument } from './stored-collection.ts'
import { jsonText } from './visible-text.ts'

export const DOCUMENT_FORMATS = ['json', 'jsonl'] as const
export type DocumentFormat = (typeof DOCUMENT_FORMATS)[number]

const PIECE_LENGTH = 64 * 1024

export async function* formatDocuments(
  documents: AsyncIterable<StoredDocument>,
  format: DocumentFormat,
): AsyncGenerator<string> {
  const isArray = format === 'json'
  let text = ''
  let separator = isArray ? '[\n' : ''
  for await (const document of documents) {
    text += separator + jsonText(document)
    separator = isArray ? ',\n' : '\n'
    if (text.length < PIECE_LENGTH) continue
    yield text
    text = ''
  }
  const isEmpty = separator === '[\n' || separator === ''
  if (isArray) text += isEmpty ? '[]\n' : '\n]\n'
  else if (!isEmpty) text += '\n'
  if (text !== '') yield text
}
