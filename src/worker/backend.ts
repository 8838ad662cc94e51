/** What the store worker asks of a database: the seam behind which another backend can stand. */
import type { ArtifactMethods } from '../protocol/artifacts.ts'
import type { BookMethods } from '../protocol/books.ts'
import type { StoreWorkerMethods } from '../protocol/methods.ts'
import type { SeriesMethods } from '../protocol/series.ts'
import type { SeriesRuleMethods } from '../protocol/series-rules.ts'
import type { SessionCacheMethods } from '../protocol/session-cache.ts'
import type { SkillMethods } from '../protocol/skills.ts'

/** What is asked about backups in a place, without a store. */
export type TargetMethod = 'backupProgress' | 'listBackups' | 'verifyBackup' | 'pruneBackups' | 'restore'

/** What a worker does with an archive, without a store. */
export type ArchiveMethodName = 'follow' | 'followed' | 'unfollow' | 'restoreMoment'

/** What a backend has rooms of their own for: the methods of each are answered there. */
export interface BackendParts {
  readonly series: SeriesMethods
  readonly books: BookMethods
  readonly seriesRules: SeriesRuleMethods
  readonly skills: SkillMethods
  readonly artifacts: ArtifactMethods
  readonly sessionCache: SessionCacheMethods
}

type PartMethodName = { [P in keyof BackendParts]: keyof BackendParts[P] }[keyof BackendParts]

/**
 * A backend answers every method of the protocol but `open`, which makes it, `keys`, which needs none, `halt`, which is
 * the thread's, and those above.
 */
export type Backend = Omit<
  StoreWorkerMethods,
  'open' | 'keys' | 'halt' | TargetMethod | ArchiveMethodName | PartMethodName
> &
  BackendParts
