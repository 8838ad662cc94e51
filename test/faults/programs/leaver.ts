/** A program that ends in one of the ways programs end, with writes accepted and not awaited. */
import { spawn } from 'node:child_process'
import { openStore } from '../../../src/index.ts'
import { KDF, PASSWORD } from '../store-settings.ts'
import { programArguments, report } from './report.ts'

export interface LeaverArguments {
  readonly dir: string
  readonly how:
    | 'exit'
    | 'exit on a slow disk'
    | 'throw'
    | 'fall off the end'
    | 'signal'
    | 'exit while reading'
    | 'exit while opening'
  readonly writes: number
  /** For the ways that wait; what each fsync takes of a slow disk. */
  readonly afterMs: number
}

const { dir, how, writes, afterMs } = programArguments<LeaverArguments>()
report('pid', process.pid)
const opening = openStore({ dir, password: PASSWORD, kdf: KDF, closeOnSignals: how === 'signal' })
if (how === 'exit while opening') {
  opening.catch(() => undefined)
  setTimeout(() => process.exit(3), afterMs)
}
const store = await opening
report('open')
if (how === 'exit on a slow disk') await slowDown(afterMs)
for (let n = 0; n < writes; n++) {
  void store.kv.set(`k-${n}`, n)
  void store.transaction((tx) => {
    tx.positions.put({ id: `p-${n}`, symbol: 'X', side: 'long', quantity: '1', entryPrice: '1' })
    tx.flags.put({ key: `f-${n}`, value: n })
  })
}
report('accepted')
if (how === 'exit' || how === 'exit on a slow disk') process.exit(3)
if (how === 'throw') throw new Error('the program failed')
if (how === 'signal') setInterval(() => undefined, 1_000)
if (how === 'exit while reading') {
  await store.flush()
  const slow = 'select sum(a._version * b._version * c._version) from kv a, kv b, kv c'
  void store.sql(slow)
  void store.sql(slow)
  void store.positions.list()
  setTimeout(() => process.exit(3), afterMs)
}

async function slowDown(fsyncMs: number): Promise<void> {
  const fault = `inject=fsync:delay_enter=${fsyncMs}000`
  const strace = spawn('strace', ['-f', '-o', '/dev/null', '-e', fault, '-p', `${process.pid}`])
  await new Promise<void>((resolve) => {
    strace.stderr.setEncoding('utf8').on('data', (text: string) => {
      if (text.includes('attached')) resolve()
    })
  })
  strace.unref()
}
