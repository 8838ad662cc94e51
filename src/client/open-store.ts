/**
 * Opens a store: starts the worker, lets it open the files, and fills the mirrors. Nothing is accepted before all of
 * it has succeeded.
 */
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import type { MaintenanceSchedule } from '../protocol/maintenance.ts'
import type { Durability, KdfCostOptions } from '../protocol/methods.ts'
import { firstSequence } from '../protocol/sequence.ts'
import { DEFAULT_SESSION_CACHE, type SessionCacheSettings } from '../protocol/session-cache.ts'
import { StoreError } from '../protocol/store-error.ts'
import { builtInCollections } from '../schema/built-in-collections.ts'
import type { AnyCollection, CollectionSpec } from '../schema/define-collection.ts'
import { type ArchiveOptions, archiveOptions, archiveSettings } from './archive-options.ts'
import { CollectionState } from './collection-state.ts'
import { DEFAULT_QUEUE_LIMITS, type QueueLimits } from './commit-queue.ts'
import { freezeParsed } from './document.ts'
import type { Document } from './document-query.ts'
import { forgetPasswordVariable, readPassword } from './password-source.ts'
import { HoldfastStore, type Store } from './store.ts'
import { StoreCore } from './store-core.ts'
import { runUnlockCommand, type UnlockCommand } from './unlock-command.ts'
import { builtInMigrationsUrl } from './worker-entry-url.ts'
import { WorkerSupervisor } from './worker-supervisor.ts'

/** What `openStore` takes. */
export interface OpenStoreOptions<C extends Readonly<Record<string, AnyCollection>> = Record<never, never>> {
  /** The store directory; created with mode 0700 when missing. */
  readonly dir: string
  /** Default: `HOLDFAST_PASSWORD`, else the content of the file named by `HOLDFAST_PASSWORD_FILE`. */
  readonly password?: string | Uint8Array
  /** Instead of a password: a program that prints the key, such as a KMS tool. Never run by a shell unless you ask for one. */
  readonly unlockCommand?: UnlockCommand
  /** Your own collections, by the property they get on the store. */
  readonly collections?: C
  /** A folder of your own numbered SQL files, applied after the built-in ones. */
  readonly migrations?: string
  /** `full` (default): fsync with every commit. `normal`: fsync at checkpoints only; a power cut may lose the last commits. */
  readonly durability?: Durability
  /** `false`: reject with `STORE_NOT_FOUND` instead of creating a store. */
  readonly create?: boolean
  /** Look beside a running owner: no lock is taken, nothing can be written, hot collections show the moment of opening. */
  readonly readOnly?: boolean
  /** `refuse`: reject with `MIGRATION_PENDING` instead of migrating. `rehearse`: the same, after a trial that is rolled back. */
  readonly migrate?: 'apply' | 'refuse' | 'rehearse'
  /** Close on SIGTERM and SIGINT, then let the signal take its course. */
  readonly closeOnSignals?: boolean
  /**
   * Upkeep while nothing else goes on: free pages given back, statistics, checkpoint, a sample of the sizes. Default: every
   * hour, after 2 seconds without a commit. `false`: only when `maintain` is called.
   */
  readonly maintenance?: false | Partial<MaintenanceSchedule>
  /** Bounds of the commit queues. */
  readonly queue?: Partial<QueueLimits>
  /** Bounds of the session cache; default: 12,000 bars, 45 days and 8 MiB of each symbol and interval. */
  readonly sessionCache?: Partial<SessionCacheSettings>
  /** Continuous archiving: restore to any moment, and standbys. */
  readonly archive?: ArchiveOptions
  /** Cost of argon2id for a new store; default 64 MiB, 3 passes, 4 lanes. */
  readonly kdf?: KdfCostOptions
}

const limit = z.int().positive()
/** What a timer takes. */
const intervalMs = limit.max(2_147_483_647)
const optionsSchema = z.strictObject({
  dir: z.string().min(1),
  password: z.union([z.string(), z.instanceof(Uint8Array)]).optional(),
  unlockCommand: z
    .union([z.string().min(1), z.array(z.string()).min(1), z.strictObject({ shell: z.string().min(1) })])
    .optional(),
  collections: z.record(z.string(), z.custom<AnyCollection>(isDefinition, 'not made by defineCollection')).optional(),
  migrations: z.string().min(1).optional(),
  durability: z.enum(['full', 'normal']).optional(),
  create: z.boolean().optional(),
  readOnly: z.boolean().optional(),
  migrate: z.enum(['apply', 'refuse', 'rehearse']).optional(),
  closeOnSignals: z.boolean().optional(),
  maintenance: z
    .union([z.literal(false), z.strictObject({ everyMs: intervalMs, idleMs: intervalMs }).partial()])
    .optional(),
  queue: z
    .strictObject({
      maxQueueOperations: limit,
      maxQueueBytes: limit,
      maxBatchOperations: limit,
      maxBatchBytes: limit,
    })
    .partial()
    .optional(),
  sessionCache: z
    .strictObject({
      compactEveryWrites: limit.max(100_000),
      maxAgeMs: limit,
      maxRows: limit.max(10_000_000),
      maxBytes: limit.min(4_096).max(1_073_741_824),
      syncEveryMs: z.int().nonnegative().max(60_000),
    })
    .partial()
    .optional(),
  archive: archiveOptions.optional(),
  kdf: z.strictObject({ memoryKiB: limit, iterations: limit, parallelism: limit }).optional(),
})

function isDefinition(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'spec' in value && 'schema' in value
}

/**
 * Opens the store in `dir`, creating it when missing. Resolves when hot collections are in memory and the store is
 * ready for writes. The password is taken out of `process.env` then.
 *
 * @throws StoreError `INVALID_ARGUMENT`, `PASSWORD_MISSING`, `PASSWORD_TOO_WEAK` (new stores; 20 characters advised),
 * `WRONG_PASSWORD`, `STORE_NOT_FOUND`, `STORE_LOCKED`, `NOT_A_STORE`, `STORE_CORRUPT`, `KEYRING_CORRUPT`,
 * `STORE_FROM_FUTURE`, `MIGRATION_FAILED`, `MIGRATION_CHANGED`, `MIGRATION_INVALID`, `MIGRATION_PENDING`,
 * `INVALID_COLLECTION`, `DISK_FULL`, `PERMISSION_DENIED`, `IO_ERROR`
 *
 * @example
 * const store = await openStore({ dir: './state' })
 * await store.orders.insert({ id: 'o-1', symbol: 'BTC/USDT', side: 'buy', state: 'intent', quantity: '0.1' })
 */
export async function openStore<const C extends Readonly<Record<string, AnyCollection>> = Record<never, never>>(
  options: OpenStoreOptions<C>,
): Promise<Store<C>> {
  const checked = checkOptions(options)
  const states = collectionStates(checked.collections ?? {})
  const password = await passwordFor(checked)
  let store: HoldfastStore | undefined
  let core: StoreCore | undefined
  const { supervisor, opened } = await WorkerSupervisor.start(
    {
      dir: resolve(checked.dir),
      create: checked.create ?? true,
      readOnly: checked.readOnly ?? false,
      durability: checked.durability ?? 'full',
      kdfCost: checked.kdf ?? null,
      builtInCollections: Object.values(builtInCollections).map((definition) => definition.spec),
      collections: Object.values(checked.collections ?? {}).map((definition) => definition.spec),
      migrationsDir: fileURLToPath(builtInMigrationsUrl),
      userMigrationsDir: checked.migrations === undefined ? null : resolve(checked.migrations),
      migrate: checked.migrate ?? 'apply',
      maintenance: scheduleOf(checked.maintenance),
      sessionCache: { ...DEFAULT_SESSION_CACHE, ...definedOf(checked.sessionCache ?? {}) },
      archive: checked.readOnly === true ? null : archiveSettings(checked.archive),
    },
    password,
    {
      onRestart: (cause) => store?.emit('restart', cause),
      onFailure: (error) => {
        core?.fail(error)
        store?.emit('failure', error)
      },
    },
  )
  try {
    await Promise.all([...states.values()].map((state) => hydrate(supervisor, state)))
  } catch (error) {
    await supervisor.close()
    throw error
  }
  forgetPasswordVariable()
  if (opened.hasUserMigrations) for (const state of states.values()) state.isUnconstrained = false
  const limits: QueueLimits = { ...DEFAULT_QUEUE_LIMITS, ...definedOf(checked.queue ?? {}) }
  core = new StoreCore(supervisor, sequenceBase(opened.session), limits, checked.readOnly ?? false)
  store = new HoldfastStore({
    dir: resolve(checked.dir),
    storeId: opened.storeId,
    created: opened.created,
    restoredKeyringCopies: opened.restoredKeyringCopies,
    appliedMigrations: opened.appliedMigrations,
    core,
    states,
    allStates: allStates(states, opened.collections),
    closeOnSignals: checked.closeOnSignals ?? false,
    limits,
  })
  return store as unknown as Store<C>
}

type CheckedOptions = z.infer<typeof optionsSchema>

function checkOptions(options: unknown): CheckedOptions {
  const parsed = optionsSchema.safeParse(options)
  if (parsed.success) return parsed.data
  const problems = parsed.error.issues.map(
    (issue) => `${issue.path.map(String).join('.') || '(options)'}: ${issue.message}`,
  )
  throw new StoreError('INVALID_ARGUMENT', `openStore can't take these options: ${problems.join('; ')}`, {
    details: { problems },
  })
}

const DEFAULT_SCHEDULE: MaintenanceSchedule = Object.freeze({ everyMs: 3_600_000, idleMs: 2_000 })

function scheduleOf(given: CheckedOptions['maintenance']): MaintenanceSchedule | null {
  return given === false ? null : { ...DEFAULT_SCHEDULE, ...definedOf(given ?? {}) }
}

async function passwordFor({ password, unlockCommand }: CheckedOptions): Promise<Uint8Array> {
  if (unlockCommand === undefined) return readPassword(password)
  if (password === undefined) return await runUnlockCommand(unlockCommand)
  throw new StoreError('INVALID_ARGUMENT', 'openStore takes a password or an unlockCommand, not both.')
}

function definedOf<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as never
}

function isBuiltIn(name: string): boolean {
  return Object.hasOwn(builtInCollections, name)
}

/** Session 0 is that of a read-only store, which never writes. */
function sequenceBase(session: number): number {
  return session === 0 ? 0 : firstSequence(session)
}

function collectionStates(own: Readonly<Record<string, AnyCollection>>): Map<string, CollectionState> {
  const states = new Map<string, CollectionState>()
  const names = new Map<string, string>()
  for (const [property, definition] of Object.entries({ ...builtInCollections, ...own })) {
    const { spec, schema } = definition as AnyCollection
    if (Object.hasOwn(own, property)) assertFreeProperty(property, spec.name)
    const lowered = spec.name.toLowerCase()
    const taken = names.get(lowered)
    if (taken !== undefined) {
      throw invalidCollection(spec.name, `its name is that of the collection "${taken}"`)
    }
    names.set(lowered, spec.name)
    states.set(property, new CollectionState(spec, schema))
  }
  for (const state of states.values()) {
    for (const [field, parent] of Object.entries(state.spec.references)) {
      const target = [...states.values()].find((each) => each.spec.name === parent)
      if (target === undefined)
        throw invalidCollection(state.spec.name, `"${field}" refers to "${parent}", which is not defined`)
      if (target.spec.file !== state.spec.file) {
        throw invalidCollection(state.spec.name, `"${field}" refers to "${parent}", which lives in another file`)
      }
    }
  }
  return states
}

function assertFreeProperty(property: string, name: string): void {
  if (isBuiltIn(property)) throw invalidCollection(name, `"${property}" is a built-in collection`)
  if (property in HoldfastStore.prototype || property in Object.prototype || RESERVED_PROPERTIES.has(property)) {
    throw invalidCollection(name, `"${property}" is taken on the store; give it another property`)
  }
}

const RESERVED_PROPERTIES = new Set([
  'dir',
  'storeId',
  'created',
  'restoredKeyringCopies',
  'appliedMigrations',
  'sync',
  'keys',
  'then',
])

function invalidCollection(name: string, reason: string): StoreError {
  return new StoreError('INVALID_COLLECTION', `Collection "${name}" can't be opened: ${reason}.`, {
    details: { collection: name },
  })
}

/** Collections the store has and this program does not define: readable and writable, checked only for their key. */
function allStates(
  states: ReadonlyMap<string, CollectionState>,
  recorded: readonly CollectionSpec[],
): Map<string, CollectionState> {
  const all = new Map([...states.values()].map((state) => [state.spec.name, state]))
  for (const spec of recorded) {
    if (all.has(spec.name)) continue
    all.set(spec.name, new CollectionState({ ...spec, hot: false }, z.looseObject({ [spec.key]: z.string() })))
  }
  return all
}

async function hydrate(supervisor: WorkerSupervisor, { spec, mirror }: CollectionState): Promise<void> {
  if (mirror === undefined) return
  let after: number | null = 0
  while (after !== null) {
    const page: { readonly json: string; readonly last: number | null } = await supervisor.callOnce('hydrate', {
      collection: spec.name,
      after,
    })
    for (const [version, document] of JSON.parse(page.json) as [number, Document][]) {
      freezeParsed(document)
      mirror.hydrate(document[spec.key] as string, document, version)
    }
    after = page.last
  }
}
