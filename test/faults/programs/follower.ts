/** A standby, to be killed; it goes on where the one before it was. */
import { followArchive } from '../../../src/index.ts'
import { programArguments, report } from './report.ts'

export interface FollowerArguments {
  readonly from: string
  readonly dir: string
}

report('pid', process.pid)
const standby = await followArchive({ ...programArguments<FollowerArguments>(), pollMs: 10 })
report('ready')
await standby.caughtUp(30_000)
await standby.close()
report('caught-up')
