/** An owner that archives and writes step by step, to be killed; it goes on where the one before it was. */
import { openStore } from '../../../src/index.ts'
import { archiveStep, artifactContent, STEPS_PER_ARTIFACT } from '../archive-steps.ts'
import { ownCollections } from '../collections.ts'
import { Random } from '../random.ts'
import { KDF, PASSWORD } from '../store-settings.ts'
import { programArguments, report } from './report.ts'

export interface ArchivedWriterArguments {
  readonly dir: string
  readonly archive: { readonly dir: string; readonly intervalMs: number }
  readonly seed: string
  readonly round: number
  /** Closes the store after so many. */
  readonly steps: number
  /** Ends without closing it, as a program does that knows nothing of it. */
  readonly exits: boolean
}

const { dir, archive, seed, round, steps, exits } = programArguments<ArchivedWriterArguments>()
report('pid', process.pid)
const store = await openStore({ dir, password: PASSWORD, kdf: KDF, collections: ownCollections, archive })
// A worker that takes over is not to die of the same.
delete process.env.HOLDFAST_FAILPOINT
store.on('restart', () => report('restarted'))
const random = new Random(seed, 'archived pace', round)
const first = Number(store.kv.value('step') ?? 0) + 1
report('first', first)
while ((await store.status()).archive?.generation == null) await new Promise((resume) => setTimeout(resume, 5))
report('ready')
const putTick = (number: number) =>
  store.tickRows.put({ id: `t-${number}`, symbol: 'BTC/USDT', at: number, price: '1' })
const putArtifact = async (number: number) => {
  const [newest, before] = await store.artifacts.versions('model')
  if (newest?.metadata.step !== number) {
    await store.artifacts.put('model', artifactContent(seed, number), { metadata: { step: number } })
    if (before !== undefined) await store.artifacts.delete('model', before.version)
  }
}
// The one before may have died between the two files, or before its artifact.
if (first > STEPS_PER_ARTIFACT) await putArtifact(first - 1 - ((first - 1) % STEPS_PER_ARTIFACT))
if (first > 1 && archiveStep(seed, first - 1).tick) await putTick(first - 1)
for (let number = first; number < first + steps; number++) {
  const step = archiveStep(seed, number)
  await store.transaction((tx) => {
    for (const [key, value] of step.puts) tx.kv.put({ key, value })
    for (const key of step.deletes) tx.kv.delete(key)
    tx.kv.put({ key: 'step', value: number })
  })
  const [row] = await store.sql(`select "_sequence" from main."kv" where "_key" = 'step'`)
  report('durable', number, Number(row?._sequence), Date.now())
  if (step.tick) await putTick(number)
  if (number % STEPS_PER_ARTIFACT === 0) await putArtifact(number)
  if (random.chance(0.02)) await store.checkpoint()
  if (random.chance(0.2)) await new Promise((resume) => setTimeout(resume, random.below(20)))
}
if (exits) {
  report('exits')
  process.exit(0)
}
await store.close()
report('closed')
