import { type Command, Option } from 'commander'
import { type DatabaseFile, type SqlParameter, StoreError } from '../index.ts'
import { counted } from './counted.ts'
import { withReader } from './open-session-store.ts'
import type { Session } from './session.ts'
import { runQuery } from './sql-query.ts'
import { type ResultMode, writeResult } from './sql-result.ts'
import { SqlShell } from './sql-shell.ts'
import { parseScalar } from './where-option.ts'
import { wholeNumber } from './whole-number.ts'

interface SqlCommandOptions {
  readonly csv?: boolean
  readonly file: DatabaseFile
  readonly param?: readonly SqlParameter[]
  readonly maxRows?: number
}

export function addSqlCommand(program: Command, session: () => Session): void {
  program
    .command('sql')
    .description('run a read-only query, or without one open a shell')
    .argument('[query]', 'one SELECT, WITH, VALUES or EXPLAIN statement')
    .option('--csv', 'print the result as CSV')
    .option('--param <value>', 'a value for a ? of the query; may be repeated', gather)
    .addOption(new Option('--file <name>', 'the database file to ask').choices(['state', 'market']).default('state'))
    .option('--max-rows <n>', 'refuse a larger result (default: 10000)', wholeNumber)
    .addHelpText(
      'after',
      `
Without a query, statements are read from standard input: on a terminal in a shell (.help tells its commands; its
history is never written to a file), from a pipe one after the other until one fails.

Examples:
  holdfast sql "select symbol, count(*) n from orders where state = ? group by 1" --param filled
  holdfast sql "select * from trades" --csv > trades.csv
  holdfast sql < report.sql`,
    )
    .action(async (query: string | undefined, options: SqlCommandOptions) => await sql(session(), query, options))
}

async function sql(session: Session, query: string | undefined, options: SqlCommandOptions): Promise<void> {
  const { terminal, interruption } = session
  const { csv, file, param = [], maxRows } = options
  if (csv === true && terminal.isJson) throw new StoreError('INVALID_ARGUMENT', 'Give --csv or --json, not both.')
  const mode: ResultMode = csv === true ? 'csv' : terminal.isJson ? 'json' : 'table'
  await withReader(session, async (store) => {
    if (query !== undefined) {
      const result = await runQuery(store, query, { file, parameters: param, maxRows })
      await writeResult(result, mode, terminal)
      if (mode === 'table') terminal.remark(counted(result.rows.length, 'row'))
      return
    }
    const shell = new SqlShell({ store, terminal, interruption, mode, file, maxRows })
    if (process.stdin.isTTY) await shell.runInteractive()
    else await shell.runPiped()
  })
}

function gather(text: string, before: readonly SqlParameter[] = []): readonly SqlParameter[] {
  return [...before, parseScalar(text)]
}
