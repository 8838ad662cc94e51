/** The run as text for the terminal and as data for the file. */
import { CONTENDERS, type ContenderName } from '../contenders/contender.ts'
import type { Disk } from '../job.ts'
import type { MachineFacts } from '../machine-facts.ts'
import type { Options } from '../options.ts'
import { SLOW_DISK_DELAY_MICROS } from '../slow-disk/build-shim.ts'
import type { Samples } from './medians.ts'
import { boundOf, figureOf, type Row, rowsOn, verdictOf } from './rows.ts'
import { formatTable } from './table.ts'
import { formatFigure, formatNumber, type Unit } from './units.ts'

export interface Run {
  readonly samples: Samples
  readonly machine: MachineFacts
  readonly options: Options
  readonly contenders: readonly ContenderName[]
  readonly disks: readonly Disk[]
}

export function formatReport(run: Run): string {
  const { samples, disks } = run
  const parts = [formatTerms(run)]
  for (const disk of disks) {
    const rows = rowsOn(disk).filter((row) => hasFigures(run, disk, row))
    if (rows.length === 0) continue
    parts.push(`${headingOf(run, disk)}\n\n${formatFigures(run, disk, rows)}`)
    if (run.contenders.includes('holdfast')) {
      parts.push(`Against Holdfast (2.0 × is twice as long, or half as much)\n\n${formatRatios(run, disk, rows)}`)
    }
  }
  const failures = samples.all.flatMap((sample) =>
    'error' in sample.result
      ? [
          `  ${sample.workload}, ${sample.contender}, ${sample.disk} disk, round ${sample.round}: ${sample.result.error}`,
        ]
      : [],
  )
  if (failures.length > 0) parts.push(`Failed\n\n${failures.join('\n')}`)
  return parts.filter((part) => part !== '').join('\n\n')
}

/** True when all budgets that were measured are met. */
export function summarizeVerdicts({ samples, disks }: Run): { met: number; missed: number } {
  const verdicts = disks.flatMap((disk) => rowsOn(disk).map((row) => verdictOf(samples, disk, row)))
  const count = (wanted: string) => verdicts.filter((verdict) => verdict === wanted).length
  return { met: count('met'), missed: count('missed') }
}

export function reportData(run: Run): unknown {
  const { samples, machine, options, disks, contenders } = run
  return {
    machine,
    options,
    contenders: Object.fromEntries(contenders.map((name) => [name, CONTENDERS[name]])),
    slowDiskDelayMicros: SLOW_DISK_DELAY_MICROS,
    rows: disks.flatMap((disk) =>
      rowsOn(disk).map((row) => ({
        disk,
        title: row.title.trim(),
        workload: row.workload,
        metric: row.metric,
        unit: row.unit === 'MB' ? 'bytes' : row.unit,
        budget: row.budget?.text ?? null,
        bound: boundOf(samples, disk, row) ?? null,
        verdict: verdictOf(samples, disk, row) ?? null,
        medians: Object.fromEntries(contenders.map((name) => [name, figureOf(samples, disk, row, name) ?? null])),
      })),
    ),
    samples: samples.all,
  }
}

function hasFigures({ samples, contenders }: Run, disk: Disk, row: Row): boolean {
  return contenders.some((name) => figureOf(samples, disk, row, name) !== undefined)
}

function headingOf({ machine, options }: Run, disk: Disk): string {
  const rounds = disk === 'fast' ? options.rounds : options.slowRounds
  const where =
    disk === 'fast'
      ? `Disk as it is (${machine.fileSystem})`
      : `Slow disk (${SLOW_DISK_DELAY_MICROS / 1000} ms more per sync)`
  return `${where}, ${rounds === 1 ? 'one round' : `medians of ${rounds} interleaved rounds`}`
}

function formatFigures(run: Run, disk: Disk, rows: readonly Row[]): string {
  const { samples, contenders } = run
  const hasHoldfast = contenders.includes('holdfast')
  const head = ['', 'budget', ...(hasHoldfast ? ['reached', '', 'its rounds'] : [])]
  const others = contenders.filter((name) => name !== 'holdfast')
  const body = rows.map((row) => [
    row.title,
    row.budget?.text ?? '',
    ...(hasHoldfast
      ? [
          formatFigure(figureOf(samples, disk, row, 'holdfast'), row.unit),
          verdictOf(samples, disk, row) ?? '',
          formatRange(samples.figures(disk, row.workload, 'holdfast', row.metric), row.unit),
        ]
      : []),
    ...others.map((name) => formatFigure(figureOf(samples, disk, row, name), row.unit)),
  ])
  return formatTable([...head, ...others.map((name) => CONTENDERS[name].label)], body)
}

/** As measured, idle not taken off. */
function formatRange(figures: readonly number[], unit: Unit): string {
  if (figures.length < 2) return ''
  const scale = unit === 'MB' ? 1e6 : 1
  return `${formatNumber(Math.min(...figures) / scale)} – ${formatNumber(Math.max(...figures) / scale)}`
}

function formatRatios(run: Run, disk: Disk, rows: readonly Row[]): string {
  const peers = run.contenders.filter((name) => name !== 'holdfast' && name !== 'idle')
  const body = rows
    .filter((row) => row.unit !== '×')
    .map((row) => {
      const own = figureOf(run.samples, disk, row, 'holdfast')
      const cells = peers.map((name) => {
        const other = figureOf(run.samples, disk, row, name)
        if (own === undefined || other === undefined) return '–'
        const ratio = row.betterIs === 'lower' ? other / own : own / other
        return Number.isFinite(ratio) && ratio > 0 ? `${formatNumber(ratio)} ×` : '–'
      })
      return [row.title, ...cells]
    })
  return formatTable(['', ...peers.map((name) => CONTENDERS[name].label)], body)
}

function formatTerms({ samples, contenders }: Run): string {
  const body = contenders.flatMap((name) => {
    const figure = (metric: string) => samples.median('slow', 'terms', name, metric)
    const shortest = figure('shortestAckMs')
    const plaintexts = figure('plaintexts')
    if (shortest === undefined || plaintexts === undefined) return []
    const isDurable = shortest >= TERMS_DELAY_MS
    return [
      [
        CONTENDERS[name].label,
        formatNumber(figure('syncsPerPut') ?? Number.NaN),
        `${formatFigure(shortest, 'ms')}${isDurable ? '' : ' NOT DURABLE'}`,
        plaintexts === 0 ? 'none' : `IN ${plaintexts} FILES`,
      ],
    ]
  })
  if (body.length === 0) return ''
  const head = ['Equal terms', 'syncs per awaited put', `shortest ack, ${TERMS_DELAY_MS} ms more per sync`, 'plaintext']
  return formatTable(head, body)
}

export const TERMS_DELAY_MS = 20
