/**
 * The figures of a store for a monitoring system. What a process knows of a store it does not own is less: queue,
 * commits and checkpoints are those of the owner, so a read-only store leaves them out where zeros would be a lie.
 */
import type { ArchiveStatus } from '../protocol/archive.ts'
import type { FileStatus } from '../protocol/methods.ts'
import { DATABASE_FILES, type DatabaseFile } from '../schema/database-file.ts'
import type { QueueStats } from './commit-queue.ts'
import { type HistogramSample, type MetricFamily, type MetricSample, metricsText } from './metrics-text.ts'
import type { StoreStatus } from './store.ts'

export interface MetricsSource {
  readonly status: StoreStatus
  readonly isOwner: boolean
  readonly restoredKeyringCopies: number
}

export function storeMetrics(source: MetricsSource): string {
  return metricsText([...storeFamilies(source), ...(source.isOwner ? ownerFamilies(source) : [])])
}

function storeFamilies({ status, isOwner }: MetricsSource): MetricFamily[] {
  const { files, yearlyFiles, disk, lastCheck, artifacts, growth, maintenance, audit, archive, keys, lastBackupAtMs } =
    status
  return [
    gauge('holdfast_store_info', 'Always 1; its labels name the store and how it was opened.', [
      { labels: { store_id: status.storeId, mode: isOwner ? 'owner' : 'read-only' }, value: 1 },
    ]),
    gauge('holdfast_database_bytes', 'Size of a database file.', [
      ...perFile(files, (file) => file.databaseBytes),
      ...yearlyFiles.map(({ name, databaseBytes }) => ({ labels: { file: name }, value: databaseBytes })),
    ]),
    gauge(
      'holdfast_wal_bytes',
      'Size of a write-ahead log; about 8 MiB is normal.',
      perFile(files, (file) => file.walBytes),
    ),
    gauge('holdfast_disk_free_bytes', 'Bytes this user may still write on the disk of the store.', one(disk.freeBytes)),
    gauge('holdfast_disk_total_bytes', 'Size of the disk of the store.', one(disk.totalBytes)),
    gauge(
      'holdfast_database_free_bytes',
      'Free pages inside a database file.',
      perFile(files, (file) => file.freeBytes),
    ),
    gauge(
      'holdfast_collection_bytes',
      'Pages of a collection and its indexes, as of the last sample of maintenance.',
      (growth.measured?.collections ?? []).map(({ name, file, bytes }) => ({
        labels: { collection: name, file },
        value: bytes,
      })),
    ),
    gauge('holdfast_artifact_versions', 'Versions of artifacts.', one(artifacts.versions)),
    gauge('holdfast_artifact_bytes', 'Of their chunks, each counted once.', one(artifacts.chunkBytes)),
    gauge(
      'holdfast_artifact_unfinished_puts',
      'Under way, or broken off and kept to be taken up.',
      one(artifacts.unfinishedUploads),
    ),
    ...partFamilies(status),
    gauge('holdfast_growth_bytes_per_day', 'Growth of the store over 30 days at most.', known(growth.bytesPerDay)),
    gauge('holdfast_days_until_disk_full', 'At the present growth.', known(growth.daysUntilDiskFull)),
    gauge(
      'holdfast_maintenance_timestamp_seconds',
      'When maintenance last ended in this process, in Unix time.',
      maintenance.lastRun === null ? [] : one(maintenance.lastRun.atMs / 1_000),
    ),
    gauge('holdfast_key_age_seconds', 'Age of the data key and of each keyslot.', keyAges(keys)),
    gauge(
      'holdfast_backup_timestamp_seconds',
      'When the last backup that the audit trail knows of was made, in Unix time.',
      lastBackupAtMs === null ? [] : one(lastBackupAtMs / 1_000),
    ),
    ...(archive === null ? [] : archiveFamilies(archive)),
    gauge('holdfast_audit_entries', 'Entries of the audit trail.', one(audit.entries)),
    gauge(
      'holdfast_audit_waiting_notes',
      'Notes from beside the owner that it has not taken in yet.',
      one(audit.waitingNotes),
    ),
    gauge(
      'holdfast_audit_refused_notes',
      'Files in the inbox of the audit trail that are no authentic notes.',
      one(audit.refusedNotes),
    ),
    gauge('holdfast_reads_active', 'Reads at work in this process, two at most.', one(status.readsActive)),
    gauge('holdfast_reads_waiting', 'Reads that wait for their turn in this process.', one(status.readsWaiting)),
    histogram('holdfast_read_duration_seconds', 'Reads from disk by this process, with the wait for their turn.', [
      { counts: status.readLatency },
    ]),
    gauge(
      'holdfast_check_findings',
      'What the last check in this process found.',
      lastCheck === null
        ? []
        : [
            { labels: { severity: 'error' }, value: lastCheck.errors },
            { labels: { severity: 'warning' }, value: lastCheck.warnings },
          ],
    ),
    gauge(
      'holdfast_check_timestamp_seconds',
      'When the last check in this process ended, in Unix time.',
      lastCheck === null ? [] : one(lastCheck.atMs / 1_000),
    ),
  ]
}

function partFamilies({ skills, sessionCache, series }: StoreStatus): MetricFamily[] {
  return [
    gauge('holdfast_skills', 'Skills, without deleted ones.', one(skills.skills)),
    gauge('holdfast_skill_versions', 'Versions of skills.', one(skills.versions)),
    gauge(
      'holdfast_session_cache_files',
      'Files of the session cache, one a symbol and interval.',
      one(sessionCache.files),
    ),
    gauge('holdfast_session_cache_bytes', 'Size of these files.', one(sessionCache.bytes)),
    counter('holdfast_session_cache_reads_total', 'Reads of the session cache by this process.', [
      { labels: { result: 'hit' }, value: sessionCache.hits },
      { labels: { result: 'miss' }, value: sessionCache.misses },
    ]),
    counter(
      'holdfast_session_cache_dropped_tails_total',
      'Ends of its files that a crash had left half written.',
      one(sessionCache.droppedTails),
    ),
    counter(
      'holdfast_session_cache_damaged_total',
      'Reads and writes that met a damaged file.',
      one(sessionCache.damaged),
    ),
    gauge('holdfast_series', 'Series, of all kinds.', one(series.series)),
    gauge('holdfast_series_blocks', 'Blocks of encoded points.', one(series.blocks)),
    gauge('holdfast_series_points', 'Points, by where they are.', [
      { labels: { in: 'blocks' }, value: series.blockPoints },
      { labels: { in: 'rows' }, value: series.rowPoints },
    ]),
  ]
}

function keyAges({ dataKeyCreatedAtMs, slots }: StoreStatus['keys']): MetricSample[] {
  const now = Date.now()
  const sample = (key: string, kind: string, createdAtMs: number) => ({
    labels: { key, kind },
    value: (now - createdAtMs) / 1_000,
  })
  return [
    sample('data', 'data', dataKeyCreatedAtMs),
    ...slots.map(({ id, kind, createdAtMs }) => sample(id, kind, createdAtMs)),
  ]
}

function archiveFamilies({ lagMs, lagBytes, segments, lastError }: ArchiveStatus): MetricFamily[] {
  return [
    gauge(
      'holdfast_archive_lag_seconds',
      'Age of the oldest commit that the archive does not have.',
      one(lagMs / 1_000),
    ),
    gauge('holdfast_archive_lag_bytes', 'Bytes of the logs that the archive does not have.', one(lagBytes)),
    gauge('holdfast_archive_segments', 'Segments of the present generation.', one(segments)),
    gauge('holdfast_archive_failing', '1 while the archive can not be written.', one(lastError === null ? 0 : 1)),
  ]
}

function ownerFamilies({ status, restoredKeyringCopies }: MetricsSource): MetricFamily[] {
  const { files, stats } = status
  const queues: Readonly<Record<DatabaseFile, QueueStats>> = { state: stats, market: stats.market }
  const hot = Object.entries(stats.hotDocuments)
  return [
    gauge(
      'holdfast_queue_operations',
      'Operations accepted and not yet durable.',
      perFile(queues, (queue) => queue.depth),
    ),
    gauge(
      'holdfast_queue_bytes',
      'Bytes accepted and not yet durable.',
      perFile(queues, (queue) => queue.bytes),
    ),
    gauge(
      'holdfast_queue_oldest_age_seconds',
      'How long the oldest of them waits.',
      perFile(queues, (queue) => queue.oldestAgeMs / 1_000),
    ),
    counter(
      'holdfast_accepted_operations_total',
      'Operations accepted.',
      perFile(queues, (queue) => queue.acceptedOperations),
    ),
    counter(
      'holdfast_durable_operations_total',
      'Operations that have become durable.',
      perFile(queues, (queue) => queue.durableOperations),
    ),
    counter(
      'holdfast_failed_operations_total',
      'Operations that were refused after they were accepted.',
      perFile(queues, (queue) => queue.failedOperations),
    ),
    counter(
      'holdfast_batches_total',
      'Batches of operations sent to the worker.',
      perFile(queues, (queue) => queue.batches),
    ),
    gauge(
      'holdfast_batch_operations_max',
      'Operations in the largest batch so far.',
      perFile(queues, (queue) => queue.batchOperationsMax),
    ),
    histogram(
      'holdfast_ack_latency_seconds',
      'From acceptance of a write to its being durable.',
      perFileCounts(queues, (queue) => queue.latencyCounts),
    ),
    counter(
      'holdfast_commits_total',
      'Transactions committed by this worker.',
      perFile(files, (file) => file.commits),
    ),
    histogram(
      'holdfast_commit_duration_seconds',
      'From the beginning of a transaction to its fsync.',
      perFileCounts(files, (file) => file.commitLatency),
    ),
    counter(
      'holdfast_checkpoints_total',
      'Checkpoints by this worker.',
      perFile(files, (file) => file.checkpoints),
    ),
    counter(
      'holdfast_checkpoint_seconds_total',
      'Time spent in checkpoints, most of it beside the commits.',
      perFile(files, (file) => file.checkpointMs / 1_000),
    ),
    gauge(
      'holdfast_hot_documents',
      'Documents in memory.',
      hot.map(([collection, value]) => ({ labels: { collection }, value })),
    ),
    gauge('holdfast_artifact_puts_active', 'Puts of artifacts at work, two at most.', one(stats.artifacts.putsActive)),
    gauge('holdfast_artifact_puts_waiting', 'Those that wait for their turn.', one(stats.artifacts.putsWaiting)),
    counter('holdfast_worker_restarts_total', 'Workers that died and were replaced.', one(stats.workerRestarts)),
    gauge(
      'holdfast_keyring_copies_restored',
      'Copies of the keyring that this open had to write anew.',
      one(restoredKeyringCopies),
    ),
  ]
}

function gauge(name: string, help: string, samples: readonly MetricSample[]): MetricFamily {
  return { name, help, type: 'gauge', samples }
}

function counter(name: string, help: string, samples: readonly MetricSample[]): MetricFamily {
  return { name, help, type: 'counter', samples }
}

function histogram(name: string, help: string, samples: readonly HistogramSample[]): MetricFamily {
  return { name, help, type: 'histogram', samples }
}

function one(value: number): MetricSample[] {
  return [{ value }]
}

function known(value: number | null): MetricSample[] {
  return value === null ? [] : one(value)
}

function perFile<T>(files: Readonly<Record<DatabaseFile, T>>, figureOf: (file: T) => number): MetricSample[] {
  return DATABASE_FILES.map((file) => ({ labels: { file }, value: figureOf(files[file]) }))
}

function perFileCounts<T extends FileStatus | QueueStats>(
  files: Readonly<Record<DatabaseFile, T>>,
  countsOf: (file: T) => HistogramSample['counts'],
): HistogramSample[] {
  return DATABASE_FILES.map((file) => ({ labels: { file }, counts: countsOf(files[file]) }))
}
