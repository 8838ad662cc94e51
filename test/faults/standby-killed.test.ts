/** A standby is killed at any byte of what it applies: it goes on, or is promoted, with a whole state of the source. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ArchiveChain, expectContent } from './archive-chain.ts'
import { archiveStep } from './archive-steps.ts'
import { ChildProgram } from './child-program.ts'
import { reportFigures, seed, seededRandom, shortOrLong } from './fault-run.ts'
import { Secrets } from './needles.ts'
import { PASSWORD } from './store-settings.ts'
import { temporaryDirectory } from './temporary-directory.ts'
import { openTestStore } from './worker-faults.ts'

const LONG_TEST_MS = 3_600_000
const FAILPOINTS = {
  'standby:base-copied': 1,
  'standby:downloaded': 6,
  'standby:before-apply': 6,
  'standby:applying': 120,
  'standby:applied': 6,
} as const

test(
  'a standby that was killed goes on to the same bytes, and one that is promoted instead is whole',
  async () => {
    const random = seededRandom('standby')
    let kills = 0
    let promoted = 0
    for (let round = 0; round < shortOrLong(1, 12); round++) {
      const root = temporaryDirectory()
      const chain = new ArchiveChain(root, `${seed}/standby/${round}`)
      await chain.run({ how: 'moment', afterMs: random.between(200, 600) })
      await chain.run({ how: 'close' })
      for (const [name, maxHit] of Object.entries(FAILPOINTS)) {
        for (const ending of ['goes on', 'is promoted'] as const) {
          const dir = join(root, `${name}-${ending}`.replaceAll(/\W/g, '-'))
          const given = { arguments: { from: chain.archiveDir, dir } }
          const killed = ChildProgram.start('follower', {
            ...given,
            environment: { HOLDFAST_FAILPOINT: `${name}=kill@${random.between(1, maxHit)}` },
          })
          if ((await killed.ended).signal === 'SIGKILL') kills += 1
          if (ending === 'goes on' || name === 'standby:base-copied') {
            const next = ChildProgram.start('follower', given)
            await next.ended
            expect(next.lines, next.errorText).toContain('caught-up')
            for (const file of ['state.db', 'market.db']) {
              expect(readFileSync(join(dir, file)).equals(readFileSync(join(chain.dir, file))), `${name} ${file}`).toBe(
                true,
              )
            }
          } else {
            const store = await openTestStore(dir)
            await expectContentUpTo(store, chain)
            // The new owner writes a head a moment later.
            const findings = (await store.check()).filter(({ code }) => code !== 'AUDIT_HEAD_MISSING')
            expect(findings).toEqual([])
            await store.close()
            promoted += 1
          }
        }
      }
      const words = [1, 2, 3].flatMap((number) => archiveStep(`${seed}/standby/${round}`, number).puts)
      const secrets = new Secrets({
        password: PASSWORD,
        ...Object.fromEntries(words.filter(([, text]) => text.length > 12)),
      })
      expect(secrets.findBelow(root)).toEqual([])
    }
    reportFigures(`standby: ${kills} kills, ${promoted} promoted half way`)
  },
  LONG_TEST_MS,
)

/** Files follow one after the other: market.db may be behind or ahead, each whole by itself. */
async function expectContentUpTo(store: Awaited<ReturnType<typeof openTestStore>>, chain: ArchiveChain): Promise<void> {
  const number = Number(store.kv.value('step') ?? 0)
  expect(number).toBeLessThanOrEqual(chain.acknowledged.at(-1)?.number ?? 0)
  const ticks = await store.sql('select "at" from ticks order by "at"', [], { file: 'market' })
  expect(ticks.map(({ at }) => Number(at))).toEqual(ticks.map((_, index) => 3 * (index + 1)))
  await expectContent(store, chain.seed, number, false)
}
