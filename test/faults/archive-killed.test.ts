/**
 * Whatever kills the owner of an archived store, at whichever moment of its shipping: every moment that was acknowledged
 * can be brought back, exactly.
 */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ArchiveChain, type OwnerEnd } from './archive-chain.ts'
import { reportFigures, seed, seededRandom, shortOrLong } from './fault-run.ts'
import type { Random } from './random.ts'
import { temporaryDirectory } from './temporary-directory.ts'

const LONG_TEST_MS = 3_600_000
const OWNERS_PER_STORE = 8

const SHIPPING = {
  'archive:file-written': 3,
  'archive:files-written': 2,
  'archive:list-written': 2,
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

async function restoreAfter(ends: readonly OwnerEnd[], label: string, random: Random): Promise<string> {
  let restored = 0
  let kills = 0
  let acknowledged = 0
  for (let first = 0; first < ends.length; first += OWNERS_PER_STORE) {
    const root = temporaryDirectory()
    const chain = new ArchiveChain(root, `${seed}/${label}/${first}`)
    for (const end of ends.slice(first, first + OWNERS_PER_STORE)) await chain.run(end)
    await chain.run({ how: 'close' })
    expect(generationsIn(chain.archiveDir), 'no end of an owner ends a generation').toHaveLength(1)
    const lastOfEach = random.shuffle(chain.lastOfEachOwner).slice(0, shortOrLong(2, 4))
    const others = Array.from({ length: shortOrLong(2, 8) }, () => chain.pick(random))
    for (const [n, step] of [chain.latest, ...lastOfEach, ...others].entries()) {
      await chain.expectRestorable(step, join(root, `restored-${n}`), n % 4 === 3 ? 'time' : 'sequence')
      restored += 1
    }
    kills += chain.kills
    acknowledged += chain.acknowledged.length
  }
  return `${label}: ${kills} kills, ${acknowledged} acknowledged steps, ${restored} moments restored exactly`
}

/** Those with a whole base. One that was killed before it had it leaves a folder that is none. */
function generationsIn(archiveDir: string): string[] {
  return readdirSync(join(archiveDir, 'archive')).filter((name) =>
    existsSync(join(archiveDir, 'archive', name, 'manifest.json')),
  )
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
  'one before a SIGKILL at a random moment, a death of the worker, an exit or a close can be restored',
  async () => {
    const random = seededRandom('archive moments')
    const ends = Array.from({ length: shortOrLong(5, 60) }, (): OwnerEnd => {
      const kind = random.below(5)
      if (kind === 0) return { how: 'close' }
      if (kind === 2) return { how: 'exit' }
      if (kind === 1) return { how: 'worker', failpoint: `commit:before-commit=exit@${random.between(1, 40)}` }
      return { how: 'moment', afterMs: random.between(0, 700) }
    })
    const figures = await restoreAfter(ends, 'archive moments', random)
    reportFigures(figures)
    expect(figures).toContain('restored')
  },
  LONG_TEST_MS,
)
