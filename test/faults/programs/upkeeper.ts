/**
 * Does all the upkeep there is, one piece after the other, while it writes, until it is killed. Every write is reported when it is durable, and so
 * is the password from which on another one may be that of the store.
 */
import { openStore, restoreArchive } from '../../../src/index.ts'
import { Random } from '../random.ts'
import { KDF, PASSWORD } from '../store-settings.ts'
import { programArguments, report } from './report.ts'

export interface UpkeeperArguments {
  readonly dir: string
  readonly seed: string
  /** The first write is that of this number. */
  readonly from: number
  /** What is brought back into `into`, over and over, instead of any upkeep. */
  readonly restores?: { readonly archive: string; readonly into: string }
}

const { dir, seed, from, restores } = programArguments<UpkeeperArguments>()
report('pid', process.pid)
if (restores !== undefined) {
  report('open')
  for (;;) await restoreArchive({ from: restores.archive, dir: restores.into, password: PASSWORD, force: true })
}
const random = new Random(seed, from)
const store = await openStore({ dir, password: PASSWORD, kdf: KDF, maintenance: false })
report('open')

async function write(): Promise<never> {
  for (let n = from; ; n++) {
    report('issued', n)
    const filler = `filler-${n % 200}`
    await store.transaction((tx) => {
      tx.kv.put({ key: 'n', value: n })
      if (n % 3 === 0) tx.kv.delete(filler)
      else tx.kv.put({ key: filler, value: 'x'.repeat(random.between(100, 8_000)) })
    })
    report('durable', n)
    const ts = n * 60_000
    await store.bars.append('X', '1m', [{ ts, open: n, high: n, low: n, close: n, volume: n }])
    report('bar', n)
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

const UPKEEP = {
  maintain: () => store.maintain(),
  fullVacuum: () => store.maintain({ fullVacuum: true }),
  compact: () => store.series.compact(),
  repair: () => store.repair({ actor: 'test' }),
  check: () => store.check(),
  checkpoint: () => store.checkpoint(),
  keySlot: async () => {
    const { id } = await store.keys.add(random.text(20), { label: random.text(10), kdf: KDF })
    await store.keys.remove(id)
  },
  samePassword: () => store.rotatePassword(PASSWORD, { kdf: KDF }),
} as const

void write()
for (;;) {
  const name = random.pick(Object.keys(UPKEEP) as (keyof typeof UPKEEP)[])
  report('begins', name)
  await UPKEEP[name]()
  report('done', name)
}
