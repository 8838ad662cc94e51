/**
 * Named points at which a fault run stops the process or the worker for real. Armed only by the environment variable
 * `HOLDFAST_FAILPOINT`, read once when the worker starts: `NAME=ACTION@HIT`, for example `commit:before-commit=kill@7`.
 */
import { endNativeCalls } from './native-calls.ts'

export const FAILPOINTS = [
  'create:databases-made',
  'create:keyring-written',
  'create:first-renamed',
  'migrate:copy-made',
  'migrate:before-commit',
  'migrate:after-commit',
  'commit:begun',
  'commit:before-commit',
  'commit:after-commit',
  'units:before-commit',
  'units:after-commit',
  'units:between',
  'checkpoint:before',
  'checkpoint:after',
  'close:before-checkpoint',
  'audit:notes-taken',
  'archive:file-written',
  'archive:files-written',
  'archive:list-written',
  'archive:segment-written',
  'archive:head-written',
  'archive:spooled',
  'archive:before-release',
  'archive:base-written',
  'archive:manifest-written',
  'standby:file-fetched',
  'standby:base-copied',
  'standby:downloaded',
  'standby:before-apply',
  'standby:applying',
  'standby:applied',
  'target:before-rename',
  'archive-trades:file-made',
  'archive-trades:copied',
  'archive-trades:before-commit',
  'archive-trades:moved',
  'backup:packs-written',
  'backup:verified',
  'backup:manifest-written',
  'prune:manifest-removed',
  'prune:file-removed',
  'restore:files-written',
  'restore:checked',
  'restore:moved-aside',
  'restore:renamed',
  'key:before-write',
  'key:written',
  'rotate:keyring-has-next',
  'rotate:before-rekey',
  'rotate:rekeyed',
  'rotate:file-done',
  'rotate:before-promote',
  'rotate:promoted',
  'cache:file-made',
  'cache:before-write',
  'cache:written',
  'cache:appended',
  'cache:rewritten',
  'cache:renamed',
  'cache:vouched',
  'cache:key-shredded',
  'skills:before-commit',
  'skills:committed',
  'artifacts:chunk-written',
  'artifacts:group-durable',
  'artifacts:before-commit',
  'artifacts:recorded',
  'artifacts:finished',
  'artifacts:version-deleted',
  'artifacts:shredded',
  'artifacts:file-removed',
  'artifacts:rewritten',
  'artifacts:moved',
  'series-rules:downsampled',
  'series:append-begun',
  'series:append-before-commit',
  'series:append-committed',
  'series:compact-begun',
  'series:compact-blocks-written',
  'series:compact-before-commit',
  'series:delete-before-commit',
] as const

export type Failpoint = (typeof FAILPOINTS)[number]

interface ArmedFailpoint {
  readonly name: string
  /** `kill`: SIGKILL to the process. `exit`: the worker thread ends. `throw`: an unexpected error in the worker. */
  readonly action: 'kill' | 'exit' | 'throw'
  remainingHits: number
}

const armed = parseFailpoint(process.env.HOLDFAST_FAILPOINT)

function parseFailpoint(text: string | undefined): ArmedFailpoint | undefined {
  const match = /^([a-z:-]+)=(kill|exit|throw)@(\d+)$/.exec(text ?? '')
  if (match === null) return undefined
  const [, name = '', action, hit] = match
  return { name, action: action as ArmedFailpoint['action'], remainingHits: Number(hit) }
}

/** To be awaited: a thread that ends here answers nobody any more. */
export function failpoint(name: Failpoint): Promise<never> | undefined {
  if (armed === undefined || armed.name !== name) return undefined
  armed.remainingHits -= 1
  if (armed.remainingHits !== 0) return undefined
  if (armed.action === 'kill') process.kill(process.pid, 'SIGKILL')
  if (armed.action === 'exit') return exitThread()
  throw new Error(`failpoint ${name}`)
}

async function exitThread(): Promise<never> {
  await endNativeCalls()
  return process.exit(70)
}
