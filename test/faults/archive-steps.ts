/**
 * What a store under archiving goes through, step by step, from a seed: so that its content after any step is known. A
 * step is one transaction, which says its own number, and every third one writes to market.db too.
 */
import { Random } from './random.ts'

export const KEYS = 30

export interface ArchiveStep {
  readonly puts: readonly (readonly [key: string, value: string])[]
  readonly deletes: readonly string[]
  readonly tick: boolean
}

export function archiveStep(seed: string, number: number): ArchiveStep {
  const random = new Random(seed, 'archive step', number)
  const puts = Array.from({ length: random.between(1, 4) }, (): [string, string] => [
    `k-${random.below(KEYS)}`,
    random.text(random.chance(0.05) ? random.between(5_000, 40_000) : random.between(5, 300)),
  ])
  const put = new Set(puts.map(([key]) => key))
  const deletes = [`k-${random.below(KEYS)}`].filter((key) => !put.has(key) && random.chance(0.5))
  return { puts, deletes, tick: number % 3 === 0 }
}

/** Behind every so many steps a version of the artifact `model` is put, and the one before the last is deleted. */
export const STEPS_PER_ARTIFACT = 15

/** Of the version behind this step; some have a chunk in common. */
export function artifactContent(seed: string, number: number): Buffer {
  const random = new Random(seed, 'archive artifact', number)
  const shared = new Random(seed, 'archive artifact', 'shared').text(700_000)
  return Buffer.from(`${random.chance(0.3) ? shared : ''}${random.text(random.between(10, 200_000))}`)
}

/** The documents of kv after so many steps. */
export function contentAfter(seed: string, steps: number): Map<string, string> {
  const content = new Map<string, string>()
  for (let number = 1; number <= steps; number++) {
    const { puts, deletes } = archiveStep(seed, number)
    for (const [key, value] of puts) content.set(key, value)
    for (const key of deletes) content.delete(key)
  }
  return content
}
