/** A document from JSON that somebody wrote: what is wrong with it is told by place, never by quoting it. */
import { inexactNumberOffset } from './exact-numbers.ts'

export type ParsedJson = { readonly value: unknown } | { readonly problem: string; readonly offset: number | undefined }

export function parseJsonDocument(text: string): ParsedJson {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    // V8 quotes the text in some of its messages; only the position is taken from them.
    const position = /at position (\d+)/.exec((error as Error).message)?.[1]
    return { problem: 'not valid JSON', offset: position === undefined ? undefined : Number(position) }
  }
  const inexact = inexactNumberOffset(text)
  if (inexact !== undefined) {
    return { problem: 'a number has more digits than a JSON number keeps; write it as a string', offset: inexact }
  }
  return { value }
}

/** Line and column of an offset, both from 1. */
export function positionIn(text: string, offset: number): { readonly line: number; readonly column: number } {
  const before = text.slice(0, offset)
  const line = before.split('\n').length
  return { line, column: offset - before.lastIndexOf('\n') }
}
