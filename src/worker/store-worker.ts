/** The method map of the protocol over whatever backend `open` made. */
import { BOOK_METHODS } from '../protocol/books.ts'
import type { KeyRequest, KeyResult } from '../protocol/keys.ts'
import type { OpenRequest, OpenResult, StoreWorkerMethods } from '../protocol/methods.ts'
import { SERIES_RULE_METHODS } from '../protocol/series-rules.ts'
import { StoreError, serializeError } from '../protocol/store-error.ts'
import { ArchiveMethods } from './archive/archive-methods.ts'
import { ARTIFACT_METHODS } from './artifacts/artifact-store.ts'
import type { ArchiveMethodName, Backend, BackendParts } from './backend.ts'
import { targetMethods } from './backup/target-methods.ts'
import { performKeyOperation } from './key-operations.ts'
import { endNativeCalls } from './native-calls.ts'
import { SERIES_METHODS } from './series/series-store.ts'
import { SESSION_CACHE_METHODS } from './session-cache/session-cache.ts'
import { SKILL_METHODS } from './skills/skill-store.ts'
import { openSqlcipherBackend } from './sqlcipher-backend.ts'
import { sqlcipherDriver } from './sqlcipher-driver.ts'

const BACKEND_METHODS = [
  'hydrate',
  'commit',
  'commitUnits',
  'wasApplied',
  'get',
  'entry',
  'page',
  'count',
  'sql',
  'sqlTable',
  'reveal',
  'auditPage',
  'auditVerify',
  'auditNote',
  'archiveTrades',
  'rotateDataKey',
  'rotationProgress',
  'checkpoint',
  'check',
  'repair',
  'maintain',
  'sizes',
  'status',
  'backup',
  'close',
] as const satisfies readonly (keyof Backend)[]

const PART_METHODS = {
  series: SERIES_METHODS,
  books: BOOK_METHODS,
  seriesRules: SERIES_RULE_METHODS,
  skills: SKILL_METHODS,
  artifacts: ARTIFACT_METHODS,
  sessionCache: SESSION_CACHE_METHODS,
} as const satisfies { readonly [P in keyof BackendParts]: readonly (keyof BackendParts[P])[] }

const ARCHIVE_METHODS = [
  'follow',
  'followed',
  'unfollow',
  'restoreMoment',
] as const satisfies readonly ArchiveMethodName[]

/**
 * Every method rejects with a `SerializedError`: plain data, which Comlink passes on as it is, where it would strip an
 * `Error` of its class and fields.
 */
export function createStoreWorker(): StoreWorkerMethods {
  let backend: Backend | undefined

  const open = async (request: OpenRequest): Promise<OpenResult> => {
    if (backend !== undefined) throw new StoreError('INTERNAL', 'This worker has a store open already.')
    const opened = await openSqlcipherBackend(sqlcipherDriver, request)
    backend = opened.backend
    return opened.result
  }
  const keys = (request: KeyRequest): Promise<KeyResult> => performKeyOperation(sqlcipherDriver, request)
  const methods: Record<string, unknown> = {
    open: rejectingWithData(open),
    keys: rejectingWithData(keys),
    halt: endNativeCalls,
  }
  for (const [name, method] of Object.entries(targetMethods)) methods[name] = rejectingWithData(method as never)
  const archive = new ArchiveMethods(sqlcipherDriver)
  for (const name of ARCHIVE_METHODS) {
    methods[name] = rejectingWithData(async (request: never) => await archive[name](request))
  }
  for (const name of BACKEND_METHODS) {
    methods[name] = rejectingWithData(async (request: never) => {
      if (backend === undefined) throw new StoreError('STORE_CLOSED', 'The store is not open.')
      return await backend[name](request)
    })
  }
  for (const [part, names] of Object.entries(PART_METHODS)) {
    for (const name of names) {
      methods[name] = rejectingWithData(async (request: unknown) => {
        if (backend === undefined) throw new StoreError('STORE_CLOSED', 'The store is not open.')
        const answering = backend[part as keyof BackendParts] as unknown as Record<string, PartMethod>
        return await answering[name]?.(request)
      })
    }
  }
  return methods as unknown as StoreWorkerMethods
}

type PartMethod = (request: unknown) => Promise<unknown>

function rejectingWithData<R, T>(method: (request: R) => Promise<T>): (request: R) => Promise<T> {
  return async (request) => {
    try {
      return await method(request)
    } catch (error) {
      throw serializeError(error)
    }
  }
}
