/**
 * Holdfast: an encrypted-at-rest state store for Node trading processes.
 *
 * @packageDocumentation
 */
export { z } from 'zod'
export type { ArchiveOptions } from './client/archive-options.ts'
export type { ArchiveTradesOptions } from './client/archive-trades.ts'
export type { ArtifactStream } from './client/artifacts/artifact-stream.ts'
export type {
  ArtifactSource,
  ArtifactStats,
  ArtifactVerification,
  CollectGarbageOptions,
  ListArtifactsOptions,
  PutArtifactOptions,
  StoreArtifacts,
  VerifyArtifactsOptions,
} from './client/artifacts/store-artifacts.ts'
export type { AppendedAuditEntry } from './client/audit/audit-entry-input.ts'
export type { AuditListener, AuditQuery, StoreAudit, TransactionAudit } from './client/audit/store-audit.ts'
export {
  type BackupOptions,
  type BackupProgressListener,
  listBackups,
  pruneBackups,
  type RestoreStoreOptions,
  restoreStore,
  type VerifyBackupOptions,
  verifyBackup,
} from './client/backup.ts'
export type {
  ColdCollection,
  Collection,
  CollectionWrites,
  Entry,
  HotCollection,
  KeyValueCollection,
  PartlyHotCollection,
  ReadOptions,
  RevealOptions,
  SealedCollection,
  WriteOptions,
} from './client/collection.ts'
export type { ChangeEvent, ChangeListener } from './client/collection-state.ts'
export type { LatencySummary, QueueLimits, QueueStats } from './client/commit-queue.ts'
export { type MetricsServer, type ServeMetricsOptions, serveMetrics } from './client/metrics-server.ts'
export { type OpenStoreOptions, openStore } from './client/open-store.ts'
export { readPasswordFile } from './client/password-source.ts'
export { fillId } from './client/reconcile/deterministic-id.ts'
export {
  type Answer,
  type CreateOrderAnswer,
  type CreateOrderRequest,
  type Exchange,
  type ExchangeFill,
  type ExchangeOrder,
  type ExchangeOrderStatus,
  type ExchangePosition,
  type FillQuery,
  found,
  type MarketRules,
  notFound,
  type OrderReference,
} from './client/reconcile/exchange.ts'
export type { ReconcilePolicy } from './client/reconcile/policy.ts'
export { type ReconcileOptions, reconcile } from './client/reconcile/reconcile.ts'
export type { ReconcileCounts, ReconcileReport } from './client/reconcile/reconcile-report.ts'
export { type RestoreArchiveOptions, restoreArchive } from './client/restore-archive.ts'
export type { AppendResult, SeriesQueueStats } from './client/series/append-queue.ts'
export type { Bar, BarColumns, BarInput, BarSeries, Bars, BarTuple, ResampledBars } from './client/series/bars.ts'
export type { BookQueueStats } from './client/series/books/book-append-queue.ts'
export {
  type BinanceDepthSnapshot,
  type BinanceDepthUpdate,
  type BybitBookMessage,
  binanceDelta,
  binanceSnapshot,
  bybitBook,
  type CcxtOrderBook,
  ccxtSnapshot,
  type OkxBookMessage,
  okxBook,
} from './client/series/books/exchange-books.ts'
export { type ReadBooksOptions, readBooks } from './client/series/books/read-books.ts'
export type { BookAtOptions, BookScanOptions, BookSpan, StoreBooks } from './client/series/books/store-books.ts'
export { type BookWriteFormat, type WriteBooksOptions, writeBooks } from './client/series/books/write-books.ts'
export { type WriteArrowOptions, writeArrow } from './client/series/formats/arrow-series.ts'
export type { BarsFormat, QuotesFormat, TicksFormat, ValuesFormat } from './client/series/formats/layout.ts'
export {
  type ReadSeriesOptions,
  readBars,
  readQuotes,
  readTicks,
  readValues,
} from './client/series/formats/read-series.ts'
export type { SeriesColumns, SeriesSource } from './client/series/formats/series-columns.ts'
export type { RandomAccessFile, SeriesFile } from './client/series/formats/series-file.ts'
export type { TimeUnit } from './client/series/formats/time-stamps.ts'
export { type WriteParquetOptions, writeParquet } from './client/series/formats/write-parquet.ts'
export { type WriteFormat, type WriteSeriesOptions, writeSeries } from './client/series/formats/write-series.ts'
export type { Quote, QuoteColumns, QuoteSeries, Quotes } from './client/series/quotes.ts'
export type { ApplySeriesRulesOptions, StoreSeriesRules } from './client/series/rules/store-series-rules.ts'
export type {
  AggregateOptions,
  Moment,
  RangeOptions,
  ResampleOptions,
  ScanOptions,
  SpanOptions,
} from './client/series/series-access.ts'
export type { ResultMethods } from './client/series/series-columns.ts'
export type { TickWriter, TickWriterOptions, TickWriterStats } from './client/series/tick-writer.ts'
export type { Tick, TickColumns, TickOptions, TickSeries, TickSide, Ticks } from './client/series/ticks.ts'
export type {
  SeriesOfStore,
  ValueColumns,
  ValueRow,
  ValueSeries,
  ValueSeriesColumns,
} from './client/series/value-series.ts'
export type {
  CacheIntervalOptions,
  GetBarsOptions,
  SessionCacheStats,
  StoreSessionCache,
} from './client/session-cache/store-session-cache.ts'
export type {
  PerformanceHistoryOptions,
  PerformanceRecord,
  Skill,
  SkillDependency,
  SkillFilterOptions,
  SkillInput,
  SkillListOptions,
  SkillMatch,
  SkillPerformance,
  SkillSearchOptions,
  SkillVersion,
  StoreSkills,
} from './client/skills/store-skills.ts'
export { type FollowArchiveOptions, followArchive, type Standby } from './client/standby.ts'
export type {
  CheckOptions,
  MaintainOptions,
  RepairOptions,
  SqlOptions,
  SqlParameter,
  Store,
  StoreBase,
  StoreEvents,
  StoreStats,
  StoreStatus,
} from './client/store.ts'
export {
  type AddKeyOptions,
  type DataKeyRotation,
  type KeyringOperations,
  type OpenKeyringOptions,
  openKeyring,
  type RotateDataKeyOptions,
  type RotatePasswordOptions,
  type StoreKeys,
} from './client/store-keys.ts'
export type { SyncCollection, SyncScope } from './client/sync-store.ts'
export type { TransactionCollection, TransactionScope } from './client/transaction.ts'
export type { UnlockCommand } from './client/unlock-command.ts'
export type { ArchiveStatus, RestoredMoment, StandbyStatus } from './protocol/archive.ts'
export type {
  ArtifactDamage,
  ArtifactDeletion,
  ArtifactGarbage,
  ArtifactLineage,
  ArtifactReference,
  ArtifactRelative,
  ArtifactsStatus,
  ArtifactVersion,
  StoredArtifact,
} from './protocol/artifacts.ts'
export type {
  AuditEntry,
  AuditFilter,
  AuditProblem,
  AuditProblemKind,
  AuditStatus,
  AuditVerification,
} from './protocol/audit.ts'
export type {
  BackupListing,
  BackupProgress,
  BackupResult,
  BackupSequences,
  BackupSummary,
  BackupVerification,
  PruneResult,
  RestoreResult,
  VerifyBackupResult,
} from './protocol/backup.ts'
export type { BookCheckpointResult, OrderBook } from './protocol/books.ts'
export {
  type BlobCheck,
  type CheckFinding,
  FINDING_CODES,
  type FindingCode,
  type RepairResult,
} from './protocol/check-finding.ts'
export type { KeyringInfo, KeyslotInfo, KeyslotKind, RawDatabaseKey, RotationProgress } from './protocol/keys.ts'
export type { LatencyCounts } from './protocol/latency-histogram.ts'
export type {
  CollectionSize,
  FileMaintenance,
  Growth,
  MaintenanceResult,
  MaintenanceSchedule,
  MaintenanceStatus,
  StoreSizes,
} from './protocol/maintenance.ts'
export type {
  DiskSpace,
  Durability,
  FileStatus,
  KdfCostOptions,
  LastCheck,
  SqlRow,
  SqlTable,
  SqlValue,
  WideIntegers,
  WorkerStatus,
  YearlyFileStatus,
} from './protocol/methods.ts'
export type {
  ColumnAggregate,
  ColumnType,
  CompactionResult,
  SeriesAggregate,
  SeriesColumn,
  SeriesGap,
  SeriesIdentity,
  SeriesInfo,
  SeriesKey,
  SeriesKind,
  SeriesShape,
} from './protocol/series.ts'
export type { NamedSeriesRule, SeriesRuleResult } from './protocol/series-rules.ts'
export type { CachedSymbol, SessionCacheSettings } from './protocol/session-cache.ts'
export type {
  DependentSkill,
  MetricSummary,
  NeededSkill,
  PerformanceSummary,
  SavedSkill,
  SkillSummary,
} from './protocol/skills.ts'
export {
  isStoreError,
  STORE_ERROR_CODES,
  StoreError,
  type StoreErrorCode,
  type StoreErrorDetails,
} from './protocol/store-error.ts'
export type { ArchiveCounts, ArchivedYear, ArchiveTradesResult, KeptReason } from './protocol/trade-archive.ts'
export { AUDIT_EVENTS, type AuditEntryInput, type BuiltInAuditEvent } from './schema/audit-entry.ts'
export type { BookEvent, BookEventInput, BookLevel } from './schema/book-event.ts'
export {
  OPEN_ORDER_STATES,
  TERMINAL_ORDER_STATES,
} from './schema/built-in/trading.ts'
export { type BuiltInCollections, builtInCollections } from './schema/built-in-collections.ts'
export type { DatabaseFile } from './schema/database-file.ts'
export { type Decimal, decimal, timestampMs } from './schema/decimal.ts'
export {
  type AnyCollection,
  type CollectionDefinition,
  type CollectionOptions,
  type CollectionSpec,
  type DocumentOf,
  defineCollection,
  type HotWhile,
  type InputOf,
} from './schema/define-collection.ts'
export type { DeepReadonly, JsonValue } from './schema/json.ts'
export type { Condition, Query, Where } from './schema/query.ts'
export type { RetentionRule } from './schema/retention-rule.ts'
export type { SeriesRule } from './schema/series-rule.ts'
