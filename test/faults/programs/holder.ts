/** Holds a store until it is killed. */
import { openStore } from '../../../src/index.ts'
import { ownCollections } from '../collections.ts'
import { KDF, PASSWORD } from '../store-settings.ts'
import { programArguments, report } from './report.ts'

const { dir } = programArguments<{ readonly dir: string }>()
report('pid', process.pid)
const store = await openStore({ dir, password: PASSWORD, kdf: KDF, collections: ownCollections })
for (let n = 0; n < 20; n++) await store.kv.set(`held-${n}`, n)
report('held')
setInterval(() => undefined, 1_000)
