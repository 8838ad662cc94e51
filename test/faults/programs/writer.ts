/**
 * A process under load, to be killed. First it opens the store, as the next owner after the one that was killed
 * before, and reports the digest of what it finds; then it writes, and reports every write the moment it is durable.
 */
import { isStoreError, openStore } from '../../../src/index.ts'
import { carryOut } from '../carry-out.ts'
import { ownCollections } from '../collections.ts'
import { digestOf } from '../expected-content.ts'
import { Random } from '../random.ts'
import { KDF, PASSWORD } from '../store-settings.ts'
import { mirrorDifferences, storedContent } from '../stored-content.ts'
import { type WorkloadOptions, workload } from '../workload.ts'
import { programArguments, report } from './report.ts'

export interface WriterArguments extends WorkloadOptions {
  readonly dir: string
  readonly migrations: string | null
  /** Closes the store after so many steps. */
  readonly steps: number
}

const MAX_IN_FLIGHT = 200
const BURSTS = [1, 1, 2, 5, 20, 120] as const

const options = programArguments<WriterArguments>()
report('pid', process.pid)
const store = await openStore({
  dir: options.dir,
  password: PASSWORD,
  kdf: KDF,
  collections: ownCollections,
  ...(options.migrations === null ? {} : { migrations: options.migrations }),
})
const findings = [...(await store.check()).map((finding) => finding.problem), ...(await mirrorDifferences(store))]
report('found', digestOf(await storedContent(store, 'state')), digestOf(await storedContent(store, 'market')))
for (const finding of findings) report('finding', finding)
report('ready')

const random = new Random(options.seed, 'pace', options.round)
const steps = workload(options)
const inFlight = new Set<Promise<void>>()
let issued = 0
while (issued < options.steps) {
  const burst = random.pick(BURSTS)
  report('issued', issued + burst)
  for (let n = 0; n < burst; n++) {
    const step = steps.next().value
    issued += 1
    const settled = carryOut(store, step).then(
      () => report('durable', step.index),
      (error: unknown) => report('failed', step.index, isStoreError(error) ? error.code : String(error)),
    )
    inFlight.add(settled)
    void settled.then(() => inFlight.delete(settled))
  }
  if (random.chance(0.02)) void store.checkpoint()
  if (random.chance(0.05)) void store.fills.list({ orderBy: 'filledAt', limit: 20 })
  if (random.chance(0.3)) await new Promise(setImmediate)
  if (random.chance(0.1) || inFlight.size > MAX_IN_FLIGHT) await Promise.all(inFlight)
}
await store.flush()
await Promise.all(inFlight)
for (const difference of await mirrorDifferences(store)) report('finding', difference)
await store.close()
report('closed')
