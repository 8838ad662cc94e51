/** Applies the rules of a store, until it is killed or done. */
import { openStore } from '../../../src/index.ts'
import { KDF, PASSWORD } from '../store-settings.ts'
import { programArguments, report } from './report.ts'

const { dir, nowMs } = programArguments<{ readonly dir: string; readonly nowMs: number }>()
const store = await openStore({ dir, password: PASSWORD, kdf: KDF, maintenance: false })
await store.seriesRules.apply({ nowMs })
report('applied')
await store.close()
