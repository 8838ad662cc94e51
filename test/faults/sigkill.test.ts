/**
 * Invariants 1, 2 and 3: what was acknowledged survives SIGKILL of the process, a transaction is whole or absent, and
 * the order of acceptance is the order of commit. The writer is a real process with a mixed load.
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { reportFigures, seed, seededRandom, shortOrLong } from './fault-run.ts'
import { type Kill, KillChain } from './kill-chain.ts'
import type { Random } from './random.ts'
import { temporaryDirectory } from './temporary-directory.ts'

const guardedMigrations = fileURLToPath(new URL('migrations/guarded', import.meta.url))
const KILLS_PER_STORE = 12
const LONG_TEST_MS = 3_600_000

/** How late each failpoint may strike: the rare ones soon. */
const FAILPOINTS = {
  'commit:begun': 30,
  'commit:before-commit': 30,
  'commit:after-commit': 30,
  'units:before-commit': 8,
  'units:after-commit': 8,
  'checkpoint:before': 3,
  'checkpoint:after': 3,
  'close:before-checkpoint': 2,
} as const

function killAtFailpoint(name: string, maxHit: number, random: Random): Kill {
  return { at: 'failpoint', name, hit: random.between(1, maxHit) }
}

async function killOneAfterTheOther(kills: readonly Kill[], label: string, migrations: string | null): Promise<string> {
  let acknowledged = 0
  for (let first = 0; first < kills.length; first += KILLS_PER_STORE) {
    const chain = new KillChain({ dir: temporaryDirectory(), seed: `${seed}/${label}/${first}`, migrations })
    for (const kill of kills.slice(first, first + KILLS_PER_STORE)) await chain.kill(kill)
    await chain.finish()
    acknowledged += chain.acknowledged
  }
  return `${label}: ${kills.length} kills, ${acknowledged} acknowledged steps`
}

test(
  'nothing acknowledged is lost and no transaction is half there after SIGKILL at named failpoints',
  async () => {
    const random = seededRandom('failpoints')
    const kills = Array.from({ length: shortOrLong(1, 10) }, () =>
      Object.entries(FAILPOINTS).map(([name, maxHit]) => killAtFailpoint(name, maxHit, random)),
    ).flat()
    reportFigures(await killOneAfterTheOther(random.shuffle(kills), 'failpoints', null))
  },
  LONG_TEST_MS,
)

test(
  'the same for a store whose migrations bring constraints that show only at COMMIT',
  async () => {
    const random = seededRandom('guarded')
    const kills = Array.from({ length: shortOrLong(1, 20) }, () => [
      killAtFailpoint('units:between', 40, random),
      ...(shortOrLong(0, 1) === 1 ? [killAtFailpoint(random.pick(Object.keys(FAILPOINTS)), 2, random)] : []),
    ]).flat()
    reportFigures(await killOneAfterTheOther(kills, 'guarded', guardedMigrations))
  },
  LONG_TEST_MS,
)

test(
  'the same after SIGKILL at random moments, opening included',
  async () => {
    const random = seededRandom('moments')
    const kills = Array.from(
      { length: shortOrLong(3, 80) },
      (_, n): Kill =>
        n % 4 === 3
          ? { at: 'start', afterMs: random.between(100, 600) }
          : { at: 'moment', afterMs: random.between(0, 600) },
    )
    reportFigures(await killOneAfterTheOther(kills, 'moments', null))
  },
  LONG_TEST_MS,
)

const hasStrace = spawnSync('strace', ['-qq', '-o', '/dev/null', 'true']).status === 0
if (!hasStrace) console.log('skipped: SIGKILL at system calls (strace is missing or may not trace)')

test.skipIf(!hasStrace)(
  'the same after SIGKILL between two writes or fsyncs of the kernel',
  async () => {
    const random = seededRandom('system calls')
    const kills = Array.from({ length: shortOrLong(1, 40) }, (): Kill => {
      const call = random.pick(['pwrite64', 'pwrite64', 'fsync'])
      return { at: 'system call', call, hit: random.between(1, call === 'fsync' ? 60 : 600) }
    })
    reportFigures(await killOneAfterTheOther(kills, 'system calls', null))
    expect(kills.length).toBeGreaterThan(0)
  },
  LONG_TEST_MS,
)
