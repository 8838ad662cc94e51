/** Opens a store, creating or migrating it on the way, and closes it again. */
import { openStore } from '../../../src/index.ts'
import { KDF, PASSWORD } from '../store-settings.ts'
import { programArguments, report } from './report.ts'

export interface OpenerArguments {
  readonly dir: string
  readonly migrations: string | null
}

const { dir, migrations } = programArguments<OpenerArguments>()
report('pid', process.pid)
const store = await openStore({ dir, password: PASSWORD, kdf: KDF, ...(migrations === null ? {} : { migrations }) })
report('open')
await store.close()
report('closed')
