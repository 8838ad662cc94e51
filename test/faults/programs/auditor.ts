/** Writes numbered documents, each in one transaction with the audit entry that explains it, until it is killed. */
import { openStore } from '../../../src/index.ts'
import { KDF, PASSWORD } from '../store-settings.ts'
import { programArguments, report } from './report.ts'

export interface AuditorArguments {
  readonly dir: string
  readonly round: number
}

const IN_FLIGHT = 20

const { dir, round } = programArguments<AuditorArguments>()
report('pid', process.pid)
const store = await openStore({ dir, password: PASSWORD, kdf: KDF })
report('open')
for (let n = 0; ; n += IN_FLIGHT) {
  const turn = Array.from({ length: IN_FLIGHT }, async (_, offset) => {
    const key = `${round}-${n + offset}`
    await store.transaction((tx) => {
      tx.kv.put({ key, value: n })
      tx.audit.append({ actor: 'auditor', event: 'run.wrote', data: { n }, causationId: key })
    })
    report('durable', key)
  })
  await Promise.all(turn)
}
