import { type Command, Option } from 'commander'
import { type SeriesRule, type SeriesRuleResult, StoreError } from '../../index.ts'
import { counted } from '../counted.ts'
import { withOwner, withReader } from '../open-session-store.ts'
import type { Session } from '../session.ts'
import { renderTable } from '../table.ts'
import { visibleText } from '../visible-text.ts'
import { wholeNumber } from '../whole-number.ts'
import { commaList } from './import-series.ts'

interface RuleOptions {
  readonly kind: SeriesRule['kind']
  readonly symbol?: string
  readonly interval?: string
  readonly keep?: string
  readonly maxRows?: number
  readonly downsample?: readonly string[]
}

export function addSeriesRules(parent: Command, session: () => Session): void {
  const rules = parent.command('rules').description('how long series are kept, and as which longer bars they live on')
  rules
    .command('list')
    .description('the rules of the store')
    .action(async () => {
      const { terminal } = session()
      const list = await withReader(session(), (store) => store.seriesRules.list())
      if (terminal.isJson) return await terminal.writeJson({ rules: list })
      if (list.length === 0) return terminal.remark('No rules.')
      const { text } = renderTable({
        columns: ['name', 'for', 'keep', 'rows', 'becomes bars of'],
        rows: list.map(({ name, rule }) => [
          { text: name },
          { text: visibleText([rule.kind, rule.symbol ?? 'all', rule.interval ?? ''].join(' ').trim()) },
          { text: rule.keep ?? '' },
          { text: rule.maxRows === undefined ? '' : rule.maxRows.toLocaleString('en-US'), isNumber: true },
          { text: (rule.downsample ?? []).join(', ') },
        ]),
        width: terminal.width,
        styleHead: (head) => terminal.style('bold', head),
      })
      await terminal.writeLine(text)
    })
  rules
    .command('set')
    .description('make a rule, or replace the one of that name')
    .argument('<name>')
    .addOption(
      new Option('--kind <kind>', 'which series')
        .choices(['bars', 'ticks', 'quotes', 'books', 'values'])
        .default('bars'),
    )
    .option('--symbol <symbol>', 'default: all')
    .option('--interval <interval>', 'of bars; default: all')
    .option('--keep <duration>', 'delete points that are older, such as 45d')
    .option('--max-rows <n>', 'delete all but the newest n points', wholeNumber)
    .option('--downsample <intervals>', 'make bars of these first, such as 1h,1d', commaList)
    .addHelpText(
      'after',
      `
Rules run with maintenance, and with holdfast series rules apply.

Example, one-minute bars for 45 days and hours for ever:
  holdfast series rules set minutes --interval 1m --keep 45d --downsample 1h`,
    )
    .action(async (name: string, options: RuleOptions) => {
      await withOwner(session(), (store) => store.seriesRules.set(name, { ...options } as SeriesRule))
      const { terminal } = session()
      if (terminal.isJson) await terminal.writeJson({ name, rule: options })
      else await terminal.writeLine(`Rule ${name} is set.`)
    })
  rules
    .command('remove')
    .description('remove a rule; what it has done stays done')
    .argument('<name>')
    .action(async (name: string) => {
      const removed = await withOwner(session(), (store) => store.seriesRules.remove(name))
      if (!removed)
        throw new StoreError('NOT_FOUND', `There is no rule ${name}. holdfast series rules list shows them.`)
      const { terminal } = session()
      if (terminal.isJson) await terminal.writeJson({ name, removed })
      else await terminal.writeLine(`Rule ${name} is removed.`)
    })
  rules
    .command('apply')
    .description('apply rules now')
    .argument('[names...]', 'default: all')
    .action(async (names: readonly string[]) => {
      const results = await withOwner(session(), (store) =>
        store.seriesRules.apply(names.length === 0 ? {} : { rules: names }),
      )
      const { terminal } = session()
      if (terminal.isJson) await terminal.writeJson({ results })
      else for (const result of results) await terminal.writeLine(describe(result))
      const refused = results.find(({ error }) => error !== null)
      if (refused?.error != null) {
        throw new StoreError(refused.error, `Rule ${refused.rule} could not be applied to every series; see above.`)
      }
    })
}

function describe({ rule, kind, symbol, interval, deleted, barsWritten, barsKept, error }: SeriesRuleResult): string {
  const series = visibleText([kind, symbol, interval].join(' ').trim())
  if (error !== null) return `${rule}: ${series}: refused (${error})`
  const kept = barsKept === 0 ? '' : `, ${counted(barsKept, 'bar')} there already`
  return `${rule}: ${series}: ${counted(barsWritten, 'bar')} made${kept}, ${counted(deleted, 'point')} deleted`
}
