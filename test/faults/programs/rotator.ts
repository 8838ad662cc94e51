/** A process that changes its keys without end while it writes, to be killed. Every write is reported when it is durable. */
import { openStore } from '../../../src/index.ts'
import { ownCollections } from '../collections.ts'
import { KDF } from '../store-settings.ts'
import { programArguments, report } from './report.ts'

export interface RotatorArguments {
  readonly dir: string
  readonly password: string
  readonly rotates: 'data key' | 'password'
  /** The first write is that of this number. */
  readonly from: number
  /** So many keys are written over and over. */
  readonly keys: number
  /** What follows the password, in turn. */
  readonly nextPasswords: readonly string[]
  /** After each rotation of the data key; default none. */
  readonly pauseMs?: number
}

const { dir, password, rotates, from, keys, nextPasswords, pauseMs } = programArguments<RotatorArguments>()
report('pid', process.pid)
const store = await openStore({ dir, password, kdf: KDF, create: false, collections: ownCollections })

async function write(): Promise<void> {
  for (let index = from; ; index++) {
    report('issued', index)
    void store.kv.set(`k-${index % keys}`, index).then(() => report('durable', index))
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

async function rotateDataKeys(): Promise<void> {
  for (;;) {
    report('rotating')
    await store.rotateDataKey()
    report('rotated')
    if (pauseMs !== undefined) await new Promise((resolve) => setTimeout(resolve, pauseMs))
  }
}

async function rotatePasswords(): Promise<void> {
  for (const [index, next] of nextPasswords.entries()) {
    report('rotating', index)
    await store.rotatePassword(next, { kdf: KDF })
    report('rotated', index)
  }
}

void write()
await (rotates === 'password' ? rotatePasswords() : rotateDataKeys())
