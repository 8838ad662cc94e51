/** The demo while it runs: what happens, and a bar for each of the two bots. */
import type { RunName } from '../run/demo-result.ts'
import type { DemoListener } from '../run/run-demo.ts'
import { deedsOfReconcile, lastDeed } from './kill-words.ts'
import { count, milliseconds, seconds } from './quantities.ts'
import type { Screen } from './screen.ts'

const BAR_WIDTH = 36
const REDRAW_MS = 80
/** Where lines can't be drawn anew, one now and then. */
const PLAIN_LINE_MS = 5_000

const RUN_TITLES: Readonly<Record<RunName, string>> = { killed: 'killed', uninterrupted: 'left alone' }

export class ProgressView {
  readonly #screen: Screen
  readonly #startedAt = performance.now()
  readonly #done: Record<RunName, number> = { killed: 0, uninterrupted: 0 }
  #bars = 0
  #isDead = false
  #drawnAt = 0

  constructor(screen: Screen) {
    this.#screen = screen
  }

  listener(): DemoListener {
    return {
      onStart: (bars) => {
        this.#bars = bars
        this.#draw(true)
      },
      onProgress: (run, bars) => {
        this.#done[run] = bars
        if (run === 'killed') this.#isDead = false
        this.#draw(false)
      },
      onKilled: ({ symbol, bar, ...kill }) => {
        this.#isDead = true
        this.#event('red', 'SIGKILL', `${symbol}, bar ${count(bar)}: ${lastDeed(kill)}`)
      },
      onRestarted: (kill) => {
        const took = milliseconds(kill.reconciliation.durationMs)
        this.#event('green', 'restart', `${deedsOfReconcile(kill).slice(0, 2).join(', ')}, in ${took}`)
      },
      onStep: (text) => {
        this.#screen.draw([])
        this.#event('dim', 'check', text)
        this.#bars = 0
      },
    }
  }

  #event(color: 'red' | 'green' | 'dim', what: string, text: string): void {
    this.#screen.print(`${this.#time()}  ${this.#screen.style(color, what.padEnd(7))}  ${text}`)
    this.#draw(true)
  }

  #draw(isUrgent: boolean): void {
    if (this.#bars === 0) return
    const now = performance.now()
    const runs = ['killed', 'uninterrupted'] as const
    if (this.#screen.isLive) {
      if (!isUrgent && now - this.#drawnAt < REDRAW_MS) return
      this.#drawnAt = now
      this.#screen.draw(['', ...runs.map((run) => this.#bar(run))])
    } else if (!isUrgent && now - this.#drawnAt >= PLAIN_LINE_MS) {
      this.#drawnAt = now
      const parts = runs.map((run) => `${RUN_TITLES[run]} ${this.#percent(run)}`)
      this.#screen.print(`${this.#time()}  bars     ${parts.join(', ')}`)
    }
  }

  #bar(run: RunName): string {
    const filled = Math.round((this.#done[run] / this.#bars) * BAR_WIDTH)
    const isDead = run === 'killed' && this.#isDead
    const color = isDead ? 'red' : filled === BAR_WIDTH ? 'green' : 'cyan'
    const bar =
      this.#screen.style(color, '━'.repeat(filled)) + this.#screen.style('dim', '─'.repeat(BAR_WIDTH - filled))
    const bars = isDead ? 'dead' : `${count(this.#done[run])} bars`
    return `  ${RUN_TITLES[run].padEnd(10)}  ${bar}  ${this.#percent(run).padStart(5)}  ${bars.padStart(11)}`
  }

  #percent(run: RunName): string {
    return `${Math.floor((this.#done[run] / this.#bars) * 100)} %`
  }

  #time(): string {
    return seconds((performance.now() - this.#startedAt) / 1_000).padStart(7)
  }
}
