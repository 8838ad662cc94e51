/** Owners that archive into one place and are killed one after the other; then any moment they acknowledged is restored. */
import { join } from 'node:path'
import { expect } from 'vitest'
import { artifactContent, contentAfter, STEPS_PER_ARTIFACT } from './archive-steps.ts'
import { ChildProgram } from './child-program.ts'
import { restoreArchive } from './compiled-store.ts'
import type { ArchivedWriterArguments } from './programs/archived-writer.ts'
import type { Random } from './random.ts'
import { PASSWORD } from './store-settings.ts'
import { openTestStore, type TestStore } from './worker-faults.ts'

export interface AcknowledgedStep {
  readonly number: number
  readonly sequence: number
  readonly atMs: number
  /** Counts up. */
  readonly owner: number
}

export type OwnerEnd =
  | { readonly how: 'close' }
  /** `process.exit`, with the store open. */
  | { readonly how: 'exit' }
  | { readonly how: 'moment'; readonly afterMs: number }
  | { readonly how: 'failpoint'; readonly failpoint: string }
  /** The worker ends; the process goes on and closes. */
  | { readonly how: 'worker'; readonly failpoint: string }

/** A failpoint that is not reached ends with a close. */
const STEPS: Readonly<Record<OwnerEnd['how'], number>> = {
  close: 60,
  exit: 60,
  moment: 1_000_000,
  failpoint: 250,
  worker: 250,
}

export class ArchiveChain {
  readonly dir: string
  readonly archiveDir: string
  readonly seed: string
  readonly acknowledged: AcknowledgedStep[] = []
  kills = 0
  #round = 0

  constructor(root: string, seed: string) {
    this.dir = join(root, 'store')
    this.archiveDir = join(root, 'archive')
    this.seed = seed
  }

  async run(end: OwnerEnd): Promise<void> {
    this.#round += 1
    const given: ArchivedWriterArguments = {
      dir: this.dir,
      archive: { dir: this.archiveDir, intervalMs: 20 },
      seed: this.seed,
      round: this.#round,
      steps: STEPS[end.how],
      exits: end.how === 'exit',
    }
    const program = ChildProgram.start('archived-writer', {
      arguments: given,
      environment: 'failpoint' in end ? { HOLDFAST_FAILPOINT: end.failpoint } : {},
    })
    if (end.how === 'moment') {
      void program.line('ready').then(() => setTimeout(() => program.kill('SIGKILL'), end.afterMs))
    }
    const ending = await program.ended
    const isAsExpected = ending.signal === 'SIGKILL' || program.lines.includes(end.how === 'exit' ? 'exits' : 'closed')
    expect(isAsExpected, `${JSON.stringify(end)}: ${JSON.stringify(ending)} ${program.errorText}`).toBe(true)
    if (ending.signal === 'SIGKILL') this.kills += 1
    for (const line of program.lines) {
      const [word, number, sequence, atMs] = line.split(' ')
      if (word === 'durable') {
        this.acknowledged.push({
          number: Number(number),
          sequence: Number(sequence),
          atMs: Number(atMs),
          owner: this.#round,
        })
      }
    }
  }

  /** Restores one of the acknowledged moments and compares the whole content. */
  async expectRestorable(step: AcknowledgedStep, into: string, by: 'sequence' | 'time' = 'sequence'): Promise<void> {
    const moment = by === 'sequence' ? { sequence: step.sequence } : { at: step.atMs }
    const restored = await restoreArchive({ from: this.archiveDir, dir: into, password: PASSWORD, ...moment })
    expect(restored.problems).toEqual([])
    const store = await openTestStore(into, { readOnly: true })
    try {
      const found = Number(store.kv.value('step'))
      if (by === 'sequence') {
        expect(found, `sequence ${step.sequence} of step ${step.number}`).toBe(step.number)
        expect(restored.sequence).toBe(step.sequence)
      } else {
        expect(found).toBeGreaterThanOrEqual(step.number)
      }
      await expectContent(store, this.seed, found)
      await expectArtifacts(store, this.seed, found)
    } finally {
      await store.close()
    }
  }

  get lastOfEachOwner(): readonly AcknowledgedStep[] {
    return this.acknowledged.filter(({ owner }, index) => this.acknowledged[index + 1]?.owner !== owner)
  }

  /** The last that was acknowledged. */
  get latest(): AcknowledgedStep {
    return this.acknowledged.at(-1) as AcknowledgedStep
  }

  pick(random: Random): AcknowledgedStep {
    return random.pick(this.acknowledged)
  }
}

/** Whatever versions there are can be read, and the newest is not older than the step before. */
export async function expectArtifacts(store: TestStore, seed: string, number: number): Promise<void> {
  const versions = await store.artifacts.versions('model')
  const steps = versions.map(({ metadata }) => Number(metadata.step))
  const last = number - 1 - ((number - 1) % STEPS_PER_ARTIFACT)
  if (last > 0) expect(steps[0]).toBeGreaterThanOrEqual(last)
  expect((await store.artifacts.verify()).damage).toEqual([])
  for (const [n, { version }] of versions.entries()) {
    const content = await store.artifacts.get('model', version).bytes()
    expect(content.equals(artifactContent(seed, steps[n] as number)), `content of step ${steps[n]}`).toBe(true)
  }
}

/** State as after step `number`; market with every tick before it and none behind it. */
export async function expectContent(store: TestStore, seed: string, number: number, withMarket = true): Promise<void> {
  const documents = store.kv.list().filter(({ key }) => key !== 'step')
  const content = new Map(documents.map(({ key, value }) => [key, value]))
  expect(Object.fromEntries(content)).toEqual(Object.fromEntries(contentAfter(seed, number)))
  if (!withMarket) return
  const rows = await store.sql('select "at" from ticks order by "at"', [], { file: 'market' })
  const ticks = rows.map(({ at }) => Number(at))
  const before = Array.from({ length: Math.floor((number - 1) / 3) }, (_, n) => 3 * (n + 1))
  expect(ticks.slice(0, before.length)).toEqual(before)
  expect(ticks.slice(before.length).filter((tick) => tick !== number)).toEqual([])
}
