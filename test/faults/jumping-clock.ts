/** A wall clock that jumps under a running store: for this thread and for every worker that is started meanwhile. */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onTestFinished, vi } from 'vitest'

const preload = fileURLToPath(new URL('jumping-clock.cjs', import.meta.url))

export class JumpingClock {
  readonly #dir = mkdtempSync(join(tmpdir(), 'holdfast-clock-'))
  readonly #path = join(this.#dir, 'ahead-ms')
  #aheadMs = 0

  /** Until the test ends. */
  constructor() {
    this.jump(0)
    const { NODE_OPTIONS } = process.env
    process.env.HOLDFAST_TEST_CLOCK = this.#path
    process.env.NODE_OPTIONS = [NODE_OPTIONS, `--require=${preload}`].filter(Boolean).join(' ')
    const realNow = Date.now.bind(Date)
    const now = vi.spyOn(Date, 'now').mockImplementation(() => realNow() + this.#aheadMs)
    onTestFinished(() => {
      now.mockRestore()
      delete process.env.HOLDFAST_TEST_CLOCK
      if (NODE_OPTIONS === undefined) delete process.env.NODE_OPTIONS
      else process.env.NODE_OPTIONS = NODE_OPTIONS
      rmSync(this.#dir, { recursive: true })
    })
  }

  /** From where it stands; backwards when negative. */
  jump(byMs: number): void {
    this.#aheadMs += byMs
    writeFileSync(`${this.#path}.next`, `${this.#aheadMs}`)
    renameSync(`${this.#path}.next`, this.#path)
  }
}
