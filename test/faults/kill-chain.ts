/**
 * A store whose owners are killed one after the other. Each next owner reports what it found before it writes: that
 * has to be, in each database file, what a prefix of the accepted writes leaves behind, and the prefix has to reach as
 * far as the last write that was acknowledged. This one comparison of whole contents, with versions, shows a lost
 * write, a half transaction, a broken order and a write applied twice. At the end no file may hold what was written.
 */
import { expect } from 'vitest'
import { DATABASE_FILES, type DatabaseFile } from '../../src/schema/database-file.ts'
import { ChildProgram } from './child-program.ts'
import { ownCollections } from './collections.ts'
import { openStore } from './compiled-store.ts'
import { differences, digestOf, ExpectedContent } from './expected-content.ts'
import { Secrets } from './needles.ts'
import type { WriterArguments } from './programs/writer.ts'
import { PASSWORD } from './store-settings.ts'
import { mirrorDifferences, storedContent } from './stored-content.ts'
import { type Step, workload } from './workload.ts'

export type Kill =
  | { readonly at: 'failpoint'; readonly name: string; readonly hit: number }
  /** Milliseconds after the store is open and written to. */
  | { readonly at: 'moment'; readonly afterMs: number }
  /** Milliseconds after the process was started: it may still be opening the store. */
  | { readonly at: 'start'; readonly afterMs: number }
  /** The n-th call of this kind after the process was started. */
  | { readonly at: 'system call'; readonly call: string; readonly hit: number }

export interface KillChainOptions {
  readonly dir: string
  readonly seed: string
  readonly migrations: string | null
}

/** What a killed owner had accepted and acknowledged. */
interface Interrupted {
  readonly round: number
  readonly issued: number
  readonly durable: ReadonlySet<number>
  readonly failed: ReadonlyMap<number, string>
}

const NOTHING: Omit<Interrupted, 'round'> = { issued: 0, durable: new Set(), failed: new Map() }
/** More than any kill waits for. */
const ENDLESS_STEPS = 1_000_000
const STEPS_BEFORE_CLOSE = 150
const TEXT = /[A-Za-z0-9]{20,}/g
const SOUGHT_TEXTS = 30

export class KillChain {
  readonly #options: KillChainOptions
  readonly #expected = { state: new ExpectedContent(), market: new ExpectedContent() }
  #interrupted: Interrupted = { round: 0, ...NOTHING }
  #round = 0
  kills = 0
  acknowledged = 0

  constructor(options: KillChainOptions) {
    this.#options = options
  }

  /** Starts the next owner, verifies what it finds, and kills it. */
  async kill(kill: Kill): Promise<void> {
    this.#round += 1
    const program = this.#start(kill)
    const verified = this.#verify(program)
    verified.catch(() => program.kill('SIGKILL'))
    if (kill.at === 'moment')
      void program.line('ready').then(() => setTimeout(() => program.kill('SIGKILL'), kill.afterMs))
    if (kill.at === 'start') setTimeout(() => program.kill('SIGKILL'), kill.afterMs)
    const { signal } = await program.ended
    const isVerified = await verified
    expect(signal, `${JSON.stringify(kill)} ended otherwise: ${program.errorText} ${program.lines.at(-1)}`).toBe(
      'SIGKILL',
    )
    this.kills += 1
    if (isVerified) this.#interrupted = this.#readReport(program)
  }

  /** Opens the store as its last owner, or creates it if none came so far, and compares document by document. */
  async finish(): Promise<void> {
    const { dir, migrations } = this.#options
    const store = await openStore({
      dir,
      password: PASSWORD,
      collections: ownCollections,
      ...(migrations === null ? {} : { migrations }),
    })
    try {
      for (const file of DATABASE_FILES) {
        const content = await storedContent(store, file)
        const digest = digestOf(content)
        this.#advance(file, (expected) => expected.digest === digest)
        expect(differences(this.#expected[file].documents, content)).toEqual([])
      }
      expect(await store.check()).toEqual([])
      expect(await mirrorDifferences(store)).toEqual([])
      await store.kv.set('next-owner', 'can write')
    } finally {
      await store.close()
    }
    expect(writtenTexts(this.#expected).findBelow(dir)).toEqual([])
  }

  #start(kill: Kill): ChildProgram {
    const { dir, seed, migrations } = this.#options
    const closes = kill.at === 'failpoint' && kill.name.startsWith('close:')
    const given: WriterArguments = {
      dir,
      seed,
      migrations,
      round: this.#round,
      guarded: migrations !== null,
      steps: closes ? STEPS_BEFORE_CLOSE : ENDLESS_STEPS,
    }
    return ChildProgram.start('writer', {
      arguments: given,
      environment: kill.at === 'failpoint' ? { HOLDFAST_FAILPOINT: `${kill.name}=kill@${kill.hit}` } : {},
      under:
        kill.at === 'system call'
          ? ['strace', '-f', '-qq', '-o', '/dev/null', '-e', `inject=${kill.call}:signal=SIGKILL:when=${kill.hit}`]
          : [],
    })
  }

  /** False when the owner was killed before it could say what it found: then the next one is asked. */
  async #verify(program: ChildProgram): Promise<boolean> {
    const found = await program.line('found')
    if (found === undefined) return false
    const [, state, market] = found.split(' ')
    this.#advance('state', (expected) => expected.digest === state)
    this.#advance('market', (expected) => expected.digest === market)
    return true
  }

  /** Applies accepted writes up to the state that was found. */
  #advance(file: DatabaseFile, isFound: (expected: ExpectedContent) => boolean): void {
    const { round, issued, durable, failed } = this.#interrupted
    const steps = this.#steps(round, issued).filter((step) => step.file === file)
    const acknowledged = steps.findLastIndex((step) => durable.has(step.index))
    const expected = this.#expected[file]
    let matchedBefore = false
    for (const [position, step] of [undefined, ...steps].entries()) {
      if (step?.outcome === 'durable') expected.apply(step.writes)
      if (step !== undefined) assertOutcome(step, durable, failed)
      if (!isFound(expected)) continue
      if (position - 1 >= acknowledged) return
      matchedBefore = true
    }
    throw new Error(
      matchedBefore
        ? `${file}: acknowledged writes of round ${round} are missing`
        : `${file}: what was found after round ${round} is not what any prefix of its ${steps.length} writes leaves behind`,
    )
  }

  #steps(round: number, count: number): Step[] {
    const { seed, migrations } = this.#options
    const steps = workload({ seed, round, guarded: migrations !== null })
    return Array.from({ length: count }, () => steps.next().value as Step)
  }

  #readReport(program: ChildProgram): Interrupted {
    const words = program.lines.map((line) => line.split(' '))
    const about = (word: string) => words.filter(([first]) => first === word)
    expect(about('finding').map((finding) => finding.join(' '))).toEqual([])
    const durable = new Set(about('durable').map(([, index]) => Number(index)))
    const failed = new Map(about('failed').map(([, index, code = '']) => [Number(index), code]))
    const issued = Number(about('issued').at(-1)?.[1] ?? 0)
    this.acknowledged += durable.size
    return { round: this.#round, issued, durable, failed }
  }
}

/** Of what was written, the longest texts: shorter ones would be found by chance. */
function writtenTexts(expected: Readonly<Record<DatabaseFile, ExpectedContent>>): Secrets {
  const texts = Object.values(expected)
    .flatMap(({ documents }) => [...documents.values()])
    .flatMap(({ document }) => JSON.stringify(document).match(TEXT) ?? [])
    .toSorted((one, other) => other.length - one.length)
  const named = texts.slice(0, SOUGHT_TEXTS).map((text, index) => [`value ${index}`, text])
  return new Secrets({ ...Object.fromEntries(named), password: PASSWORD })
}

function assertOutcome(step: Step, durable: ReadonlySet<number>, failed: ReadonlyMap<number, string>): void {
  const reported = durable.has(step.index) ? 'durable' : failed.get(step.index)
  if (reported === undefined || reported === step.outcome) return
  throw new Error(
    `write ${step.index} (${step.how} ${step.writes[0]?.collection}) was ${reported}, not ${step.outcome}`,
  )
}
