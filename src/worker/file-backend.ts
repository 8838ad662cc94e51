/** One database file of the store at work: its writer, its readers and its checkpointer. */
import { zero } from '../crypto/zero.ts'
import { LatencyHistogram } from '../protocol/latency-histogram.ts'
import type { Durability, FileStatus } from '../protocol/methods.ts'
import { StoreError } from '../protocol/store-error.ts'
import type { DatabaseFile } from '../schema/database-file.ts'
import type { CollectionSpec } from '../schema/define-collection.ts'
import type { FileArchiver } from './archive/file-archiver.ts'
import type { AuditWriter } from './audit/audit-writer.ts'
import { HeldDescriptors } from './backup/held-descriptors.ts'
import { type DatabaseSnapshot, type SnapshotSource, takeSnapshot } from './backup/snapshot.ts'
import { Checkpointer, fileBytes } from './checkpointer.ts'
import { Committer } from './committer.ts'
import { type Connection, type Driver, queryOnce } from './driver.ts'
import { failpoint } from './failpoint.ts'
import { openKeyedDatabase } from './keyed-database.ts'
import { FREE_SPACE_SQL, type FreeSpace, freeSpaceOf } from './maintenance/vacuum.ts'
import { ReadPool } from './read-pool.ts'
import type { ReadSlots } from './read-slots.ts'
import { rekeyWriter } from './rekey-writer.ts'
import type { SealedFields } from './sealed-fields.ts'
import { databasePath } from './store-files.ts'
import { createFieldsViewSql } from './table-sql.ts'
import { preallocateWal } from './wal-preallocation.ts'

const BUSY_TIMEOUT_MS = 10_000

export interface FileBackendOptions {
  readonly driver: Driver
  readonly dir: string
  readonly file: DatabaseFile
  readonly key: Uint8Array
  readonly durability: Durability
  readonly readSlots: ReadSlots
  readonly collections: ReadonlyMap<string, CollectionSpec>
  readonly sealedFields: SealedFields
  /** The connection that migrated the file; it becomes the writer. Null for a read-only store. */
  readonly writer: Connection | null
  /** Null for a file without a trail, and for a read-only store. */
  readonly audit: AuditWriter | null
  /** Null without continuous archiving. */
  readonly archiver: FileArchiver | null
}

export class FileBackend {
  readonly file: DatabaseFile
  readonly readers: ReadPool
  readonly committer: Committer | null
  readonly #checkpointer: Checkpointer | null
  readonly #path: string
  readonly #key: Uint8Array
  readonly #openReader: () => Promise<Connection>
  readonly #openForWriting: (role: 'writer' | 'checkpointer') => Promise<Connection>
  readonly #descriptors = new HeldDescriptors()
  #snapshots = 0
  readonly #archiver: FileArchiver | null

  private constructor(options: FileBackendOptions, checkpointerConnection: Connection | null) {
    const { driver, file, key, durability, writer } = options
    this.file = file
    this.#path = databasePath(options.dir, file)
    this.#key = key
    this.#openReader = () =>
      openKeyedDatabase(driver, this.#path, {
        key,
        durability,
        mode: 'read-only',
        role: 'reader',
        busyTimeoutMs: BUSY_TIMEOUT_MS,
      })
    this.#openForWriting = (role) =>
      openKeyedDatabase(driver, this.#path, {
        key,
        durability,
        mode: 'read-write',
        role,
        busyTimeoutMs: BUSY_TIMEOUT_MS,
      })
    this.readers = new ReadPool(options.readSlots, async () => {
      const reader = await this.#openReader()
      const own = [...options.collections.values()].filter((spec) => spec.file === file)
      await reader.exec(own.map(createFieldsViewSql).join(';'))
      await reader.exec('PRAGMA query_only = ON')
      return reader
    })
    this.#archiver = options.archiver
    this.committer =
      writer === null ? null : new Committer({ ...options, connection: writer, observer: options.archiver })
    this.#checkpointer = null
    if (this.committer !== null && checkpointerConnection !== null) {
      const { committer } = this
      this.#checkpointer = new Checkpointer({
        connection: checkpointerConnection,
        file: this.file,
        commits: () => committer.status.commits,
        exclusively: (work) => committer.exclusively(work),
        isLogHeld: () => this.#snapshots > 0,
        guard: options.archiver,
      })
      this.#checkpointer.start()
    }
  }

  static async start(options: FileBackendOptions): Promise<FileBackend> {
    if (options.writer === null) return new FileBackend(options, null)
    const checkpointerConnection = await openKeyedDatabase(options.driver, databasePath(options.dir, options.file), {
      key: options.key,
      durability: options.durability,
      mode: 'read-write',
      role: 'checkpointer',
      busyTimeoutMs: BUSY_TIMEOUT_MS,
    })
    const backend = new FileBackend(options, checkpointerConnection)
    backend.#prepareWal()
    return backend
  }

  /** In the background, and only if it works: it makes commits cheaper and nothing depends on it. */
  #prepareWal(): void {
    if (this.file !== 'state') return
    this.committer?.exclusively(() => preallocateWal(`${this.#path}-wal`)).catch(() => undefined)
  }

  /** One moment of the file, for the caller to release. See `backup/snapshot.ts`. */
  async snapshot(): Promise<DatabaseSnapshot> {
    this.#snapshots += 1
    const onRelease = () => {
      this.#snapshots -= 1
    }
    return await takeSnapshot({
      path: this.#path,
      openReader: this.#openReader,
      descriptors: this.#descriptors,
      onRelease,
      ...(this.committer === null ? {} : { atRest: atRest(this.committer) }),
    })
  }

  /**
   * Encrypts the file under another key, in one transaction. Commits wait for it, reads go on. When it fails the file is
   * as it was.
   *
   * @returns false when something kept the log from being moved into the file
   */
  async rekey(next: Uint8Array): Promise<boolean> {
    const { committer } = this
    if (committer === null) throw new StoreError('READ_ONLY', 'A store opened with readOnly: true changes no key.')
    let isMoved = false
    await this.readers.whileKeyChanges(() =>
      committer.replaceConnection(async (writer) => {
        const { isEmptied, ...replaced } = await rekeyWriter(writer, {
          key: this.#key,
          next,
          isLogHeld: this.#archiver !== null || this.#snapshots > 0,
          reopen: () => this.#openForWriting('writer'),
        })
        isMoved = isEmptied
        return replaced
      }),
    )
    await this.#checkpointer?.replaceConnection(() => this.#openForWriting('checkpointer'))
    this.#prepareWal()
    return isMoved
  }

  async checkpoint(): Promise<void> {
    await this.#checkpointer?.truncate()
  }

  /** Moves the log into the file while commits go on. */
  async checkpointBeside(): Promise<void> {
    await this.#checkpointer?.passive()
  }

  async freeSpace(): Promise<FreeSpace> {
    return freeSpaceOf((await this.readers.query(FREE_SPACE_SQL, []))[0])
  }

  async status(): Promise<FileStatus> {
    const committed = this.committer?.status ?? {
      commits: 0,
      commitMs: 0,
      commitLatency: new LatencyHistogram().counted,
    }
    const checkpointed = this.#checkpointer?.status ?? { checkpoints: 0, checkpointMs: 0 }
    return {
      databaseBytes: await fileBytes(this.#path),
      freeBytes: (await this.freeSpace()).freeBytes,
      walBytes: await fileBytes(`${this.#path}-wal`),
      commits: committed.commits,
      commitMs: committed.commitMs,
      commitLatency: committed.commitLatency,
      checkpoints: checkpointed.checkpoints,
      checkpointMs: checkpointed.checkpointMs,
    }
  }

  async close(): Promise<void> {
    await this.readers.close()
    await failpoint('close:before-checkpoint')
    await this.checkpoint()
    await this.#archiver?.closePin()
    await this.#checkpointer?.close()
    await this.committer?.close()
    await this.#descriptors.close()
    zero(this.#key)
  }
}

function atRest(committer: Committer): NonNullable<SnapshotSource['atRest']> {
  return (work) =>
    committer.exclusively(async () => {
      const result = await work()
      return { result, lastSequence: committer.lastSequence }
    })
}

/**
 * The number of this session, which makes the sequences of its batches rise above all before. `session` is given when a
 * worker takes over from one that died. See `sequence.ts`.
 */
export async function takeSession(stateWriter: Connection, session: number | null): Promise<number> {
  if (session !== null) return session
  const [row] = await queryOnce(stateWriter, 'UPDATE "_session" SET "session" = "session" + 1 RETURNING "session"')
  return Number(row?.session)
}
