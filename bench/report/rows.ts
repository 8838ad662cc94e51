/** The rows of the report: which figure each shows, and the budget of the design where there is one. */
import type { ContenderName } from '../contenders/contender.ts'
import type { Disk } from '../job.ts'
import { WORKLOADS, type WorkloadName } from '../workloads/workload.ts'
import type { Samples } from './medians.ts'
import type { Unit } from './units.ts'

export interface Row {
  readonly title: string
  readonly workload: WorkloadName
  readonly metric: string
  readonly unit: Unit
  readonly betterIs: 'lower' | 'higher'
  readonly budget?: Budget
  /** Takes off what the idle contender shows for the same figure. */
  readonly lessIdle?: boolean
}

export interface Budget {
  readonly text: string
  /** The bound, which may depend on what others reached in the same run. */
  readonly bound: (others: (contender: ContenderName) => number | undefined) => number | undefined
}

const MICROS: Unit = 'µs'

function fixed(text: string, bound: number): Budget {
  return { text, bound: () => bound }
}

export const ROWS: readonly Row[] = [
  {
    title: 'main thread busy per durable put, pipelined',
    workload: 'pipelined',
    metric: 'busyMicrosPerPut',
    unit: MICROS,
    betterIs: 'lower',
    lessIdle: true,
    budget: fixed('≤ 3 µs', 3),
  },
  {
    title: '  the same at a steady 1,000/s',
    workload: 'steady',
    metric: 'busyMicrosPerPut',
    unit: MICROS,
    betterIs: 'lower',
    lessIdle: true,
    budget: fixed('≤ 30 µs', 30),
  },
  {
    title: 'puts issued at once until all durable',
    workload: 'burst',
    metric: 'putsPerSecond',
    unit: '/s',
    betterIs: 'higher',
    budget: fixed('≥ 120,000/s', 120_000),
  },
  {
    title: 'one awaited durable put, p50',
    workload: 'awaited',
    metric: 'p50Micros',
    unit: MICROS,
    betterIs: 'lower',
    budget: {
      text: '≤ 1.5 × driver',
      bound(others) {
        const driver = others('driver')
        return driver === undefined ? undefined : driver * 1.5
      },
    },
  },
  { title: '  p99', workload: 'awaited', metric: 'p99Micros', unit: MICROS, betterIs: 'lower' },
  {
    title: 'hot get',
    workload: 'hot-get',
    metric: 'nanosPerGet',
    unit: 'ns',
    betterIs: 'lower',
    budget: fixed('≤ 300 ns', 300),
  },
  {
    title: 'mixed load: ack p99',
    workload: 'mixed',
    metric: 'ackP99Ms',
    unit: 'ms',
    betterIs: 'lower',
    budget: fixed('≤ 5 ms', 5),
  },
  { title: '  ack p50', workload: 'mixed', metric: 'ackP50Ms', unit: 'ms', betterIs: 'lower' },
  { title: '  ack max', workload: 'mixed', metric: 'ackMaxMs', unit: 'ms', betterIs: 'lower' },
  {
    title: '  ack p99 during load and aggregate only',
    workload: 'mixed',
    metric: 'heavyAckP99Ms',
    unit: 'ms',
    betterIs: 'lower',
  },
  {
    title: '  longest event-loop gap',
    workload: 'mixed',
    metric: 'longestGapMs',
    unit: 'ms',
    betterIs: 'lower',
    budget: {
      text: '≤ idle + 2 ms',
      bound(others) {
        const idle = others('idle')
        return idle === undefined ? undefined : idle + 2
      },
    },
  },
  { title: '  stalled in all (gaps over 5 ms)', workload: 'mixed', metric: 'stalledMs', unit: 'ms', betterIs: 'lower' },
  { title: '  bars loaded after', workload: 'mixed', metric: 'loadMs', unit: 'ms', betterIs: 'lower' },
  { title: '  aggregate answered after', workload: 'mixed', metric: 'aggregateMs', unit: 'ms', betterIs: 'lower' },
  {
    title: 'bulk load of 100,000 bars, durable',
    workload: 'bulk-load',
    metric: 'rowsPerSecond',
    unit: '/s',
    betterIs: 'higher',
    budget: fixed('≥ 400,000/s', 400_000),
  },
  {
    title: '  main thread busy per bar',
    workload: 'bulk-load',
    metric: 'busyMicrosPerRow',
    unit: MICROS,
    betterIs: 'lower',
  },
  {
    title: 'ack p99 in a big store, against 10,000 rows',
    workload: 'store-size',
    metric: 'p99Ratio',
    unit: '×',
    betterIs: 'lower',
    budget: fixed('≤ 1.2 ×', 1.2),
  },
  { title: '  p99 in the big store', workload: 'store-size', metric: 'bigP99Micros', unit: MICROS, betterIs: 'lower' },
  { title: '  p50 in the big store', workload: 'store-size', metric: 'bigP50Micros', unit: MICROS, betterIs: 'lower' },
  {
    title: 'open a 200 MB store, argon2 aside',
    workload: 'open',
    metric: 'openMs',
    unit: 'ms',
    betterIs: 'lower',
    budget: fixed('≤ 100 ms', 100),
  },
  { title: '  with argon2', workload: 'open', metric: 'withArgon2Ms', unit: 'ms', betterIs: 'lower' },
  { title: '  size of that store', workload: 'open', metric: 'storeBytes', unit: 'MB', betterIs: 'lower' },
  {
    title: 'bytes written per byte of durable put, pipelined',
    workload: 'bytes',
    metric: 'amplificationNew',
    unit: '×',
    betterIs: 'lower',
    budget: fixed('≤ 2 ×', 2),
  },
  { title: '  by opening, once', workload: 'bytes', metric: 'openingBytes', unit: 'MB', betterIs: 'lower' },
  {
    title: '  by the checkpoint at closing',
    workload: 'bytes',
    metric: 'checkpointNew',
    unit: '×',
    betterIs: 'lower',
  },
  {
    title: '  updates all over the table instead',
    workload: 'bytes',
    metric: 'amplificationScattered',
    unit: '×',
    betterIs: 'lower',
  },
  {
    title: 'memory for 10,000 hot documents, against JSON',
    workload: 'memory',
    metric: 'usedRatio',
    unit: '×',
    betterIs: 'lower',
    budget: fixed('≤ 2 ×', 2),
  },
  { title: '  as opened, before any use', workload: 'memory', metric: 'openedRatio', unit: '×', betterIs: 'lower' },
  { title: '  (a plain Map of the documents)', workload: 'memory', metric: 'mapRatio', unit: '×', betterIs: 'lower' },
  {
    title: 'hot backup (bs3mc: VACUUM INTO)',
    workload: 'backup',
    metric: 'backupMegabytesPerSecond',
    unit: 'MB/s',
    betterIs: 'higher',
  },
  {
    title: '  cp and sync of the same file',
    workload: 'backup',
    metric: 'copyMegabytesPerSecond',
    unit: 'MB/s',
    betterIs: 'higher',
  },
  { title: '  restore', workload: 'backup', metric: 'restoreMegabytesPerSecond', unit: 'MB/s', betterIs: 'higher' },
  ...besideOperations(),
  {
    title: 'password rotation of a big store, against a small one',
    workload: 'rotate-password',
    metric: 'ratio',
    unit: '×',
    betterIs: 'lower',
    budget: fixed('≤ 1.2 ×', 1.2),
  },
  { title: '  of the big store', workload: 'rotate-password', metric: 'bigMs', unit: 'ms', betterIs: 'lower' },
  {
    title: 'skill search over 10,000 skills, p99',
    workload: 'skill-search',
    metric: 'p99Ms',
    unit: 'ms',
    betterIs: 'lower',
    budget: fixed('≤ 10 ms', 10),
  },
  { title: '  p50', workload: 'skill-search', metric: 'p50Ms', unit: 'ms', betterIs: 'lower' },
  {
    title: '  skills saved, 250 at once',
    workload: 'skill-search',
    metric: 'savedPerSecond',
    unit: '/s',
    betterIs: 'higher',
  },
  ...series(),
  {
    title: 'artifact put, against raw AES-256-GCM',
    workload: 'artifact',
    metric: 'putRatio',
    unit: '×',
    betterIs: 'higher',
    budget: fixed('≥ 0.5 ×', 0.5),
  },
  {
    title: 'artifact get, against raw AES-256-GCM',
    workload: 'artifact',
    metric: 'getRatio',
    unit: '×',
    betterIs: 'higher',
    budget: fixed('≥ 0.5 ×', 0.5),
  },
  { title: '  put', workload: 'artifact', metric: 'putMegabytesPerSecond', unit: 'MB/s', betterIs: 'higher' },
  { title: '  get', workload: 'artifact', metric: 'getMegabytesPerSecond', unit: 'MB/s', betterIs: 'higher' },
  {
    title: '  raw AES-256-GCM',
    workload: 'artifact',
    metric: 'rawMegabytesPerSecond',
    unit: 'MB/s',
    betterIs: 'higher',
  },
  {
    title: '  a plain write with a sync at its end',
    workload: 'artifact',
    metric: 'writeMegabytesPerSecond',
    unit: 'MB/s',
    betterIs: 'higher',
  },
]

function series(): Row[] {
  const shared = { workload: 'series' } as const
  return [
    {
      ...shared,
      title: 'series: 100,000 bars appended, durable',
      metric: 'appendedPerSecond',
      unit: '/s',
      betterIs: 'higher',
      budget: fixed('≥ 1,000,000/s', 1_000_000),
    },
    { ...shared, title: '  longest event-loop gap', metric: 'appendGapMs', unit: 'ms', betterIs: 'lower' },
    {
      ...shared,
      title: '  1 M bars as typed arrays',
      metric: 'rangePerSecond',
      unit: '/s',
      betterIs: 'higher',
      budget: fixed('≥ 10,000,000/s', 10_000_000),
    },
    { ...shared, title: '  longest event-loop gap', metric: 'rangeGapMs', unit: 'ms', betterIs: 'lower' },
    {
      ...shared,
      title: '  1 M bars to hours',
      metric: 'resampleMs',
      unit: 'ms',
      betterIs: 'lower',
      budget: fixed('≤ 40 ms', 40),
    },
    {
      ...shared,
      title: '  last 200 bars, p50',
      metric: 'lastP50Ms',
      unit: 'ms',
      betterIs: 'lower',
      budget: fixed('≤ 0.3 ms', 0.3),
    },
    {
      ...shared,
      title: '  bytes a real bar',
      metric: 'bytesPerBar',
      unit: 'B',
      betterIs: 'lower',
      budget: fixed('≤ 12', 12),
    },
    {
      title: 'put ack p99 beside 20,000 ticks/s, against without',
      workload: 'series-feed',
      metric: 'ratio',
      unit: '×',
      betterIs: 'lower',
      budget: fixed('≤ 1.5 ×', 1.5),
    },
    { title: '  beside the feed', workload: 'series-feed', metric: 'feedP99Ms', unit: 'ms', betterIs: 'lower' },
  ]
}

function besideOperations(): Row[] {
  const shared = { workload: 'beside-operations', unit: '×', betterIs: 'lower' } as const
  const budget = fixed('≤ 1.5 ×', 1.5)
  return [
    { title: 'ack p99, calm', workload: 'beside-operations', metric: 'calmP99Ms', unit: 'ms', betterIs: 'lower' },
    { ...shared, title: '  beside a backup, against calm', metric: 'backupRatio', budget },
    { ...shared, title: '  beside archiving', metric: 'archiveRatio', budget },
    { ...shared, title: '  beside maintenance', metric: 'maintenanceRatio', budget },
    { ...shared, title: '  beside a rotation of the data key', metric: 'rotationRatio', budget },
    {
      title: '  longest event-loop gap beside that rotation',
      workload: 'beside-operations',
      metric: 'rotationGapMs',
      unit: 'ms',
      betterIs: 'lower',
    },
  ]
}

/** The figure a row shows for a contender. */
export function figureOf(samples: Samples, disk: Disk, row: Row, contender: ContenderName): number | undefined {
  const value = samples.median(disk, row.workload, contender, row.metric)
  if (value === undefined || row.lessIdle !== true || contender === 'idle') return value
  const idle = samples.median(disk, row.workload, 'idle', row.metric)
  return idle === undefined ? undefined : value - idle
}

export function boundOf(samples: Samples, disk: Disk, row: Row): number | undefined {
  return row.budget?.bound((contender) => figureOf(samples, disk, row, contender))
}

export type Verdict = 'met' | 'missed' | 'unknown'

export function verdictOf(samples: Samples, disk: Disk, row: Row): Verdict | undefined {
  if (row.budget === undefined) return undefined
  const reached = figureOf(samples, disk, row, 'holdfast')
  const bound = boundOf(samples, disk, row)
  if (reached === undefined || bound === undefined) return 'unknown'
  const isMet = row.betterIs === 'lower' ? reached <= bound : reached >= bound
  return isMet ? 'met' : 'missed'
}

export function rowsOn(disk: Disk): readonly Row[] {
  return disk === 'fast' ? ROWS : ROWS.filter((row) => WORKLOADS[row.workload].isRunOnSlowDisk === true)
}
