/**
 * The rules of a store and their application: on request, and with maintenance. One run at a time; a run goes series by
 * series in small steps, and ends at its next step when the store closes.
 */
import type { NamedSeriesRule, SeriesRuleMethods, SeriesRuleResult } from '../../../protocol/series-rules.ts'
import { isStoreError, StoreError } from '../../../protocol/store-error.ts'
import { type SeriesRule, seriesRuleSchema } from '../../../schema/series-rule.ts'
import { queryOnce } from '../../driver.ts'
import type { FileBackend } from '../../file-backend.ts'
import { toStoreError } from '../../io-error.ts'
import type { SeriesStore } from '../series-store.ts'
import { applyRule } from './apply-rule.ts'

export interface SeriesRuleStoreOptions {
  readonly dir: string
  readonly market: FileBackend
  readonly series: SeriesStore
}

export class SeriesRuleStore implements SeriesRuleMethods {
  readonly #dir: string
  readonly #market: FileBackend
  readonly #series: SeriesStore
  #running: Promise<unknown> = Promise.resolve()
  #isClosed = false

  constructor({ dir, market, series }: SeriesRuleStoreOptions) {
    this.#dir = dir
    this.#market = market
    this.#series = series
  }

  async seriesRuleSet({ name, rule }: NamedSeriesRule): Promise<void> {
    await this.#write(
      'INSERT INTO "_seriesRules" ("name", "rule") VALUES (?1, ?2) ON CONFLICT DO UPDATE SET "rule" = excluded."rule"',
      [name, JSON.stringify(rule)],
    )
  }

  async seriesRuleRemove({ name }: { readonly name: string }): Promise<{ readonly removed: boolean }> {
    const rules = await this.seriesRuleList()
    await this.#write('DELETE FROM "_seriesRules" WHERE "name" = ?1', [name])
    return { removed: rules.some((rule) => rule.name === name) }
  }

  async seriesRuleList(): Promise<readonly NamedSeriesRule[]> {
    return await this.#ownErrors(async () => {
      const rows = await this.#market.readers.query('SELECT "name", "rule" FROM "_seriesRules" ORDER BY "name"', [])
      return rows.map((row) => ({ name: String(row.name), rule: this.#parsed(String(row.rule)) }))
    })
  }

  seriesRulesApply({
    nowMs,
    names,
  }: {
    readonly nowMs: number | null
    readonly names: readonly string[] | null
  }): Promise<readonly SeriesRuleResult[]> {
    const result = this.#running.then(() => this.#apply(nowMs ?? Date.now(), names))
    this.#running = result.catch(() => undefined)
    return result
  }

  /** Ends a run at its next step; before the series close. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.#running
  }

  async #apply(nowMs: number, names: readonly string[] | null): Promise<SeriesRuleResult[]> {
    if (this.#market.committer === null) throw readOnly()
    const rules = (await this.seriesRuleList()).filter(({ name }) => names === null || names.includes(name))
    const results: SeriesRuleResult[] = []
    for (const named of rules) {
      const { rule } = named
      for (const info of await this.#series.seriesList({ kind: rule.kind })) {
        if (this.#isClosed) return results
        const isMeant =
          (rule.symbol ?? info.symbol) === info.symbol && (rule.interval ?? info.interval) === info.interval
        if (!isMeant) continue
        results.push(await this.#applyTo(named, info, nowMs))
      }
    }
    return results
  }

  /** A series that refuses (because the longer bars have other columns, say) does not keep the others from their rule. */
  async #applyTo(
    { name, rule }: NamedSeriesRule,
    { kind, symbol, interval }: SeriesRuleResult | { kind: SeriesRule['kind']; symbol: string; interval: string },
    nowMs: number,
  ): Promise<SeriesRuleResult> {
    const key = { kind, symbol, interval }
    try {
      const outcome = await applyRule(this.#series, rule, key, nowMs, () => this.#isClosed)
      return { rule: name, ...key, ...outcome, error: null }
    } catch (error) {
      if (!isStoreError(error) || error.code !== 'INVALID_ARGUMENT') throw error
      return { rule: name, ...key, cutoffTs: null, deleted: 0, barsWritten: 0, barsKept: 0, error: error.code }
    }
  }

  #parsed(text: string): SeriesRule {
    try {
      return seriesRuleSchema.parse(JSON.parse(text))
    } catch (error) {
      throw new StoreError(
        'STORE_CORRUPT',
        'A rule of series in market.db can not be read. Remove it and set it again.',
        {
          cause: error,
        },
      )
    }
  }

  async #write(sql: string, parameters: readonly string[]): Promise<void> {
    const { committer } = this.#market
    if (committer === null) throw readOnly()
    await this.#ownErrors(async () => {
      await committer.transact(async (connection) => {
        await queryOnce(connection, sql, parameters)
      })
    })
  }

  async #ownErrors<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw await toStoreError(error, this.#dir)
    }
  }
}

function readOnly(): StoreError {
  return new StoreError('READ_ONLY', 'A store opened with readOnly: true applies and changes no rules.')
}
