/**
 * Has every fsync of this process fail for a while: a long transaction and a shorter one are refused, then, with a disk
 * that works again, a short one is durable. Then the process kills itself, or waits to be killed before that.
 */
import { spawn } from 'node:child_process'
import { isStoreError, openStore } from '../../../src/index.ts'
import { KDF, PASSWORD } from '../store-settings.ts'
import { programArguments, report } from './report.ts'

export interface FailingFsyncsArguments {
  readonly dir: string
  /** Writes once more after the disk works again. */
  readonly recovers: boolean
}

const { dir, recovers } = programArguments<FailingFsyncsArguments>()
report('pid', process.pid)
const store = await openStore({ dir, password: PASSWORD, kdf: KDF })
await store.kv.set('before', 1)

async function write(name: string, documents: number): Promise<void> {
  try {
    await store.transaction((tx) => {
      for (let n = 0; n < documents; n++) tx.kv.put({ key: `${name}-${n}`, value: 'x'.repeat(900) })
    })
    report('durable', name)
  } catch (error) {
    report('refused', name, isStoreError(error) ? error.code : String(error))
  }
}

const strace = spawn('strace', ['-f', '-o', '/dev/null', '-e', 'inject=fsync:error=EIO', '-p', `${process.pid}`])
await new Promise<void>((resolve) => {
  strace.stderr.setEncoding('utf8').on('data', (text: string) => {
    if (text.includes('attached')) resolve()
  })
})
await write('long', 200)
await write('shorter', 60)
strace.kill('SIGINT')
await new Promise((resolve) => strace.once('exit', resolve))
if (recovers) await write('short', 5)
process.kill(process.pid, 'SIGKILL')
