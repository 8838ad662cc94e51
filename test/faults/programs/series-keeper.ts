/** Appends batch after batch to two series, corrects, deletes and compacts, until it is killed. */
import { openStore } from '../../../src/index.ts'
import { barsOf, CORRECTED_EVERY, type SeriesKeeperArguments, ticksOf } from '../series-batches.ts'
import { KDF, PASSWORD } from '../store-settings.ts'
import { programArguments, report } from './report.ts'

const { dir, from } = programArguments<SeriesKeeperArguments>()
report('pid', process.pid)
const store = await openStore({ dir, password: PASSWORD, kdf: KDF })
report('open')
for (let batch = from; ; batch++) {
  const written = [store.bars.append('K', '1m', barsOf(batch)), store.ticks.append('K', ticksOf(batch))]
  if (batch % 7 === 3) void store.series.compact().catch(() => undefined)
  if (batch % 5 === 4) void store.bars.range('K', '1m', { limit: 10 }).catch(() => undefined)
  await Promise.all(written)
  report('durable', batch)
  if (batch % CORRECTED_EVERY === 0) await store.bars.append('K', '1m', barsOf(batch))
}
