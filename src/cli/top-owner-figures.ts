/** What only the owner of a store knows, from the metrics it serves: Prometheus' text format 0.0.4. */

const TIMEOUT_MS = 1_000
const SAMPLE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g

export interface QueueFigures {
  readonly operations: number
  readonly bytes: number
  readonly oldestAgeMs: number
}

export interface OwnerFigures {
  readonly queues: { readonly state: QueueFigures; readonly market: QueueFigures }
  readonly durableOperations: number
  readonly failedOperations: number
  readonly commits: number
  readonly readsActive: number
  readonly readsWaiting: number
  readonly workerRestarts: number
  /** Null without continuous archiving. */
  readonly archive: { readonly lagMs: number; readonly lagBytes: number; readonly isFailing: boolean } | null
  /** Null before the first check of this owner. */
  readonly lastCheck: { readonly atMs: number; readonly errors: number; readonly warnings: number } | null
}

/** `problem` says in words why there are no figures. */
export type OwnerFiguresResult =
  | { readonly figures: OwnerFigures; readonly problem: null }
  | { readonly figures: null; readonly problem: string }

type Find = (name: string, labels?: Readonly<Record<string, string>>) => number | undefined

export async function ownerFigures(url: URL, storeId: string): Promise<OwnerFiguresResult> {
  let text: string
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS), redirect: 'error' })
    if (!response.ok) return { figures: null, problem: `${url.href} answers ${response.status}` }
    text = await response.text()
  } catch {
    return { figures: null, problem: `${url.href} does not answer` }
  }
  const find = samplesOf(text)
  if (find('holdfast_store_info', { store_id: storeId, mode: 'owner' }) === undefined) {
    return { figures: null, problem: `${url.href} is not of the owner of this store` }
  }
  return { figures: figuresOf(find), problem: null }
}

function figuresOf(find: Find): OwnerFigures {
  const queue = (file: string): QueueFigures => ({
    operations: find('holdfast_queue_operations', { file }) ?? 0,
    bytes: find('holdfast_queue_bytes', { file }) ?? 0,
    oldestAgeMs: (find('holdfast_queue_oldest_age_seconds', { file }) ?? 0) * 1_000,
  })
  const ofBoth = (name: string) => (find(name, { file: 'state' }) ?? 0) + (find(name, { file: 'market' }) ?? 0)
  const lagSeconds = find('holdfast_archive_lag_seconds')
  const checkedAtSeconds = find('holdfast_check_timestamp_seconds')
  return {
    queues: { state: queue('state'), market: queue('market') },
    durableOperations: ofBoth('holdfast_durable_operations_total'),
    failedOperations: ofBoth('holdfast_failed_operations_total'),
    commits: ofBoth('holdfast_commits_total'),
    readsActive: find('holdfast_reads_active') ?? 0,
    readsWaiting: find('holdfast_reads_waiting') ?? 0,
    workerRestarts: find('holdfast_worker_restarts_total') ?? 0,
    archive:
      lagSeconds === undefined
        ? null
        : {
            lagMs: lagSeconds * 1_000,
            lagBytes: find('holdfast_archive_lag_bytes') ?? 0,
            isFailing: find('holdfast_archive_failing') === 1,
          },
    lastCheck:
      checkedAtSeconds === undefined
        ? null
        : {
            atMs: checkedAtSeconds * 1_000,
            errors: find('holdfast_check_findings', { severity: 'error' }) ?? 0,
            warnings: find('holdfast_check_findings', { severity: 'warning' }) ?? 0,
          },
  }
}

/** The first sample of a name that has these labels. */
function samplesOf(text: string): Find {
  const samples = new Map<string, { labels: Record<string, string>; value: number }[]>()
  for (const line of text.split('\n')) {
    const [, name, labelText = '', value] = SAMPLE.exec(line) ?? []
    if (name === undefined) continue
    const labels = Object.fromEntries([...labelText.matchAll(LABEL)].map(([, label, quoted]) => [label, quoted]))
    const known = samples.get(name) ?? []
    known.push({ labels, value: Number(value) })
    samples.set(name, known)
  }
  return (name, wanted = {}) =>
    samples.get(name)?.find(({ labels }) => Object.entries(wanted).every(([label, text]) => labels[label] === text))
      ?.value
}
