/**
 * Documents out of a file, one by one with the line each begins at: an array in a `.json` file, otherwise one document
 * a line (JSONL). Either is read in pieces, so that memory doesn't grow with the file.
 */
import { createReadStream } from 'node:fs'
import { StoreError } from '../index.ts'
import { fileError } from './file-error.ts'

export interface DocumentText {
  readonly text: string
  readonly line: number
}

const CHUNK_BYTES = 64 * 1024
/** Four times what a document of the store may have; a file of something else must not end up in memory. */
const MAX_TEXT_LENGTH = 64 * 1024 * 1024

/** @throws StoreError `INVALID_DOCUMENT` when the file as a whole is not what its name says. */
export async function* readDocumentTexts(path: string): AsyncGenerator<DocumentText> {
  const texts = path.toLowerCase().endsWith('.json') ? new ArrayElements(path) : new Lines(path)
  for await (const chunk of decodedChunks(path, texts)) {
    yield* texts.push(chunk)
    if (texts.pendingLength > MAX_TEXT_LENGTH) throw malformed(path, texts.line, 'a single document is far too large')
  }
  yield* texts.end()
}

async function* decodedChunks(path: string, position: { readonly line: number }): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  const decode = (bytes?: Uint8Array): string => {
    try {
      return bytes === undefined ? decoder.decode() : decoder.decode(bytes, { stream: true })
    } catch {
      throw malformed(path, position.line, 'not UTF-8 text')
    }
  }
  try {
    for await (const bytes of createReadStream(path, { highWaterMark: CHUNK_BYTES })) yield decode(bytes as Buffer)
  } catch (error) {
    throw fileError(error, path, 'read')
  }
  yield decode()
}

interface TextSource {
  readonly line: number
  readonly pendingLength: number
  push(chunk: string): Iterable<DocumentText>
  end(): Iterable<DocumentText>
}

/** Only a line feed ends a line: a JSON string may hold any other separator of Unicode as it is. */
class Lines implements TextSource {
  line = 1
  readonly path: string
  #pending = ''

  constructor(path: string) {
    this.path = path
  }

  get pendingLength(): number {
    return this.#pending.length
  }

  *push(chunk: string): Iterable<DocumentText> {
    let start = 0
    for (let end = chunk.indexOf('\n'); end !== -1; end = chunk.indexOf('\n', start)) {
      yield* this.#take(this.#pending + chunk.slice(start, end))
      this.#pending = ''
      this.line += 1
      start = end + 1
    }
    this.#pending += chunk.slice(start)
  }

  *end(): Iterable<DocumentText> {
    yield* this.#take(this.#pending)
  }

  *#take(text: string): Iterable<DocumentText> {
    if (text.trim() !== '') yield { text, line: this.line }
  }
}

/** Finds where the elements of one array begin and end; whether each is JSON is for `JSON.parse` to say. */
class ArrayElements implements TextSource {
  line = 1
  readonly path: string
  #state: 'before' | 'inside' | 'after' = 'before'
  #depth = 0
  #isInString = false
  #isEscaped = false
  #pending = ''
  #count = 0

  constructor(path: string) {
    this.path = path
  }

  get pendingLength(): number {
    return this.#pending.length
  }

  *push(chunk: string): Iterable<DocumentText> {
    let start = 0
    for (let index = 0; index < chunk.length; index++) {
      const character = chunk[index] as string
      if (character === '\n') this.line += 1
      if (this.#isInString) this.#inString(character)
      else if (this.#state !== 'inside') {
        this.#outside(character)
        start = index + 1
      } else if (character === '"') {
        this.#isInString = true
      } else if (character === '{' || character === '[') this.#depth += 1
      else if (this.#depth > 0 && (character === '}' || character === ']')) this.#depth -= 1
      else if (this.#depth === 0 && (character === ',' || character === ']')) {
        yield* this.#take(this.#pending + chunk.slice(start, index), character)
        start = index + 1
      }
    }
    if (this.#state === 'inside') this.#pending += chunk.slice(start)
  }

  end(): Iterable<DocumentText> {
    if (this.#state === 'before') throw malformed(this.path, this.line, 'no array of documents; the file is empty')
    if (this.#state === 'inside') throw malformed(this.path, this.line, 'the array has no end; the file may be cut off')
    return []
  }

  #inString(character: string): void {
    if (this.#isEscaped) this.#isEscaped = false
    else if (character === '\\') this.#isEscaped = true
    else if (character === '"') this.#isInString = false
  }

  #outside(character: string): void {
    if (/\s/.test(character)) return
    if (this.#state === 'after') throw malformed(this.path, this.line, 'something follows the array of documents')
    if (character !== '[') {
      throw malformed(
        this.path,
        this.line,
        'a .json file has to hold an array of documents; name one with a document a line .jsonl',
      )
    }
    this.#state = 'inside'
  }

  *#take(text: string, separator: string): Iterable<DocumentText> {
    const isLast = separator === ']'
    if (isLast) this.#state = 'after'
    this.#pending = ''
    if (isLast && this.#count === 0 && text.trim() === '') return
    this.#count += 1
    const blank = text.length - text.trimStart().length
    const line = this.line - countLines(text.slice(blank))
    yield { text, line }
  }
}

function countLines(text: string): number {
  return text.split('\n').length - 1
}

function malformed(path: string, line: number, problem: string): StoreError {
  return new StoreError('INVALID_DOCUMENT', `${path}:${line}: ${problem}.`, {
    details: { path, line },
  })
}
