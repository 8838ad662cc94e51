/** Artifacts across the thread boundary: pieces of content in, sealed chunks kept, verified chunks out. */
import type { JsonValue } from '../schema/json.ts'

/** A version of an artifact. It never changes, but for its tags and metrics. */
export interface ArtifactVersion {
  readonly name: string
  /** 1 for the first, one more with each; a number that was deleted doesn't come back. */
  readonly version: number
  readonly bytes: number
  /** How many chunks make it. */
  readonly chunks: number
  /** Unix milliseconds. */
  readonly createdAt: number
  readonly metadata: Readonly<Record<string, JsonValue>>
  readonly metrics: Readonly<Record<string, number>>
  /** In the order of their names. */
  readonly tags: readonly string[]
  /** What it was made from. */
  readonly parents: readonly ArtifactReference[]
}

export interface ArtifactReference {
  readonly name: string
  readonly version: number
}

/** What a put has made. */
export interface StoredArtifact extends ArtifactVersion {
  /** Bytes of it in chunks that no version had before. */
  readonly newBytes: number
}

export interface ArtifactRelative extends ArtifactReference {
  /** 1 for parents and children, 2 for theirs, and so on. */
  readonly distance: number
  /** True when this version has been deleted since. */
  readonly isDeleted: boolean
}

export interface ArtifactLineage {
  /** Nearest first. */
  readonly ancestors: readonly ArtifactRelative[]
  readonly descendants: readonly ArtifactRelative[]
}

/** A version by its number or a tag; null for the newest. */
export interface ArtifactSelector {
  readonly name: string
  readonly version: number | string | null
}

export interface ArtifactBeginRequest {
  readonly upload: string
  readonly name: string
  /** A worker takes over from one that was lost, in the same put. */
  readonly isResumed: boolean
  readonly parents: readonly ArtifactReference[]
}

/** `finished` is what an earlier put under the same id has made. */
export interface ArtifactBegun {
  readonly storedBytes: number
  readonly finished: StoredArtifact | null
}

export interface ArtifactWriteRequest {
  readonly upload: string
  /** Where in the content `bytes` begins. */
  readonly at: number
  /** In shared memory: what it holds stays as it is until it is stored. */
  readonly bytes: Uint8Array
}

/** How much of the content, from its beginning, is durable; null when this worker does not know the upload: begin it again. */
export interface ArtifactProgress {
  readonly storedBytes: number | null
}

export interface ArtifactFinishRequest {
  readonly upload: string
  readonly bytes: number
  readonly name: string
  readonly metadata: Readonly<Record<string, JsonValue>>
  readonly metrics: Readonly<Record<string, number>>
  readonly tags: readonly string[]
  readonly parents: readonly ArtifactReference[]
}

export interface OpenedArtifact {
  readonly info: ArtifactVersion
  readonly content: number
  /** Where each chunk begins, ascending. */
  readonly starts: Float64Array
}

export interface ArtifactChunkRequest extends ArtifactReference {
  readonly content: number
  readonly at: number
}

export interface ArtifactListRequest {
  readonly prefix: string
  /** Only artifacts that have it, at the version it is on. */
  readonly tag: string | null
  /** Names behind this one. */
  readonly after: string | null
  readonly limit: number
}

export interface ArtifactVerifyRequest {
  /** Null for all artifacts. */
  readonly name: string | null
  /** Chunks behind this one; 0 for the first. */
  readonly after: number
}

/** A chunk that is not what it should be, and a version that has it. */
export interface ArtifactDamage extends ArtifactReference {
  /** From the store directory. */
  readonly file: string
  readonly problem: 'missing' | 'damaged'
}

/** `last` is the chunk to go on behind, null at the end. */
export interface ArtifactVerifyPage {
  readonly chunks: number
  readonly bytes: number
  readonly damage: readonly ArtifactDamage[]
  readonly last: number | null
}

export interface ArtifactDeleteRequest {
  readonly name: string
  /** Null for every version. */
  readonly version: number | null
  /** Asked again because the answer was lost: that there is none is then no error. */
  readonly isRepeated: boolean
}

export interface ArtifactDeletion {
  readonly versions: number
  /** Of chunks that nobody needs any more; their keys are gone. */
  readonly freedBytes: number
}

export interface ArtifactGarbage {
  /** Puts that were broken off and not taken up again. */
  readonly uploads: number
  /** Chunks that no version has. */
  readonly chunks: number
  /** Files removed, and their bytes. */
  readonly files: number
  readonly freedBytes: number
  /** True while a backup, or the archive, needs files of an earlier moment: they are removed by a later run. */
  readonly isDeferred: boolean
}

/** What artifacts take of the disk. */
export interface ArtifactsStatus {
  readonly artifacts: number
  readonly versions: number
  readonly chunks: number
  /** Of chunks, each counted once. */
  readonly chunkBytes: number
  /** Of all versions, shared chunks counted in each. */
  readonly contentBytes: number
  readonly unfinishedUploads: number
}

export interface ArtifactMethods {
  artifactBegin(request: ArtifactBeginRequest): Promise<ArtifactBegun>
  artifactWrite(request: ArtifactWriteRequest): Promise<ArtifactProgress>
  /** Resolves when all whole chunks are durable. */
  artifactFlush(request: { readonly upload: string }): Promise<ArtifactProgress>
  /** Null when this worker does not know the upload: begin it again. */
  artifactFinish(request: ArtifactFinishRequest): Promise<StoredArtifact | null>
  /** What is stored stays for a while, for a put of the same content. */
  artifactAbort(request: { readonly upload: string }): Promise<void>
  artifactOpen(request: ArtifactSelector): Promise<OpenedArtifact>
  artifactChunk(request: ArtifactChunkRequest): Promise<Uint8Array>
  artifactInfo(request: ArtifactSelector): Promise<ArtifactVersion>
  artifactVersions(request: { readonly name: string }): Promise<readonly ArtifactVersion[]>
  artifactList(request: ArtifactListRequest): Promise<readonly ArtifactVersion[]>
  artifactLineage(request: ArtifactSelector): Promise<ArtifactLineage>
  artifactTag(request: ArtifactReference & { readonly tag: string }): Promise<void>
  artifactUntag(request: { readonly name: string; readonly tag: string }): Promise<void>
  artifactMetrics(request: ArtifactReference & { readonly metrics: Readonly<Record<string, number>> }): Promise<void>
  artifactVerify(request: ArtifactVerifyRequest): Promise<ArtifactVerifyPage>
  artifactDelete(request: ArtifactDeleteRequest): Promise<ArtifactDeletion>
  artifactCollect(request: { readonly unfinishedOlderThanMs: number }): Promise<ArtifactGarbage>
}
