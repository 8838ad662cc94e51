/**
 * Whatever kills the owner of an archived store, at whichever moment of its shipping: every moment that was acknowledged
 * can be brought back, exactly.
 */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ArchiveChain, type OwnerEnd } from './archive-chain.ts'
import { reportFigures, seed, seededRandom, shortOrLong } from './fault-run.ts'
import type { Random } from './random.ts'
import { temporaryDirectory } from './temporary-directory.ts'

const LONG_TEST_MS = 3_600_000
const OWNERS_PER_STORE = 8

const SHIPPING = {
  'archive:segment-written': 12,
  'archive:head-written': 8,
  'archive:spooled': 2,
  'archive:before-release': 3,
  'archive:base-written': 1,
  'archive:manifest-written': 1,
  'commit:before-commit': 60,
  'commit:after-commit': 60,
  'checkpoint:after': 4,
  'target:before-rename': 20,
} as const

async function restoreAfter(
  ends: readonly OwnerEnd[],
  label: string,
  random: Random,
  mayEndBefore = false,
): Promise<string> {
  let restored = 0
  let named = 0
  let kills = 0
  let acknowledged = 0
  for (let first = 0; first < ends.length; first += OWNERS_PER_STORE) {
    const root = temporaryDirectory()
    const chain = new ArchiveChain(root, `${seed}/${label}/${first}`)
    for (const end of ends.slice(first, first + OWNERS_PER_STORE)) await chain.run(end)
    await chain.run({ how: 'close' })
    // Whatever came before, an owner that closed in order has shipped all it acknowledged.
    await chain.expectRestorable(chain.latest, join(root, 'restored-latest'))
    for (let n = 0; n < shortOrLong(4, 8); n++) {
      const step = chain.pick(random)
      const into = join(root, `restored-${n}`)
      const by = n % 4 === 3 ? 'time' : 'sequence'
      if (!mayEndBefore) await chain.expectRestorable(step, into, by)
      else if (!(await chain.expectRestorableOrNamed(step, into, by))) named += 1
      restored += 1
    }
    kills += chain.kills
    acknowledged += chain.acknowledged.length
  }
  return `${label}: ${kills} kills, ${acknowledged} acknowledged steps, ${restored} moments restored, ${named} of them named as not reached`
}

test(
  'a moment acknowledged before a SIGKILL inside the shipping can be restored',
  async () => {
    const random = seededRandom('archive failpoints')
    const ends = Array.from({ length: shortOrLong(1, 9) }, () =>
      Object.entries(SHIPPING).map(([name, maxHit]): OwnerEnd => {
        return { how: 'failpoint', failpoint: `${name}=kill@${random.between(1, maxHit)}` }
      }),
    ).flat()
    reportFigures(
      await restoreAfter(random.shuffle(ends).slice(0, shortOrLong(5, 1_000)), 'archive failpoints', random),
    )
  },
  LONG_TEST_MS,
)

test(
  'one before a SIGKILL at a random moment, a death of the worker, or a close can be restored, or is named as not reached',
  async () => {
    const random = seededRandom('archive moments')
    const ends = Array.from({ length: shortOrLong(5, 60) }, (): OwnerEnd => {
      const kind = random.below(4)
      if (kind === 0) return { how: 'close' }
      if (kind === 1) return { how: 'worker', failpoint: `commit:before-commit=exit@${random.between(1, 40)}` }
      return { how: 'moment', afterMs: random.between(0, 700) }
    })
    const figures = await restoreAfter(ends, 'archive moments', random, true)
    reportFigures(figures)
    expect(figures).toContain('restored')
  },
  LONG_TEST_MS,
)
