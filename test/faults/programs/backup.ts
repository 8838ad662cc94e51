/** Backs a store up beside its owner, or restores a backup; says when it is done. */
import { openStore, restoreStore } from '../../../src/index.ts'
import { PASSWORD } from '../store-settings.ts'
import { programArguments, report } from './report.ts'

export interface BackupArguments {
  readonly work: 'backup' | 'restore'
  readonly dir: string
  readonly place: string
}

const { work, dir, place } = programArguments<BackupArguments>()
report('pid', process.pid)
try {
  if (work === 'backup') {
    const store = await openStore({ dir, password: PASSWORD, readOnly: true })
    report('begun')
    const { id } = await store.backup(place, { retention: { last: 3 } })
    report('done', id)
    await store.close()
  } else {
    report('begun')
    const { id } = await restoreStore({ from: place, dir, password: PASSWORD, force: true })
    report('done', id)
  }
} catch (error) {
  report('failed', String((error as { code?: unknown }).code))
}
