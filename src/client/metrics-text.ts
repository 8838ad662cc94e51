/** Prometheus' text exposition format 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/). */
import { LATENCY_BOUNDS_MS, type LatencyCounts } from '../protocol/latency-histogram.ts'

export const METRICS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

export type MetricLabels = Readonly<Record<string, string>>

export interface MetricSample {
  readonly labels?: MetricLabels
  readonly value: number
}

export interface HistogramSample {
  readonly labels?: MetricLabels
  readonly counts: LatencyCounts
}

export type MetricFamily = { readonly name: string; readonly help: string } & (
  | { readonly type: 'counter' | 'gauge'; readonly samples: readonly MetricSample[] }
  | { readonly type: 'histogram'; readonly samples: readonly HistogramSample[] }
)

/** Families without a sample are left out. */
export function metricsText(families: readonly MetricFamily[]): string {
  const lines: string[] = []
  for (const family of families) {
    if (family.samples.length === 0) continue
    lines.push(`# HELP ${family.name} ${escapeHelp(family.help)}`, `# TYPE ${family.name} ${family.type}`)
    if (family.type === 'histogram') for (const sample of family.samples) lines.push(...buckets(family.name, sample))
    else for (const { labels, value } of family.samples) lines.push(line(family.name, labels, value))
  }
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`
}

/** Each bucket holds all that took at most its bound, so the counts add up from one to the next. */
function buckets(name: string, { labels, counts: { counts, sumMs } }: HistogramSample): string[] {
  const lines: string[] = []
  let total = 0
  for (const [index, count] of counts.entries()) {
    total += count
    const boundMs = LATENCY_BOUNDS_MS[index]
    const le = boundMs === undefined ? '+Inf' : String(boundMs / 1_000)
    lines.push(line(`${name}_bucket`, { ...labels, le }, total))
  }
  lines.push(line(`${name}_sum`, labels, sumMs / 1_000), line(`${name}_count`, labels, total))
  return lines
}

function line(name: string, labels: MetricLabels = {}, value: number): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escapeLabel(text)}"`)
  return `${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${value}`
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
}

function escapeLabel(text: string): string {
  return escapeHelp(text).replaceAll('"', '\\"')
}
