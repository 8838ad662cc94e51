/**
 * What else a trading system remembers, in the store of the bot that was killed: all recorded bars as a series, a session
 * cache, skills to search, and versions of a model. Everything is read back and held against what was written.
 */
import { createHash } from 'node:crypto'
import { openDemoStore } from '../bot/demo-store.ts'
import type { ResampledBars, SkillMatch } from '../holdfast.ts'
import type { Bar } from '../market/bar.ts'

const SYMBOL = 'BTC-PERP'
const CANDLES_INTERVAL = '4h'
const CANDLES = 66
const DAY_MS = 86_400_000
const WARM_START_BARS = 240
const MODEL_BYTES = 6 * 1024 * 1024
/** Changed from one version of the model to the next. */
const RETRAINED_BYTES = 64 * 1024
const MODEL_HEAD = 'price-model, two layers, trained on closes'
const SEARCH = 'mean rever* btc'
const BEST_SKILL = 'zscore-reversion'

const SKILLS = [
  {
    name: 'zscore-reversion',
    description: 'Mean reversion of BTC: fade moves of more than two standard deviations',
    content:
      'const z = (close - mean(closes, 120)) / deviation(closes, 120)\nif (Math.abs(z) > 2) trade(-Math.sign(z))',
    tags: ['btc', 'reversion'],
    sharpe: 1.4,
  },
  {
    name: 'channel-breakout',
    description: 'Buy BTC above the highest price of the hour, with a trailing stop',
    content: 'if (close > highest(highs, 60)) enter({ trailingPercent: 0.4 })',
    tags: ['btc', 'trend'],
    sharpe: 0.9,
  },
  {
    name: 'funding-carry',
    description: 'Hold the perpetual against spot while funding pays for it',
    content: 'if (funding.annualized > 0.1) hold({ spot: 1, perpetual: -1 })',
    tags: ['carry'],
    sharpe: 2.1,
  },
] as const

export interface TradingMemory {
  readonly bars: number
  readonly barsPerSecond: number
  readonly bytesPerBar: number
  readonly candlesInterval: string
  readonly candles: ResampledBars
  readonly search: string
  readonly found: readonly SkillMatch[]
  readonly modelBytes: number
  /** What the second version of the model took, of which most was there. */
  readonly newModelBytes: number
  /** What differs from what was written; empty if all is well. */
  readonly differences: readonly string[]
  /** Texts that must not be found in the files. */
  readonly secrets: readonly string[]
}

export async function rememberTrading(dir: string, recorded: readonly Bar[], seed: number): Promise<TradingMemory> {
  const store = await openDemoStore(dir)
  try {
    const written = columnsOf(recorded)
    const startedAt = performance.now()
    await store.bars.append(SYMBOL, '1m', written)
    const seconds = (performance.now() - startedAt) / 1_000
    const info = await store.bars.info(SYMBOL, '1m')
    const minutes = await store.bars.range(SYMBOL, '1m')
    const days = await store.bars.resample(SYMBOL, { from: '1m', to: '1d' })
    const from = (recorded.at(-1)?.openTime ?? 0) - CANDLES * 4 * 3_600_000
    const candles = await store.bars.resample(SYMBOL, { from: '1m', to: CANDLES_INTERVAL, range: { from } })

    const newest = recorded.slice(-WARM_START_BARS)
    await store.sessionCache.storeBars(SYMBOL, columnsOf(newest))
    const cached = await store.sessionCache.getBars(SYMBOL, { limit: WARM_START_BARS })

    for (const { sharpe, ...skill } of SKILLS) {
      await store.skills.save(skill)
      await store.skills.recordPerformance(skill.name, { sharpe })
    }
    const found = await store.skills.search(SEARCH, { minSharpe: 1 })

    const model = modelOf(seed)
    const retrained = Buffer.from(model)
    modelOf(seed + 1).copy(retrained, MODEL_BYTES / 2, 0, RETRAINED_BYTES)
    await store.artifacts.put('price-model', model, { metadata: { features: 'closes' }, tags: ['production'] })
    const { newBytes } = await store.artifacts.put('price-model', retrained, {
      parents: [{ name: 'price-model', version: 1 }],
    })
    const restored = await store.artifacts.get('price-model', 'production').bytes()

    return {
      bars: recorded.length,
      barsPerSecond: recorded.length / seconds,
      bytesPerBar: (info?.bytes ?? Number.NaN) / recorded.length,
      candlesInterval: CANDLES_INTERVAL,
      candles,
      search: SEARCH,
      found,
      modelBytes: MODEL_BYTES,
      newModelBytes: newBytes,
      differences: [
        ...differencesOf('bars', written, minutes),
        ...differencesOf('bars of days', daysOf(recorded), days),
        ...differencesOf('bars of the session cache', columnsOf(newest), cached),
        ...(found[0]?.name === BEST_SKILL ? [] : ['the search finds another skill first']),
        ...(restored.equals(model) ? [] : ['the model came back changed']),
      ],
      secrets: [...SKILLS.map(({ content }) => content.split('\n')[0] as string), MODEL_HEAD],
    }
  } finally {
    await store.close()
  }
}

const COLUMNS = ['open', 'high', 'low', 'close', 'volume'] as const
type Columns = Readonly<Record<'ts' | (typeof COLUMNS)[number], Float64Array>>

function columnsOf(bars: readonly Bar[]): Columns {
  const column = (name: (typeof COLUMNS)[number]) => Float64Array.from(bars, (bar) => Number(bar[name]))
  return {
    ts: Float64Array.from(bars, ({ openTime }) => openTime),
    open: column('open'),
    high: column('high'),
    low: column('low'),
    close: column('close'),
    volume: column('volume'),
  }
}

/** Reckoned anew, bar by bar. */
function daysOf(bars: readonly Bar[]): Omit<Columns, 'volume'> {
  const days = new Map<number, { open: number; high: number; low: number; close: number }>()
  for (const bar of bars) {
    const day = bar.openTime - (bar.openTime % DAY_MS)
    const [open, high, low, close] = [bar.open, bar.high, bar.low, bar.close].map(Number) as [
      number,
      number,
      number,
      number,
    ]
    const before = days.get(day)
    if (before === undefined) days.set(day, { open, high, low, close })
    else Object.assign(before, { high: Math.max(before.high, high), low: Math.min(before.low, low), close })
  }
  const all = [...days]
  return {
    ts: Float64Array.from(all, ([day]) => day),
    open: Float64Array.from(all, ([, { open }]) => open),
    high: Float64Array.from(all, ([, { high }]) => high),
    low: Float64Array.from(all, ([, { low }]) => low),
    close: Float64Array.from(all, ([, { close }]) => close),
  }
}

/** Bit for bit. */
function differencesOf(what: string, written: Partial<Columns>, read: Columns): string[] {
  return Object.entries(written)
    .filter(
      ([name, values]) => !Buffer.from(values.buffer).equals(Buffer.from(read[name as keyof Columns].slice().buffer)),
    )
    .map(([name]) => `${what}: ${name} came back changed`)
}

/** A head in plain words, then what can't be compressed; the same for a seed. */
function modelOf(seed: number): Buffer {
  const bytes = Buffer.alloc(MODEL_BYTES)
  for (let at = 0; at < MODEL_BYTES; at += 32) {
    createHash('sha256').update(`model ${seed} ${at}`).digest().copy(bytes, at)
  }
  bytes.write(MODEL_HEAD)
  return bytes
}
