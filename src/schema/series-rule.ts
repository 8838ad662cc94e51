/** How long points of series are kept, and as which longer bars they live on: "keep 1m for 45 days, 1h for ever". */
import * as z from 'zod'
import { fits, parseInterval } from './interval.ts'

const MAX_ROWS = 10_000_000
const MAX_TARGETS = 8

const interval = z
  .string()
  .refine((text) => parseInterval(text) !== undefined, { error: 'expected an interval such as 1m, 4h or 1d' })
const duration = z
  .string()
  .refine((text) => parseInterval(text)?.unit === 'ms', { error: 'expected a duration such as 12h, 45d or 8w' })

/**
 * `kind` and, where they are given, `symbol` and `interval` say which series the rule is for. Points older than `keep`, and all but the
 * newest `maxRows`, are deleted; before that, whole buckets of them become bars of each interval in `downsample`.
 *
 * @example { kind: 'bars', interval: '1m', keep: '45d', downsample: ['1h'] }
 * @example { kind: 'ticks', symbol: 'BTC/USDT', keep: '7d', maxRows: 5_000_000, downsample: ['1m'] }
 */
export const seriesRuleSchema = z
  .strictObject({
    kind: z.enum(['bars', 'ticks', 'quotes', 'books', 'values']),
    symbol: z.string().min(1).optional(),
    interval: interval.optional(),
    keep: duration.optional(),
    maxRows: z.int().positive().max(MAX_ROWS).optional(),
    downsample: z.array(interval).min(1).max(MAX_TARGETS).optional(),
  })
  .superRefine((rule, context) => {
    const fault = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message })
    if (rule.keep === undefined && rule.maxRows === undefined) fault('keep', 'a rule has keep, maxRows or both')
    if (rule.interval !== undefined && rule.kind !== 'bars') fault('interval', 'only bars have an interval')
    if (rule.maxRows !== undefined && rule.kind === 'books') fault('maxRows', 'order books are kept by age')
    if (rule.downsample === undefined) return
    if (rule.kind === 'bars' && rule.interval === undefined) {
      fault('interval', 'to make longer bars, a rule names the interval of the bars it is for')
    } else if (rule.kind !== 'bars' && rule.kind !== 'ticks') {
      fault('downsample', 'only bars and ticks become bars')
    }
    const targets = rule.downsample.map((text) => parseInterval(text))
    const source = rule.interval === undefined ? undefined : parseInterval(rule.interval)
    for (const target of targets) {
      if (target === undefined || source === undefined) continue
      if (rule.downsample.includes(rule.interval as string) || !fits(source, target)) {
        fault('downsample', 'every interval is longer than that of the rule, and made of whole ones of it')
      }
    }
    const coarsest = targets.at(-1)
    if (coarsest !== undefined && !targets.every((each) => each !== undefined && fits(each, coarsest))) {
      fault('downsample', 'intervals rise, and the last one is made of whole ones of each other')
    }
  })

export type SeriesRule = z.infer<typeof seriesRuleSchema>
