/** `store.seriesRules`: how long series are kept, and as which longer bars they live on. */
import { z } from 'zod'
import type { NamedSeriesRule, SeriesRuleResult } from '../../../protocol/series-rules.ts'
import { StoreError } from '../../../protocol/store-error.ts'
import { type SeriesRule, seriesRuleSchema } from '../../../schema/series-rule.ts'
import type { StoreCore } from '../../store-core.ts'

export interface ApplySeriesRulesOptions {
  /** Names of rules. Default: all. */
  readonly rules?: readonly string[]
  /** The moment that ages are counted from, in Unix milliseconds. Default: now. */
  readonly nowMs?: number
}

/** Rules of a store; they run with maintenance and on demand. */
export interface StoreSeriesRules {
  /**
   * Makes a rule, or replaces the one of that name.
   *
   * @throws StoreError `INVALID_ARGUMENT`, `READ_ONLY`
   * @example
   * await store.seriesRules.set('minutes', { kind: 'bars', interval: '1m', keep: '45d', downsample: ['1h'] })
   */
  set(name: string, rule: SeriesRule): Promise<void>
  /** What it has done stays done. @returns false when there was none */
  remove(name: string): Promise<boolean>
  list(): Promise<readonly NamedSeriesRule[]>
  /**
   * Applies rules now. What a bucket becomes and the deletion of its points are one transaction; a run that is broken off can be run
   * again.
   *
   * @returns what was done to each series
   * @throws StoreError `NOT_FOUND` for a name that is none; `READ_ONLY`
   */
  apply(options?: ApplySeriesRulesOptions): Promise<readonly SeriesRuleResult[]>
}

const nameSchema = z
  .string()
  .min(1)
  .max(64)
  .regex(/^[\w.-]+$/, 'letters, digits, dots, dashes and underscores')
const applySchema = z.strictObject({ rules: z.array(nameSchema).optional(), nowMs: z.number().optional() })

export class SeriesRulesOfStore implements StoreSeriesRules {
  readonly #core: StoreCore

  constructor(core: StoreCore) {
    this.#core = core
  }

  async set(name: string, rule: SeriesRule): Promise<void> {
    const request = { name: checked(nameSchema, name, 'name'), rule: checked(seriesRuleSchema, rule, 'rule') }
    this.#core.assertOpen()
    await this.#core.supervisor.read('seriesRuleSet', request)
  }

  async remove(name: string): Promise<boolean> {
    const request = { name: checked(nameSchema, name, 'name') }
    this.#core.assertOpen()
    return (await this.#core.supervisor.callOnce('seriesRuleRemove', request)).removed
  }

  async list(): Promise<readonly NamedSeriesRule[]> {
    this.#core.assertOpen()
    return await this.#core.supervisor.read('seriesRuleList', {})
  }

  async apply(options: ApplySeriesRulesOptions = {}): Promise<readonly SeriesRuleResult[]> {
    const { rules, nowMs } = checked(applySchema, options, 'options')
    this.#core.assertOpen()
    if (rules !== undefined) {
      const known = new Set((await this.list()).map(({ name }) => name))
      const missing = rules.filter((name) => !known.has(name))
      if (missing.length > 0) {
        throw new StoreError(
          'NOT_FOUND',
          `There is no rule ${missing.join(', ')}. There are: ${[...known].join(', ')}.`,
        )
      }
    }
    return await this.#core.supervisor.read('seriesRulesApply', { nowMs: nowMs ?? null, names: rules ?? null })
  }
}

function checked<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const problems = parsed.error.issues.map(
    (issue) => `${[what, ...issue.path.map(String)].join('.')}: ${issue.message}`,
  )
  throw new StoreError('INVALID_ARGUMENT', `This is no rule for series: ${problems.join('; ')}.`, {
    details: { problems },
  })
}
