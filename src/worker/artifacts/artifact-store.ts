/**
 * The artifacts of an open store. A version is a content, a content is a list of chunks, and a chunk is a sealed part of
 * a file, whose key is a row. What is asked for repeatedly (a piece of a put, a chunk of a get) is small, so that commits come
 * in between.
 */
import { randomUUID } from 'node:crypto'
import { transfer } from 'comlink'
import type {
  ArtifactBeginRequest,
  ArtifactBegun,
  ArtifactChunkRequest,
  ArtifactDeleteRequest,
  ArtifactDeletion,
  ArtifactFinishRequest,
  ArtifactGarbage,
  ArtifactLineage,
  ArtifactListRequest,
  ArtifactMethods,
  ArtifactProgress,
  ArtifactReference,
  ArtifactSelector,
  ArtifactsStatus,
  ArtifactVerifyPage,
  ArtifactVerifyRequest,
  ArtifactVersion,
  ArtifactWriteRequest,
  OpenedArtifact,
  StoredArtifact,
} from '../../protocol/artifacts.ts'
import type { BlobCheck } from '../../protocol/check-finding.ts'
import { StoreError } from '../../protocol/store-error.ts'
import { givingWayTo, tradingAlong } from '../backup/give-way.ts'
import type { AuditRecord, Committer, TransactionStatements } from '../committer.ts'
import { type Connection, queryOnce, type Row } from '../driver.ts'
import { failpoint } from '../failpoint.ts'
import type { FileBackend } from '../file-backend.ts'
import { toStoreError } from '../io-error.ts'
import { findVersion, lineageOf, listVersions, notFound, type RunQuery, statusOf, versionsOf } from './artifact-rows.ts'
import { BlobFiles, blobPath } from './blob-files.ts'
import { areBlobsHeld } from './blob-holds.ts'
import { ChunkCipher, SEAL_BYTES } from './chunk-cipher.ts'
import {
  CHUNK_COLUMNS,
  type ChunkRow,
  chunkRow,
  dropParts,
  hex,
  type MovedChunk,
  moveChunks,
  namesOf,
  recordChunks,
  recordParts,
  type ShreddedChunks,
  shredUnreferenced,
  touchContent,
  WITHOUT_ROW_SQL,
} from './chunk-rows.ts'
import { gearTable } from './content-chunker.ts'
import { type ChunkGroup, Upload } from './upload.ts'

export const ARTIFACT_METHODS = [
  'artifactBegin',
  'artifactWrite',
  'artifactFlush',
  'artifactFinish',
  'artifactAbort',
  'artifactOpen',
  'artifactChunk',
  'artifactInfo',
  'artifactVersions',
  'artifactList',
  'artifactLineage',
  'artifactTag',
  'artifactUntag',
  'artifactMetrics',
  'artifactVerify',
  'artifactDelete',
  'artifactCollect',
] as const satisfies readonly (keyof ArtifactMethods)[]

const VERIFIED_CHUNKS = 16
const COLLECTED_CHUNKS = 256
/** In one entry of the audit trail, which takes 16 KiB. */
const RECORDED_VERSIONS = 500
/** What Holdfast records on its own behalf. */
const SELF = 'holdfast'

type ShreddingReason = 'deleted' | 'unfinished' | 'orphaned'

/** Of a file's bytes still in use: the rest would take more room than they do. */
const REWRITTEN_BELOW = 0.5
/** Far longer than from a file to its row. */
const PUT_UNDER_WAY_MS = 10 * 60_000

export interface DamagedFile {
  /** From the store directory. */
  readonly file: string
  readonly problem: 'missing' | 'damaged'
  readonly versions: readonly ArtifactReference[]
}

export interface ArtifactStoreOptions {
  readonly dir: string
  readonly state: FileBackend
  readonly sealingKey: Uint8Array
  readonly storeId: string
  /** Rises with every commit to the store. */
  readonly commits: () => number
  /** Hears of each file before a row names it, and says which may go; null without continuous archiving. */
  readonly archived: ArchivedBlobs | null
}

/** Paths are from the store directory. */
export interface ArchivedBlobs {
  added(paths: readonly string[]): void
  mayRemove(path: string): boolean
  /** Says which files are being written: those are of no use before they are added. */
  leaveOut(isUnderWay: (path: string) => boolean): void
}

export class ArtifactStore implements ArtifactMethods {
  readonly #dir: string
  readonly #committer: Committer | null
  readonly #query: RunQuery
  readonly #files: BlobFiles
  readonly #archived: ArchivedBlobs | null
  readonly #cipher: ChunkCipher
  readonly #gears: Int32Array
  readonly #foreignCommits: () => number
  /** Between the chunks of gets. */
  readonly #giveWayToTrading: () => Promise<void>
  readonly #isTrading: () => boolean
  #ownCommits = 0
  readonly #uploads = new Map<string, Upload>()
  /** Addresses that a put is about to name, in hexadecimal, and how many puts do. */
  readonly #pins = new Map<string, number>()
  /** Files, by their names in hexadecimal, that have no row yet. */
  readonly #unrecorded = new Set<string>()
  /** Uploads that have filled the disk. */
  readonly #withoutRoom = new Set<string>()
  #shredding: Promise<unknown> | undefined

  constructor({ dir, state, commits, archived, sealingKey, storeId }: ArtifactStoreOptions) {
    this.#dir = dir
    this.#committer = state.committer
    this.#query = (sql, parameters) => state.readers.query(sql, parameters)
    this.#files = new BlobFiles(dir)
    this.#archived = archived
    archived?.leaveOut((path) => this.#unrecorded.has(path.slice(path.lastIndexOf('/') + 1)))
    this.#cipher = new ChunkCipher(sealingKey, storeId)
    this.#gears = gearTable(this.#cipher.gearKey)
    this.#foreignCommits = () => commits() - this.#ownCommits
    this.#giveWayToTrading = givingWayTo(this.#foreignCommits)
    this.#isTrading = tradingAlong(this.#foreignCommits)
  }

  async artifactBegin({ upload, name, isResumed, parents }: ArtifactBeginRequest): Promise<ArtifactBegun> {
    return await this.#ownErrors(async () => {
      this.#assertWritable()
      if (this.#uploads.has(upload)) {
        throw new StoreError('BUSY_OPERATION', 'A put with this uploadId is under way. Await it first.')
      }
      const finished = await this.#finished(this.#query, upload)
      if (finished !== null && finished.name !== name) {
        throw new StoreError(
          'ALREADY_EXISTS',
          `This uploadId is that of a put of "${finished.name}". Give each put its own.`,
        )
      }
      if (finished !== null) return { storedBytes: finished.bytes, finished }
      for (const parent of parents) await findVersion(this.#query, parent)
      if (!isResumed) await this.#setAside(upload)
      const [row] = await this.#query(
        `SELECT coalesce(sum(c."bytes"), 0) AS "bytes" FROM "_artifactContents" AS o
         JOIN "_artifactParts" AS p ON p."content" = o."id" JOIN "_artifactChunks" AS c ON c."id" = p."chunk" WHERE o."upload" = ?`,
        [upload],
      )
      const storedBytes = Number(row?.bytes)
      this.#uploads.set(
        upload,
        new Upload(upload, storedBytes, {
          files: this.#files,
          cipher: this.#cipher,
          gears: this.#gears,
          unrecorded: this.#unrecorded,
          pin: (address) => this.#pin(address),
          unpin: (addresses) => this.#unpin(addresses),
          record: (id, group) => this.#record(id, group),
          removeUnrecorded: (file) => this.#removeUnrecorded(file),
          giveWay: givingWayTo(this.#foreignCommits),
          isGentle: this.#isTrading,
        }),
      )
      return { storedBytes, finished: null }
    })
  }

  async artifactWrite({ upload: id, at, bytes }: ArtifactWriteRequest): Promise<ArtifactProgress> {
    const upload = this.#uploads.get(id)
    if (upload === undefined) return { storedBytes: null }
    await this.#inUpload(upload, () => upload.write(at, bytes))
    return { storedBytes: upload.storedBytes }
  }

  async artifactFlush({ upload: id }: { readonly upload: string }): Promise<ArtifactProgress> {
    const upload = this.#uploads.get(id)
    if (upload === undefined) return { storedBytes: null }
    await this.#inUpload(upload, () => upload.flush())
    return { storedBytes: upload.storedBytes }
  }

  async artifactFinish(request: ArtifactFinishRequest): Promise<StoredArtifact | null> {
    return await this.#ownErrors(async () => {
      const finished = await this.#finished(this.#query, request.upload)
      if (finished !== null) return finished
      const upload = this.#uploads.get(request.upload)
      if (upload === undefined) return null
      if (upload.bytes !== request.bytes) {
        throw new StoreError('INTERNAL', 'An artifact came in with another length than it has. Please report it.')
      }
      await this.#inUpload(upload, () => upload.finish((group) => this.#record(request.upload, group, request)))
      await failpoint('artifacts:finished')
      this.#uploads.delete(request.upload)
      return await this.#finished(this.#query, request.upload)
    })
  }

  async artifactAbort({ upload: id }: { readonly upload: string }): Promise<void> {
    const upload = this.#uploads.get(id)
    this.#uploads.delete(id)
    await upload?.discard()
    if (upload === undefined || !this.#withoutRoom.delete(id)) return
    // Trading needs what room there is more than a second attempt at this.
    await this.#ownErrors(async () => {
      const rows = await this.#query(`SELECT "id" FROM "_artifactContents" WHERE "upload" = ?`, [id])
      for (const row of rows) await this.#whileNoLookup(() => this.#drop(Number(row.id), 'unfinished'))
    })
  }

  async artifactOpen(selector: ArtifactSelector): Promise<OpenedArtifact> {
    return await this.#ownErrors(async () => {
      const { info, content } = await findVersion(this.#query, selector)
      const rows = await this.#query(`SELECT "at" FROM "_artifactParts" WHERE "content" = ? ORDER BY "at"`, [content])
      const starts = Float64Array.from(rows, ({ at }) => Number(at))
      return transfer({ info, content, starts }, [starts.buffer])
    })
  }

  async artifactChunk(request: ArtifactChunkRequest): Promise<Uint8Array> {
    return await this.#ownErrors(async () => {
      await this.#giveWayToTrading()
      const row = await this.#chunkAt(request)
      const bytes = await this.#read(row)
      if (typeof bytes !== 'string') return transfer(bytes, [bytes.buffer as ArrayBuffer])
      await this.#markDamaged(row, true)
      const { name, version } = request
      throw new StoreError(
        'ARTIFACT_DAMAGED',
        `Version ${version} of the artifact "${name}" can't be read whole: ${blobPath(row.file)} is ${bytes}. Nothing of it was given out; restore that file from a backup, or put the same content again.`,
        { details: { name, version, file: blobPath(row.file), problem: bytes } },
      )
    })
  }

  async artifactInfo(selector: ArtifactSelector): Promise<ArtifactVersion> {
    return await this.#ownErrors(async () => (await findVersion(this.#query, selector)).info)
  }

  async artifactVersions({ name }: { readonly name: string }): Promise<readonly ArtifactVersion[]> {
    return await this.#ownErrors(() => versionsOf(this.#query, name))
  }

  async artifactList(request: ArtifactListRequest): Promise<readonly ArtifactVersion[]> {
    return await this.#ownErrors(() => listVersions(this.#query, request))
  }

  async artifactLineage(selector: ArtifactSelector): Promise<ArtifactLineage> {
    return await this.#ownErrors(() => lineageOf(this.#query, selector))
  }

  async artifactTag({ name, version, tag }: ArtifactReference & { readonly tag: string }): Promise<void> {
    await this.#transact(async (connection) => {
      await assertVersion(connection, { name, version })
      await queryOnce(
        connection,
        `INSERT INTO "_artifactTags" ("name", "tag", "version") VALUES (?, ?, ?)
         ON CONFLICT ("name", "tag") DO UPDATE SET "version" = excluded."version"`,
        [name, tag, version],
      )
    })
  }

  async artifactUntag({ name, tag }: { readonly name: string; readonly tag: string }): Promise<void> {
    await this.#transact((connection) =>
      queryOnce(connection, `DELETE FROM "_artifactTags" WHERE "name" = ? AND "tag" = ?`, [name, tag]),
    )
  }

  async artifactMetrics({
    name,
    version,
    metrics,
  }: ArtifactReference & { readonly metrics: Readonly<Record<string, number>> }): Promise<void> {
    await this.#transact(async (connection) => {
      await assertVersion(connection, { name, version })
      await queryOnce(
        connection,
        `UPDATE "_artifactVersions" SET "metrics" = json_patch("metrics", ?) WHERE "name" = ? AND "version" = ?`,
        [JSON.stringify(metrics), name, version],
      )
    })
  }

  async artifactVerify({ name, after }: ArtifactVerifyRequest): Promise<ArtifactVerifyPage> {
    return await this.#ownErrors(async () => {
      const ofName = `AND EXISTS (SELECT 1 FROM "_artifactParts" AS p JOIN "_artifactVersions" AS v ON v."content" = p."content"
        WHERE p."chunk" = c."id" AND (?2 IS NULL OR v."name" = ?2))`
      const rows = await this.#query(
        `SELECT ${CHUNK_COLUMNS} FROM "_artifactChunks" AS c WHERE c."id" > ?1 ${ofName} ORDER BY c."id" LIMIT ${VERIFIED_CHUNKS}`,
        [after, name],
      )
      const damage: ArtifactVerifyPage['damage'][number][] = []
      const giveWay = givingWayTo(this.#foreignCommits)
      let bytes = 0
      for (const row of rows.map(chunkRow)) {
        const content = await this.#read(row)
        bytes += row.bytes
        if (typeof content === 'string') {
          for (const version of await this.#versionsWith(row, name)) {
            damage.push({ ...version, file: blobPath(row.file), problem: content })
          }
        }
        if ((typeof content === 'string') !== row.isDamaged) await this.#markDamaged(row, typeof content === 'string')
        await giveWay()
      }
      const last = rows.length < VERIFIED_CHUNKS ? null : Number(rows.at(-1)?.id)
      return { chunks: rows.length, bytes, damage, last }
    })
  }

  async artifactDelete({ name, version, isRepeated }: ArtifactDeleteRequest): Promise<ArtifactDeletion> {
    return await this.#ownErrors(() =>
      this.#whileNoLookup(async () => {
        const contents = await this.#transact(async (connection, { audit }) => {
          const deleted = await queryOnce(
            connection,
            `DELETE FROM "_artifactVersions" WHERE "name" = ?1 AND (?2 IS NULL OR "version" = ?2) RETURNING "content", "version"`,
            [name, version],
          )
          if (deleted.length > 0) await audit([deletion(name, deleted)])
          if (deleted.length === 0 && !isRepeated) throw notFound({ name, version })
          // Of no use from now on, whoever gets to remove them: here, or the next collection of garbage.
          await queryOnce(
            connection,
            `UPDATE "_artifactContents" SET "touchedAt" = 0 WHERE "id" IN (SELECT value FROM json_each(?))`,
            [JSON.stringify(deleted.map(({ content }) => content))],
          )
          return deleted.map(({ content }) => Number(content))
        })
        await failpoint('artifacts:version-deleted')
        let freedBytes = 0
        for (const content of contents) freedBytes += await this.#drop(content, 'deleted')
        return { versions: contents.length, freedBytes }
      }),
    )
  }

  async artifactCollect({
    unfinishedOlderThanMs,
  }: {
    readonly unfinishedOlderThanMs: number
  }): Promise<ArtifactGarbage> {
    return await this.#ownErrors(async () => {
      this.#assertWritable()
      const uploads = await this.#dropUnfinished(unfinishedOlderThanMs)
      const chunks = await this.#dropOrphans()
      if (await areBlobsHeld(this.#dir)) {
        return { uploads: uploads.count, chunks, files: 0, freedBytes: uploads.freedBytes, isDeferred: true }
      }
      let files = 0
      let isDeferred = false
      let freedBytes = uploads.freedBytes
      for await (const folder of this.#files.folders()) {
        for (const file of await this.#withoutRow(folder)) {
          if (!this.#mayRemove(file)) {
            isDeferred = true
            continue
          }
          freedBytes += await this.#files.remove(file)
          files += 1
          await failpoint('artifacts:file-removed')
        }
        for (const file of folder) freedBytes += await this.#rewrite(file)
      }
      const collected = { uploads: uploads.count, chunks, files, freedBytes }
      if (Object.values(collected).some((count) => count > 0)) {
        await this.#assertWritable().audit({ actor: SELF, event: 'artifact.collected', data: collected })
        this.#ownCommits += 1
      }
      return { ...collected, isDeferred }
    })
  }

  /** Files that do not hold what they should, with the versions that need it. */
  async damagedFiles(how: BlobCheck): Promise<DamagedFile[]> {
    const giveWay = givingWayTo(this.#foreignCommits)
    const damaged = new Map<
      string,
      Omit<DamagedFile, 'versions'> & { readonly versions: Map<string, ArtifactReference> }
    >()
    for (let after = 0; ; ) {
      const rows = await this.#query(
        `SELECT ${CHUNK_COLUMNS} FROM "_artifactChunks" AS c WHERE c."id" > ? ORDER BY c."id" LIMIT ${VERIFIED_CHUNKS}`,
        [after],
      )
      for (const row of rows.map(chunkRow)) {
        const problem = how === 'full' ? await this.#read(row) : await this.#look(row)
        if (typeof problem === 'string') {
          const file = blobPath(row.file)
          const found = damaged.get(file) ?? { file, problem, versions: new Map() }
          damaged.set(file, found)
          for (const each of await this.#versionsWith(row, null))
            found.versions.set(`${each.version} ${each.name}`, each)
        }
        await giveWay()
        after = row.id
      }
      if (rows.length < VERIFIED_CHUNKS) break
    }
    return [...damaged.values()].map((each) => ({ ...each, versions: [...each.versions.values()] }))
  }

  /** What garbage collection would remove. Files that are new may be of a put under way, here or in the owner. */
  async unreferencedFiles(): Promise<string[]> {
    const found: string[] = []
    for await (const folder of this.#files.folders()) {
      for (const file of await this.#withoutRow(folder)) {
        if ((await this.#files.ageMs(file)) > PUT_UNDER_WAY_MS) found.push(blobPath(file))
      }
    }
    return found.sort()
  }

  async status(): Promise<ArtifactsStatus> {
    return await statusOf(this.#query)
  }

  /** Ends the puts under way, and is of no use afterwards. */
  async close(): Promise<void> {
    const uploads = [...this.#uploads.values()]
    this.#uploads.clear()
    for (const upload of uploads) await upload.discard()
    await this.#shredding
    this.#cipher.zero()
  }

  async #record(upload: string, { chunks, parts }: ChunkGroup, version?: ArtifactFinishRequest): Promise<void> {
    this.#archived?.added([...new Set(chunks.map(({ file }) => blobPath(file)))])
    const unneeded = await this.#transact(async (connection) => {
      const newBytes = chunks.reduce((sum, { bytes }) => sum + bytes, 0)
      const content = await touchContent(connection, { upload, now: Date.now(), newBytes })
      const files = await recordChunks(connection, chunks)
      await recordParts(connection, content, parts)
      if (version !== undefined) await addVersion(connection, content, version)
      await failpoint('artifacts:before-commit')
      return files
    })
    await failpoint('artifacts:recorded')
    await this.#removeFiles(unneeded)
  }

  /**
   * What an earlier put under this id has stored may be of another content. Its chunks are found again by what is in
   * them, as those of any other put that was broken off.
   */
  async #setAside(upload: string): Promise<void> {
    const before = await this.#query(`SELECT "id" FROM "_artifactContents" WHERE "upload" = ?`, [upload])
    if (before.length === 0) return
    await this.#transact((connection) =>
      queryOnce(connection, `UPDATE "_artifactContents" SET "upload" = ? WHERE "upload" = ?`, [randomUUID(), upload]),
    )
  }

  async #inUpload<T>({ id }: Upload, work: () => Promise<T>): Promise<T> {
    try {
      return await this.#ownErrors(work)
    } catch (error) {
      if ((error as StoreError).code === 'DISK_FULL') this.#withoutRoom.add(id)
      throw error
    }
  }

  async #finished(query: RunQuery, upload: string): Promise<StoredArtifact | null> {
    const [row] = await query(
      `SELECT v."name", v."version", c."newBytes" FROM "_artifactContents" AS c
       JOIN "_artifactVersions" AS v ON v."content" = c."id" WHERE c."upload" = ?`,
      [upload],
    )
    if (row === undefined) return null
    const { info } = await findVersion(query, { name: String(row.name), version: Number(row.version) })
    return { ...info, newBytes: Number(row.newBytes) }
  }

  async #pin(address: Buffer): Promise<ChunkRow | undefined> {
    while (this.#shredding !== undefined) await this.#shredding
    const key = hex(address)
    this.#pins.set(key, (this.#pins.get(key) ?? 0) + 1)
    const [found] = await this.#query(`SELECT ${CHUNK_COLUMNS} FROM "_artifactChunks" AS c WHERE c."address" = ?`, [
      address,
    ])
    if (found === undefined) return undefined
    const row = chunkRow(found)
    if (row.isDamaged || (await this.#look(row)) === undefined) return row
    await this.#markDamaged(row, true)
    return { ...row, isDamaged: true }
  }

  #unpin(addresses: readonly Uint8Array[]): void {
    for (const address of addresses) {
      const key = hex(address)
      const pins = (this.#pins.get(key) ?? 0) - 1
      if (pins > 0) this.#pins.set(key, pins)
      else this.#pins.delete(key)
    }
  }

  /** A row that a put has found stays until it is named: rows are deleted while nobody looks for one. */
  async #whileNoLookup<T>(work: () => Promise<T>): Promise<T> {
    while (this.#shredding !== undefined) await this.#shredding
    const running = work()
    const ended = running.then(
      () => undefined,
      () => undefined,
    )
    this.#shredding = ended
    try {
      return await running
    } finally {
      if (this.#shredding === ended) this.#shredding = undefined
    }
  }

  /** A content that no version has, piece by piece. @returns bytes of chunks that were its alone */
  async #drop(content: number, why: ShreddingReason): Promise<number> {
    let bytes = 0
    for (let isGone = false; !isGone; ) {
      const dropped = await this.#transact(async (connection, { audit }) => {
        const result = await dropParts(connection, content, this.#pins.keys())
        await audit(shredding(result, why))
        return result
      })
      await failpoint('artifacts:shredded')
      await this.#removeFiles(dropped.files)
      bytes += dropped.bytes
      isGone = dropped.isGone
    }
    return bytes
  }

  async #dropUnfinished(olderThanMs: number): Promise<{ readonly count: number; readonly freedBytes: number }> {
    const rows = await this.#query(
      `SELECT "id", "upload" FROM "_artifactContents" AS c
       WHERE "touchedAt" <= ? AND NOT EXISTS (SELECT 1 FROM "_artifactVersions" AS v WHERE v."content" = c."id")`,
      [Date.now() - olderThanMs],
    )
    let count = 0
    let freedBytes = 0
    for (const { id } of rows.filter(({ upload }) => !this.#uploads.has(String(upload)))) {
      freedBytes += await this.#whileNoLookup(() => this.#drop(Number(id), 'unfinished'))
      count += 1
    }
    return { count, freedBytes }
  }

  async #dropOrphans(): Promise<number> {
    let count = 0
    for (;;) {
      const rows = await this.#query(
        `SELECT "id" FROM "_artifactChunks" AS c WHERE NOT EXISTS (SELECT 1 FROM "_artifactParts" AS p WHERE p."chunk" = c."id")
         LIMIT ${COLLECTED_CHUNKS}`,
        [],
      )
      if (rows.length === 0) return count
      const ids = rows.map(({ id }) => Number(id))
      const { chunks, files } = await this.#whileNoLookup(() =>
        this.#transact(async (connection, { audit }) => {
          const result = await shredUnreferenced(connection, ids, this.#pins.keys())
          await audit(shredding(result, 'orphaned'))
          return result
        }),
      )
      await this.#removeFiles(files)
      count += chunks
      // The rest is pinned.
      if (chunks < ids.length) return count
    }
  }

  /**
   * Moves what is left of a file into a smaller one, once most of it is of no use: nobody can open that any more, but it
   * takes room. @returns the bytes that were won
   */
  async #rewrite(file: Buffer): Promise<number> {
    const size = await this.#files.size(file)
    if (size === undefined || this.#unrecorded.has(hex(file))) return 0
    const rows = await this.#query(
      `SELECT ${CHUNK_COLUMNS} FROM "_artifactChunks" AS c WHERE c."file" = ? ORDER BY c."offset"`,
      [file],
    )
    const needed = rows.reduce((sum, { bytes }) => sum + Number(bytes) + SEAL_BYTES, 0)
    if (needed === 0 || needed > size * REWRITTEN_BELOW) return 0
    const giveWay = givingWayTo(this.#foreignCommits)
    const blob = this.#files.create(this.#isTrading)
    this.#unrecorded.add(hex(blob.file))
    try {
      const moved: MovedChunk[] = []
      for (const row of rows.map(chunkRow)) {
        const content = await this.#readAt(row)
        // What is damaged stays where a copy of the file from a backup heals it.
        if (typeof content === 'string') return 0
        const sealed = Buffer.allocUnsafeSlow(row.bytes + SEAL_BYTES)
        const whole = { pieces: [content], length: content.length }
        const wrappedKey = this.#cipher.seal(whole, { file: blob.file, address: row.address }, sealed)
        moved.push({ id: row.id, file: blob.file, offset: blob.bytes, wrappedKey })
        await blob.append(sealed)
        await giveWay()
      }
      await blob.finish()
      await failpoint('artifacts:rewritten')
      this.#archived?.added([blobPath(blob.file)])
      const unneeded = await this.#transact((connection) => moveChunks(connection, file, moved))
      await failpoint('artifacts:moved')
      await this.#removeFiles(unneeded)
      return size - blob.bytes
    } finally {
      await blob.abandon().catch(() => undefined)
      await this.#removeUnrecorded(blob.file).catch(() => undefined)
      this.#unrecorded.delete(hex(blob.file))
    }
  }

  /** Those that are in the folder for nobody. */
  async #withoutRow(files: readonly Buffer[]): Promise<Buffer[]> {
    const recorded = files.filter((file) => !this.#unrecorded.has(hex(file)))
    if (recorded.length === 0) return []
    return namesOf(await this.#query(WITHOUT_ROW_SQL, [JSON.stringify(recorded.map(hex))]))
  }

  async #removeUnrecorded(file: Uint8Array): Promise<void> {
    const [unrecorded] = await this.#query(WITHOUT_ROW_SQL, [JSON.stringify([hex(file)])])
    if (unrecorded !== undefined) await this.#files.remove(file)
  }

  /** Files that no row names any more; what can't be removed now is garbage. */
  async #removeFiles(files: readonly Uint8Array[]): Promise<void> {
    if (files.length === 0 || (await areBlobsHeld(this.#dir))) return
    for (const file of files.filter((each) => this.#mayRemove(each))) {
      await this.#files.remove(file).catch(() => undefined)
    }
  }

  #mayRemove(file: Uint8Array): boolean {
    return this.#archived?.mayRemove(blobPath(file)) ?? true
  }

  async #chunkAt({ content, at, name, version }: ArtifactChunkRequest): Promise<ChunkRow> {
    // With the version, because the number of a content that was deleted may be another's by now.
    const [row] = await this.#query(
      `SELECT ${CHUNK_COLUMNS} FROM "_artifactVersions" AS v JOIN "_artifactParts" AS p ON p."content" = v."content"
       JOIN "_artifactChunks" AS c ON c."id" = p."chunk" WHERE v."name" = ? AND v."version" = ? AND v."content" = ? AND p."at" = ?`,
      [name, version, content, at],
    )
    if (row === undefined) throw notFound({ name, version })
    return chunkRow(row)
  }

  /** The content of a chunk, or what is wrong with its file. */
  async #read(row: ChunkRow): Promise<Uint8Array | 'missing' | 'damaged'> {
    const content = await this.#readAt(row)
    if (typeof content !== 'string') return content
    // A collection of garbage, or a put of the same content, may have given it another place meanwhile.
    const again = await this.#chunkWith(row.id)
    return again === undefined || again.file.equals(row.file) ? content : await this.#readAt(again)
  }

  async #readAt(row: ChunkRow): Promise<Uint8Array | 'missing' | 'damaged'> {
    const bytes = row.bytes + SEAL_BYTES
    const content = await this.#files.read(row.file, row.offset, bytes, (sealed) =>
      sealed.length === bytes ? (this.#cipher.open(sealed, row.wrappedKey, row) ?? 'damaged') : 'damaged',
    )
    return content ?? 'missing'
  }

  async #chunkWith(id: number): Promise<ChunkRow | undefined> {
    const [row] = await this.#query(`SELECT ${CHUNK_COLUMNS} FROM "_artifactChunks" AS c WHERE c."id" = ?`, [id])
    return row === undefined ? undefined : chunkRow(row)
  }

  async #look(row: ChunkRow): Promise<'missing' | 'damaged' | undefined> {
    const bytes = await this.#files.size(row.file)
    if (bytes === undefined) return 'missing'
    return bytes >= row.offset + row.bytes + SEAL_BYTES ? undefined : 'damaged'
  }

  async #versionsWith({ id }: ChunkRow, name: string | null): Promise<ArtifactReference[]> {
    const rows = await this.#query(
      `SELECT DISTINCT v."name", v."version" FROM "_artifactParts" AS p JOIN "_artifactVersions" AS v ON v."content" = p."content"
       WHERE p."chunk" = ?1 AND (?2 IS NULL OR v."name" = ?2) ORDER BY 1, 2`,
      [id, name],
    )
    return rows.map((row) => ({ name: String(row.name), version: Number(row.version) }))
  }

  /** For the next put of the same content, which writes it anew. Beside an owner it is left to the owner. */
  async #markDamaged({ id, file }: ChunkRow, isDamaged: boolean): Promise<void> {
    if (this.#committer === null) return
    await this.#transact((connection) =>
      queryOnce(connection, `UPDATE "_artifactChunks" SET "damaged" = ? WHERE "id" = ? AND "file" = ?`, [
        isDamaged ? 1 : 0,
        id,
        file,
      ]),
    )
  }

  async #transact<T>(work: (connection: Connection, statements: TransactionStatements) => Promise<T>): Promise<T> {
    const committer = this.#assertWritable()
    const result = await this.#ownErrors(() => committer.transact(work))
    this.#ownCommits += 1
    return result
  }

  #assertWritable(): Committer {
    if (this.#committer !== null) return this.#committer
    throw new StoreError('READ_ONLY', 'This store was opened with readOnly: true. Open it as its owner to write.')
  }

  async #ownErrors<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw await toStoreError(error, this.#dir)
    }
  }
}

function deletion(name: string, deleted: readonly Row[]): AuditRecord {
  const versions = deleted.map(({ version }) => Number(version)).sort((a, b) => a - b)
  const data = { name, count: versions.length, versions: versions.slice(0, RECORDED_VERSIONS) }
  return { actor: SELF, event: 'artifact.deleted', data }
}

function shredding({ chunks, bytes }: ShreddedChunks, why: ShreddingReason): AuditRecord[] {
  return chunks === 0 ? [] : [{ actor: SELF, event: 'artifact.shredded', data: { chunks, bytes, why } }]
}

/** @throws StoreError `NOT_FOUND` */
async function assertVersion(connection: Connection, { name, version }: ArtifactReference): Promise<void> {
  const sql = `SELECT 1 FROM "_artifactVersions" WHERE "name" = ? AND "version" = ?`
  if ((await queryOnce(connection, sql, [name, version])).length === 0) throw notFound({ name, version })
}

async function addVersion(connection: Connection, content: number, request: ArtifactFinishRequest): Promise<void> {
  const { name, metadata, metrics, tags, parents, bytes } = request
  for (const parent of parents) await assertVersion(connection, parent)
  const [sum] = await queryOnce(
    connection,
    `SELECT coalesce(sum(c."bytes"), 0) AS "bytes" FROM "_artifactParts" AS p JOIN "_artifactChunks" AS c ON c."id" = p."chunk"
     WHERE p."content" = ?`,
    [content],
  )
  if (Number(sum?.bytes) !== bytes) {
    throw new StoreError('INTERNAL', 'The chunks of an artifact do not make its length. Please report it.')
  }
  const [row] = await queryOnce(
    connection,
    `INSERT INTO "_artifacts" ("name", "lastVersion") VALUES (?, 1)
     ON CONFLICT ("name") DO UPDATE SET "lastVersion" = "lastVersion" + 1 RETURNING "lastVersion"`,
    [name],
  )
  const version = Number(row?.lastVersion)
  await queryOnce(
    connection,
    `INSERT INTO "_artifactVersions" ("name", "version", "content", "createdAt", "bytes", "metadata", "metrics") VALUES (?, ?, ?, ?, ?, ?, ?)`,
    [name, version, content, Date.now(), bytes, JSON.stringify(metadata), JSON.stringify(metrics)],
  )
  for (const tag of tags) {
    await queryOnce(
      connection,
      `INSERT INTO "_artifactTags" ("name", "tag", "version") VALUES (?, ?, ?)
       ON CONFLICT ("name", "tag") DO UPDATE SET "version" = excluded."version"`,
      [name, tag, version],
    )
  }
  for (const parent of parents) {
    await queryOnce(
      connection,
      `INSERT OR IGNORE INTO "_artifactLineage" ("name", "version", "parentName", "parentVersion") VALUES (?, ?, ?, ?)`,
      [name, version, parent.name, parent.version],
    )
  }
}
