/** The demo, without what is shown of it: two bots over the same market, one of them killed; then the checks. */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { DEMO_PASSWORD } from '../bot/demo-store.ts'
import { compareWithBook } from '../check/compare-book.ts'
import { compareStates } from '../check/compare-states.ts'
import { searchPlaintext } from '../check/plaintext-search.ts'
import { COLLECTIONS_COMPARED, readStoredState, type StoredState } from '../check/state-documents.ts'
import { writtenValues } from '../check/written-values.ts'
import { planKills } from '../exchange/kill-point.ts'
import { writeMarketData } from '../market/market-data.ts'
import { readRecordedMarkets, readRecordedMonth } from '../market/recorded-markets.ts'
import type { DemoOptions } from '../options.ts'
import { type Kill, type RunListener, type RunResult, runBot } from './bot-run.ts'
import { DemoProcess } from './child-process.ts'
import type { Check, DemoResult, DocumentCounts, RunName } from './demo-result.ts'
import type { IdleMessage } from './idle-process.ts'
import { rememberTrading, type TradingMemory } from './trading-memory.ts'
import { prepareWorkspace } from './workspace.ts'

export interface DemoListener {
  onStart(bars: number): void
  onProgress(run: RunName, bars: number): void
  onKilled(kill: Pick<Kill, 'kind' | 'symbol' | 'bar'>): void
  onRestarted(kill: Kill): void
  onStep(text: string): void
}

export async function runDemo(
  { dir, share, kills, seed }: DemoOptions,
  dataDir: string,
  listener: DemoListener,
): Promise<DemoResult> {
  const startedAt = performance.now()
  const startedAtMs = Date.now()
  const workspace = await prepareWorkspace(dir)
  const data = await readRecordedMarkets(dataDir, share)
  await writeMarketData(workspace.market, data)
  const barsOf = new Map([...data].map(([symbol, { length }]) => [symbol, length]))
  const bars = [...barsOf.values()].reduce((total, each) => total + each, 0)
  const walletKey = `0x${createHash('sha256').update(`wallet of demo ${seed}`).digest('hex')}`
  const bot = { barsOf: Object.fromEntries(barsOf), walletKey }
  const planned = planKills(kills, seed, barsOf)
  listener.onStart(bars)

  const idle = new DemoProcess<IdleMessage>('idle-process', null)
  let runs: readonly [RunResult, RunResult]
  let idleGapMs: number
  try {
    runs = await Promise.all([
      runBot(
        {
          bot: { ...bot, dir: workspace.state },
          exchange: { market: workspace.market, seed, kills: planned },
          snapshotDir: workspace.asKilled,
        },
        runListener('killed', listener),
      ),
      runBot(
        {
          bot: { ...bot, dir: workspace.reference },
          exchange: { market: workspace.market, seed, kills: [] },
          snapshotDir: null,
        },
        runListener('uninterrupted', listener),
      ),
    ])
    const gap = idle.next('gap')
    idle.send({})
    idleGapMs = (await gap).longestGapMs
  } finally {
    await idle.kill()
  }
  const [killed, uninterrupted] = runs

  listener.onStep('Comparing what is left: two stores, two books')
  const states = await Promise.all([readStoredState(workspace.state), readStoredState(workspace.reference)])
  const [state, reference] = states
  const differences = compareStates(reference.documents, state.documents)
  const documents = { killed: countDocuments(state), uninterrupted: countDocuments(reference) }

  listener.onStep('Remembering: bars, a session cache, skills, versions of a model')
  const memory = await rememberTrading(workspace.state, await readRecordedMonth(dataDir), seed)

  listener.onStep('Searching the files for what was written')
  const secrets = [walletKey, DEMO_PASSWORD, ...memory.secrets]
  const values = writtenValues(state.documents, secrets, startedAtMs)
  const dirs = [workspace.state, workspace.asKilled].filter((path) => existsSync(path))
  const search = await searchPlaintext(dirs, values, state.documents, secrets, workspace.inClear)
  await workspace.clear()

  const checks = [
    checkKills(killed.kills, planned.length),
    ...checkOrders(state, killed),
    checkFills(state, killed),
    checkStates(differences, documents.killed),
    checkStore(state, walletKey),
    checkMemory(memory),
    ...checkSearch(search),
  ]
  return {
    isPassed: checks.every((check) => check.isPassed),
    checks,
    dir: workspace.state,
    seconds: (performance.now() - startedAt) / 1_000,
    bars,
    figures: { killed: killed.figures, uninterrupted: uninterrupted.figures },
    kills: killed.kills,
    idleGapMs,
    documents,
    memory,
    search,
  }
}

function runListener(name: RunName, listener: DemoListener): RunListener {
  return {
    onProgress: (bars) => listener.onProgress(name, bars),
    onKilled: (kill) => listener.onKilled(kill),
    onRestarted: (kill) => listener.onRestarted(kill),
  }
}

function countDocuments({ documents }: StoredState): DocumentCounts {
  const counts = COLLECTIONS_COMPARED.map((name) => [name, documents[name].length] as const)
  return Object.fromEntries(counts) as DocumentCounts
}

function checkKills(kills: readonly Kill[], planned: number): Check {
  const unresolved = kills.reduce((total, kill) => total + kill.reconciliation.unresolved.length, 0)
  const isPassed = kills.length === planned && unresolved === 0
  return {
    id: 'killed-and-reconciled',
    title: 'Killed, restarted and reconciled',
    isPassed,
    detail: `${kills.length} of ${planned} times${unresolved === 0 ? '' : `, ${unresolved} left unresolved`}`,
  }
}

function checkOrders({ documents }: StoredState, { book }: RunResult): Check[] {
  const { orders, lostOrders, doubledOrders, differences } = compareWithBook(documents, book)
  return [
    {
      id: 'no-order-lost',
      title: 'Orders lost',
      isPassed: lostOrders.length === 0 && differences.length === 0,
      detail: describe(`${lostOrders.length} of ${count(orders)}`, [...lostOrders, ...differences]),
    },
    {
      id: 'no-order-doubled',
      title: 'Orders doubled',
      isPassed: doubledOrders.length === 0,
      detail: describe(`${doubledOrders.length} of ${count(orders)}`, doubledOrders),
    },
  ]
}

function checkFills({ documents }: StoredState, { book }: RunResult): Check {
  const { fills, lostFills } = compareWithBook(documents, book)
  return {
    id: 'no-fill-lost',
    title: 'Fills lost',
    isPassed: lostFills.length === 0,
    detail: describe(`${lostFills.length} of ${count(fills)}`, lostFills),
  }
}

function checkStates(differences: readonly string[], documents: DocumentCounts): Check {
  const total = Object.values(documents).reduce((sum, each) => sum + each, 0)
  return {
    id: 'final-state-equal',
    title: 'Final state equals that of the other bot',
    isPassed: differences.length === 0,
    detail: describe(differences.length === 0 ? `yes, ${count(total)} documents` : 'no', differences),
  }
}

function checkStore({ walletKey, findings }: StoredState, written: string): Check {
  const problems = [...findings, ...(walletKey === written ? [] : ['the sealed key came back changed'])]
  return {
    id: 'store-intact',
    title: 'Store intact, sealed wallet key revealed',
    isPassed: problems.length === 0,
    detail: describe(problems.length === 0 ? 'yes' : 'no', problems),
  }
}

function checkMemory({ differences }: TradingMemory): Check {
  return {
    id: 'memory-equal',
    title: 'Bars, cache, skill and model come back as written',
    isPassed: differences.length === 0,
    detail: describe(differences.length === 0 ? 'bit for bit' : 'no', differences),
  }
}

function checkSearch({ values, hits, foundInControl }: DemoResult['search']): Check[] {
  return [
    {
      id: 'nothing-in-clear',
      title: "Written values in clear in the store's files",
      isPassed: hits.length === 0,
      detail: describe(hits.length === 0 ? `0 of ${count(values)}` : 'some', hits),
    },
    {
      id: 'search-is-not-blind',
      title: 'Control: the same search in a copy in clear',
      isPassed: foundInControl === values,
      detail: `${count(foundInControl)} of ${count(values)}`,
    },
  ]
}

const MOST_NAMED = 3

function describe(summary: string, problems: readonly string[]): string {
  if (problems.length === 0) return summary
  const named = problems.slice(0, MOST_NAMED).join('; ')
  return `${summary}: ${named}${problems.length > MOST_NAMED ? `; and ${problems.length - MOST_NAMED} more` : ''}`
}

function count(value: number): string {
  return value.toLocaleString('en-US')
}
