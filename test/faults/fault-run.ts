/**
 * How long this fault run is and what it is seeded with. `npm test` runs the short form, `npm run test:faults` the
 * long one (HOLDFAST_FAULTS=long). A failure prints its seed; HOLDFAST_SEED repeats the same choices.
 */
import { randomInt } from 'node:crypto'
import { beforeEach } from 'vitest'
import { Random } from './random.ts'

export const isLongRun = process.env.HOLDFAST_FAULTS === 'long'
export const seed = process.env.HOLDFAST_SEED ?? String(randomInt(2 ** 32))

/** A number that depends on the form of the run. */
export function shortOrLong(short: number, long: number): number {
  return isLongRun ? long : short
}

/** The random choices of one test; `label` keeps them apart from those of the others. */
export function seededRandom(label: string): Random {
  return new Random(seed, label)
}

/** What a long run has to say at its end. */
export function reportFigures(text: string): void {
  if (isLongRun || process.env.HOLDFAST_FIGURES !== undefined) console.log(text)
}

beforeEach(({ onTestFailed }) => {
  onTestFailed(() => {
    const length = isLongRun ? 'HOLDFAST_FAULTS=long ' : ''
    console.error(`Seed of this failure: ${length}HOLDFAST_SEED=${seed}`)
  })
})
