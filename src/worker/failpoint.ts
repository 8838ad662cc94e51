/**
 * Named points at which a fault run stops the process or the worker for real. Armed only by the environment variable
 * `HOLDFAST_FAILPOINT`, read once when the worker starts: `NAME=ACTION@HIT`, for example `commit:before-commit=kill@7`.
 */
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

export function failpoint(name: Failpoint): void {
  if (armed === undefined || armed.name !== name) return
  armed.remainingHits -= 1
  if (armed.remainingHits !== 0) return
  if (armed.action === 'kill') process.kill(process.pid, 'SIGKILL')
  if (armed.action === 'exit') process.exit(70)
  throw new Error(`failpoint ${name}`)
}
