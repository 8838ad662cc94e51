/** What is said about artifacts on the command line, in the words of the API. */
import { InvalidArgumentError } from 'commander'
import type { ArtifactReference, JsonValue } from '../index.ts'

/** A version's number, or a tag. */
export function versionOrTag(text: string | undefined): number | string | undefined {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : text
}

export function gatherTexts(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text]
}

/** `features@12` */
export function gatherParents(text: string, before: readonly ArtifactReference[] = []): readonly ArtifactReference[] {
  const [, name, version] = /^(.+)@(\d+)$/s.exec(text) ?? []
  if (name === undefined)
    throw new InvalidArgumentError('Give a name and the number of a version, such as features@12.')
  return [...before, { name, version: Number(version) }]
}

/** `sharpe=1.8` */
export function gatherMetrics(
  text: string,
  before: Readonly<Record<string, number>> = {},
): Readonly<Record<string, number>> {
  const [name, value] = nameAndValue(text)
  const number = value.trim() === '' ? Number.NaN : Number(value)
  if (!Number.isFinite(number)) throw new InvalidArgumentError('Give a name and a number, such as sharpe=1.8.')
  return { ...before, [name]: number }
}

/** `framework=onnx`, or JSON behind the sign: `layers=[64,64]`. */
export function gatherMetadata(
  text: string,
  before: Readonly<Record<string, JsonValue>> = {},
): Readonly<Record<string, JsonValue>> {
  const [name, value] = nameAndValue(text)
  return { ...before, [name]: jsonOrText(value) }
}

function nameAndValue(text: string): readonly [string, string] {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError('Give a name and a value, such as name=value.')
  return [text.slice(0, at), text.slice(at + 1)]
}

function jsonOrText(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue
  } catch {
    return text
  }
}
