/** Cuts typed or piped lines into statements: at each `;` that stands in no string, name or comment. */

const CLOSING: Readonly<Record<string, string>> = { "'": "'", '"': '"', '`': '`', '[': ']' }

export class SqlStatements {
  #text = ''
  /** What would end the string, name or comment that the text breaks off in. */
  #open: string | undefined
  #hasContent = false

  /** True when something of a statement waits for its `;`. */
  get isPending(): boolean {
    return this.#hasContent || this.#open !== undefined
  }

  /** Takes one line; returns the statements it completes, without their semicolons. */
  push(line: string): string[] {
    const statements: string[] = []
    for (let index = 0; index < line.length; index++) {
      const character = line[index] as string
      const pair = line.slice(index, index + 2)
      if (this.#open !== undefined) {
        if (!line.startsWith(this.#open, index)) this.#text += character
        else {
          this.#text += this.#open
          index += this.#open.length - 1
          this.#open = undefined
        }
      } else if (pair === '--') {
        this.#text += line.slice(index)
        break
      } else if (pair === '/*') {
        this.#text += pair
        this.#open = '*/'
        index += 1
      } else if (character === ';') {
        if (this.#hasContent) statements.push(this.#text.trim())
        this.clear()
      } else {
        this.#text += character
        this.#open = CLOSING[character]
        if (character.trim() !== '') this.#hasContent = true
      }
    }
    if (this.isPending || this.#text !== '') this.#text += '\n'
    return statements
  }

  /** The last statement of a file may do without its semicolon. */
  rest(): string | undefined {
    const text = this.#text.trim()
    const isStatement = this.#hasContent
    this.clear()
    return isStatement ? text : undefined
  }

  clear(): void {
    this.#text = ''
    this.#open = undefined
    this.#hasContent = false
  }
}
