import { StoreError } from '../../../protocol/store-error.ts'

/** A line of a file that is not what its layout promises. Names the place and never the content. */
export function fileFault(line: number, what: string, column?: string): StoreError {
  const place = column === undefined ? `line ${line}` : `line ${line}, ${column}`
  return new StoreError('INVALID_DOCUMENT', `${place}: ${what}. Correct the file, or name its format and units.`, {
    details: { line, ...(column === undefined ? {} : { column }) },
  })
}
