/**
 * Rows of a JSON file: an array of rows, or one row after the other (JSON Lines). A row is an array of scalars or an object
 * with scalar fields; nested values (such as `info` and `fee` of a ccxt trade) are passed over. Numbers keep the text that
 * stands in the file, which `JSON.parse` would lose. Reads piece by piece: memory holds one row and one piece.
 */
import { fileFault } from './file-fault.ts'
import type { FileRow, FileRows } from './file-row.ts'

const MAX_ROW_LENGTH = 1024 * 1024
const SCALAR = /"(?:[^"\\]|\\.)*"|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![0-9.eE+-])|true|false|null/y
const SPACE = /[ \t\r\n]*/y

export async function* jsonRows(pieces: AsyncIterable<string>): AsyncGenerator<FileRows> {
  const splitter = new RowSplitter()
  let names: readonly string[] | undefined
  const parse = (texts: readonly RowText[]): FileRow[] =>
    texts.map((row) => {
      const parsed = new RowParser(row).parse(names)
      names = parsed.names
      return { line: row.line, cells: parsed.cells }
    })
  for await (const piece of pieces) {
    const rows = parse(splitter.push(piece))
    if (rows.length > 0) yield { names, rows }
  }
  splitter.end()
}

export interface RowText {
  readonly line: number
  readonly text: string
}

/** Finds where rows begin and end. */
export class RowSplitter {
  #text = ''
  #at = 0
  #line = 1
  #state: 'start' | 'first' | 'between' | 'after-row' | 'after-comma' | 'row' | 'end' = 'start'
  #isArray = false
  #depth = 0
  #isInString = false
  #rowStart = 0
  #rowLine = 1

  push(piece: string): RowText[] {
    const rows: RowText[] = []
    this.#text += piece
    for (; this.#at < this.#text.length; this.#at += 1) {
      const code = this.#text.charCodeAt(this.#at)
      if (code === 10) this.#line += 1
      if (this.#state === 'row') {
        if (this.#isRowEnd(code)) {
          rows.push({ line: this.#rowLine, text: this.#text.slice(this.#rowStart, this.#at + 1) })
          this.#state = 'after-row'
        }
      } else if (code !== 32 && code !== 9 && code !== 10 && code !== 13) {
        this.#step(code)
      }
    }
    this.#forgetRead()
    return rows
  }

  /** The file has ended; a row or an array that is still open means that it was cut off. */
  end(): void {
    if (this.#state === 'first') {
      throw fileFault(this.#line, 'the file ends inside its array: it was cut off')
    }
    if (this.#state === 'row') throw fileFault(this.#rowLine, 'the file ends inside this row: it was cut off')
    if (this.#isArray && this.#state !== 'end') {
      throw fileFault(this.#line, 'the file ends inside its array: it was cut off')
    }
  }

  #isRowEnd(code: number): boolean {
    if (this.#isInString) {
      if (code === 92) this.#at += 1
      else if (code === 34) this.#isInString = false
    } else if (code === 34) this.#isInString = true
    else if (code === 91 || code === 123) this.#depth += 1
    else if (code === 93 || code === 125) {
      this.#depth -= 1
      return this.#depth === 0
    }
    return false
  }

  #step(code: number): void {
    const opens = code === 91 || code === 123
    if (this.#state === 'start') {
      if (code === 0xfeff) return
      if (!opens) throw this.#fault()
      if (code === 91) {
        this.#state = 'first'
        this.#beginRow()
      } else this.#openRow()
    } else if (this.#state === 'first') {
      if (opens) {
        this.#isArray = true
        this.#openRow()
      } else if (code === 93) {
        this.#isArray = true
        this.#state = 'end'
      } else {
        // A scalar: the bracket was that of the first row.
        this.#depth = 1
        this.#state = 'row'
        this.#isInString = code === 34
      }
    } else if (this.#isArray && this.#state === 'after-row' && code === 44) this.#state = 'after-comma'
    else if (this.#isArray && this.#state === 'after-row' && code === 93) this.#state = 'end'
    else if (opens && (this.#state === 'after-comma' || (!this.#isArray && this.#state === 'after-row')))
      this.#openRow()
    else throw this.#fault()
  }

  #openRow(): void {
    this.#beginRow()
    this.#depth = 1
    this.#state = 'row'
  }

  #beginRow(): void {
    this.#rowStart = this.#at
    this.#rowLine = this.#line
  }

  #forgetRead(): void {
    const start = this.#state === 'row' || this.#state === 'first' ? this.#rowStart : this.#at
    if (this.#text.length - start > MAX_ROW_LENGTH) throw fileFault(this.#rowLine, 'the row is longer than 1 MiB')
    this.#text = this.#text.slice(start)
    this.#at -= start
    this.#rowStart = 0
  }

  #fault(): Error {
    return fileFault(this.#line, 'neither an array of rows nor one row a line')
  }
}

/** Takes one row apart. */
class RowParser {
  readonly #text: string
  readonly #line: number
  #at = 1

  constructor({ text, line }: RowText) {
    this.#text = text
    this.#line = line
  }

  parse(names: readonly string[] | undefined): {
    names: readonly string[] | undefined
    cells: readonly (string | null)[]
  } {
    if (this.#text[0] === '[') {
      if (names !== undefined) throw fileFault(this.#line, 'an array among rows that are objects')
      return { names, cells: this.#items(']', () => this.#value()) }
    }
    const fields = new Map<string, string | null>()
    this.#items('}', () => {
      const name = this.#value()
      this.#space()
      if (name === null || this.#text[this.#at] !== ':') throw this.#fault()
      this.#at += 1
      this.#space()
      const value = this.#value()
      if (value !== undefined) fields.set(name as string, value)
      return value
    })
    const known = names ?? [...fields.keys()]
    return { names: known, cells: known.map((name) => fields.get(name) ?? null) }
  }

  #items(close: string, item: () => string | null | undefined): (string | null)[] {
    const items: (string | null)[] = []
    this.#space()
    if (this.#text[this.#at] === close) return items
    for (;;) {
      this.#space()
      items.push(item() ?? null)
      this.#space()
      const next = this.#text[this.#at]
      this.#at += 1
      if (next === close && this.#at === this.#text.length) return items
      if (next !== ',') throw this.#fault()
    }
  }

  /** undefined for a nested value. */
  #value(): string | null | undefined {
    const first = this.#text[this.#at]
    if (first === '[' || first === '{') return this.#skipNested()
    SCALAR.lastIndex = this.#at
    const token = SCALAR.exec(this.#text)?.[0]
    if (token === undefined) throw this.#fault()
    this.#at += token.length
    if (token === 'null') return null
    return first === '"' ? (this.#parsed(token) as string) : token
  }

  #skipNested(): undefined {
    const start = this.#at
    let depth = 0
    let isInString = false
    for (; this.#at < this.#text.length; this.#at += 1) {
      const char = this.#text[this.#at]
      if (isInString) {
        if (char === '\\') this.#at += 1
        else if (char === '"') isInString = false
      } else if (char === '"') isInString = true
      else if (char === '[' || char === '{') depth += 1
      else if (char === ']' || char === '}') {
        depth -= 1
        if (depth === 0) break
      }
    }
    this.#at += 1
    this.#parsed(this.#text.slice(start, this.#at))
    return undefined
  }

  #parsed(text: string): unknown {
    try {
      return JSON.parse(text)
    } catch {
      throw this.#fault()
    }
  }

  #space(): void {
    SPACE.lastIndex = this.#at
    SPACE.exec(this.#text)
    this.#at = SPACE.lastIndex
  }

  #fault(): Error {
    return fileFault(this.#line, 'the row is not valid JSON')
  }
}
