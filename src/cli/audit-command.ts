/** `holdfast audit`: verify, list, export, follow and append to the trail. Reading works beside a running owner. */
import { existsSync } from 'node:fs'
import { userInfo } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Command, Option } from 'commander'
import { type AuditEntryInput, type AuditQuery, isStoreError, type Store, StoreError } from '../index.ts'
import { writeAuditLine, writeAuditTable } from './audit-listing.ts'
import { formatDocuments } from './document-format.ts'
import { EXIT } from './exit-codes.ts'
import { alreadyThere, writeExportFile } from './export-file.ts'
import { instantMs } from './instant.ts'
import { parseJsonDocument } from './json-document.ts'
import { withOwner, withReader } from './open-session-store.ts'
import type { Session } from './session.ts'
import { storeOwner } from './store-owner.ts'
import { wholeNumber } from './whole-number.ts'

const LIST_LIMIT = 100
const TAIL_ENTRIES = 10
const POLL_MS = 500

interface FilterOptions {
  readonly from?: number
  readonly to?: number
  readonly actor?: string
  readonly event?: string
}

const FILTER_HELP = `
--from takes in what happened at that moment, --to does not. Moments: 2026-11-21, 2026-11-21T10:15 (UTC) or Unix
milliseconds. --event takes an event or a namespace: wallet.revealed, "key.*".`

export function addAuditCommand(program: Command, session: () => Session): void {
  const audit = program.command('audit').description('the audit trail: what was done, by whom and why')
  audit
    .command('verify')
    .description('go through the whole chain and name the first entry that is not what or where it was')
    .option('--head <text>', 'a head that was noted elsewhere: as status prints it, or the content of audit-head.json')
    .addHelpText(
      'after',
      `
Exits with ${EXIT.checkFoundErrors} when something is wrong. Only a head that was noted elsewhere can show that the
whole directory was put back; what it can show and what not is in docs/audit.md.

Examples:
  holdfast audit verify
  holdfast audit verify --head 57:8f3a0b12c4d5e6f708192a3b4c5d6e7f`,
    )
    .action(async ({ head }: { readonly head?: string }) => {
      process.exitCode = await verify(session(), head)
    })
  withFilters(audit.command('list'))
    .description('the last entries, oldest first')
    .option('--limit <n>', `how many; default ${LIST_LIMIT}`, wholeNumber)
    .action(async (options: FilterOptions & { readonly limit?: number }) => await list(session(), options))
  withFilters(audit.command('export'))
    .description('every entry with its MACs, one JSON object a line')
    .addOption(new Option('--jsonl', 'JSON lines, the one format there is').default(true))
    .option('--out <file>', 'a file of mode 0600; - for standard output', '-')
    .option('--force', 'overwrite a file that is there')
    .action(async (options: FilterOptions & ExportOptions) => await exportTrail(session(), options))
  withFilters(audit.command('tail'))
    .description('the last entries; with --follow whatever is appended, until it is interrupted')
    .option('-n, --lines <n>', `how many; default ${TAIL_ENTRIES}`, wholeNumber)
    .option('-f, --follow', 'go on with what is appended; works beside a running owner')
    .action(async (options: FilterOptions & TailOptions) => await tail(session(), options))
  audit
    .command('append')
    .description('append an entry of your own; beside a running owner it is left for it to take in')
    .argument('<event>', 'with a namespace of your own, such as desk.limit-raised')
    .option('--actor <name>', 'who did it; default: the user of this process')
    .option('--data <json>', 'the particulars, as a JSON object')
    .option('--cause <id>', 'what brought it about: an order, a ticket')
    .action(async (event: string, options: AppendOptions) => await append(session(), event, options))
}

function withFilters(command: Command): Command {
  return command
    .option('--from <moment>', 'not before', instantMs)
    .option('--to <moment>', 'before', instantMs)
    .option('--actor <name>', 'by this one')
    .option('--event <event>', 'this event, or namespace.*')
    .addHelpText('after', FILTER_HELP)
}

function filterOf({ from, to, actor, event }: FilterOptions): AuditQuery {
  return { from, to, actor, event }
}

async function verify(session: Session, head: string | undefined): Promise<number> {
  const { terminal } = session
  const result = await withReader(session, async (store) => await store.audit.verify({ head }))
  if (terminal.isJson) await terminal.writeJson(result)
  else {
    for (const { kind, message } of result.problems) {
      await terminal.writeLine(`${terminal.style('red', kind)}: ${message}`)
    }
    const verdict = result.ok ? 'The trail is whole' : 'The chain holds up to there'
    await terminal.writeLine(`${verdict}: ${result.entries} entries, head ${result.head}`)
  }
  return result.ok ? EXIT.ok : EXIT.checkFoundErrors
}

async function list(session: Session, options: FilterOptions & { readonly limit?: number }): Promise<void> {
  const { terminal } = session
  const query = { ...filterOf(options), order: 'desc', limit: options.limit ?? LIST_LIMIT } as const
  const entries = await withReader(session, async (store) => (await store.audit.list(query)).reverse())
  if (terminal.isJson) await terminal.writeJson(entries)
  else await writeAuditTable(entries, terminal)
}

interface ExportOptions {
  readonly out: string
  readonly force?: boolean
}

async function exportTrail(session: Session, options: FilterOptions & ExportOptions): Promise<void> {
  const { terminal, interruption } = session
  const { out: path, force: overwrite = false } = options
  await withReader(session, async (store) => {
    const entries = store.audit.stream(filterOf(options)) as AsyncIterable<never>
    if (path === '-') {
      for await (const text of formatDocuments(entries, 'jsonl')) await terminal.write(text)
      return
    }
    if (!overwrite && existsSync(path)) throw alreadyThere(path)
    const bytes = await writeExportFile(entries, { path, format: 'jsonl', overwrite, interruption })
    if (terminal.isJson) await terminal.writeJson({ path, bytes })
    else await terminal.writeLine(`${path}: ${bytes} bytes`)
  })
}

interface TailOptions {
  readonly lines?: number
  readonly follow?: boolean
}

async function tail(session: Session, options: FilterOptions & TailOptions): Promise<void> {
  await withReader(session, async (store) => {
    const query = filterOf(options)
    const last = await store.audit.list({ ...query, order: 'desc', limit: options.lines ?? TAIL_ENTRIES })
    for (const entry of last.reverse()) await writeAuditLine(entry, session.terminal)
    if (options.follow === true) await follow(store, query, last.at(-1)?.id ?? 0, session)
  })
}

/** Ends with an interruption, or when whoever reads the output has gone. */
async function follow(store: Store, query: AuditQuery, from: number, { terminal }: Session): Promise<never> {
  let afterId = from
  for (;;) {
    for await (const entry of store.audit.stream({ ...query, afterId })) {
      afterId = entry.id
      await writeAuditLine(entry, terminal)
    }
    await sleep(POLL_MS)
  }
}

interface AppendOptions {
  readonly actor?: string
  readonly data?: string
  readonly cause?: string
}

async function append(session: Session, event: string, { actor, data, cause }: AppendOptions): Promise<void> {
  const entry: AuditEntryInput = {
    actor: actor ?? userInfo().username,
    event,
    ...(data === undefined ? {} : { data: parseData(data) }),
    ...(cause === undefined ? {} : { causationId: cause }),
  }
  const isLeft = await appendOrLeave(session, entry)
  const { terminal } = session
  if (terminal.isJson) await terminal.writeJson({ appended: !isLeft, left: isLeft })
  else await terminal.writeLine(isLeft ? 'Left for the owner of the store, which takes it in.' : 'Appended.')
}

/** What is no object is refused with the entry. */
function parseData(text: string): NonNullable<AuditEntryInput['data']> {
  const parsed = parseJsonDocument(text)
  if ('value' in parsed) return parsed.value as NonNullable<AuditEntryInput['data']>
  throw new StoreError('INVALID_DOCUMENT', `--data can't be taken: ${parsed.problem}. Nothing was written.`)
}

/** True when it was left for the owner. */
async function appendOrLeave(session: Session, entry: AuditEntryInput): Promise<boolean> {
  const owner = await storeOwner(session.options.dir)
  if (owner?.state !== 'running') {
    try {
      await withOwner(session, async (store) => await store.audit.append(entry))
      return false
    } catch (error) {
      if (!isStoreError(error) || error.code !== 'STORE_LOCKED') throw error
    }
  }
  await withReader(session, async (store) => await store.audit.note(entry))
  return true
}
