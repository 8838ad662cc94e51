/**
 * Spans of OpenTelemetry for a program that has `@opentelemetry/api` and a tracer of its own. The package is looked for
 * once, when the first worker starts; without it nothing is measured, and with it but without a tracer a batch costs one
 * span that records nothing. A put never does: what is traced is the call that carries many of them.
 *
 * Names follow the semantic conventions for databases (https://opentelemetry.io/docs/specs/semconv/database/): the
 * operation, the collection or file, counts. Never a value, a key of a document, the text of a query or a path.
 */
import type { Context, Span, Tracer } from '@opentelemetry/api'
import type { Batch, UnitBatch } from '../protocol/batch.ts'
import type { KeyRequest } from '../protocol/keys.ts'
import type { MethodName, OpenResult, Page, RequestOf, ResultOf, SqlTable } from '../protocol/methods.ts'
import { isStoreError } from '../protocol/store-error.ts'

export type SpanAttributes = Readonly<Record<string, string | number | boolean | string[]>>

/** Adds what is known only later. */
export type Annotate = (attributes: SpanAttributes) => void

interface Tracing {
  readonly tracer: Tracer
  readonly within: (span: Span) => Context
}

/** `SpanKind` and `SpanStatusCode` of the API, whose values its specification fixes. */
const INTERNAL = 0
const CLIENT = 2
const ERROR = 2

let tracing: Tracing | undefined
let loading: Promise<void> | undefined

/** Looks for the package, once. */
export function loadTracing(): Promise<void> {
  loading ??= import('@opentelemetry/api').then(
    ({ context, trace }) => {
      tracing = {
        tracer: trace.getTracer('holdfast'),
        within: (span) => trace.setSpan(context.active(), span),
      }
    },
    // An optional dependency: a program without it, or with one that does not load, has no tracer to be told either.
    () => undefined,
  )
  return loading
}

/** A piece of work with what it asks of the worker inside. Starts it before it returns. */
export function traceWork<T>(operation: string, work: (annotate: Annotate) => Promise<T>): Promise<T> {
  if (tracing === undefined) return work(() => undefined)
  return tracing.tracer.startActiveSpan(
    operation,
    { kind: INTERNAL, attributes: operationAttributes(operation) },
    (span) => ended(span, () => work((attributes) => span.setAttributes({ ...attributes }))),
  )
}

/** A call of the worker. */
export function traceCall<M extends MethodName>(
  method: M,
  request: RequestOf<M>,
  call: () => Promise<ResultOf<M>>,
): Promise<ResultOf<M>> {
  const span = startCall(method, request)
  if (span === undefined) return call()
  return ended(span, async () => {
    const result = await call()
    annotateResult(span, method, result)
    return result
  })
}

/** A call of the worker that blocks this thread. */
export function traceCallSync<M extends MethodName>(
  method: M,
  request: RequestOf<M>,
  call: () => ResultOf<M>,
): ResultOf<M> {
  const span = startCall(method, request)
  if (span === undefined) return call()
  try {
    const result = call()
    annotateResult(span, method, result)
    return result
  } catch (error) {
    fail(span, error)
    throw error
  } finally {
    span.end()
  }
}

/** Parts of other work, questions that come in a rhythm, and what comes when the thread ends. */
const UNTRACED: ReadonlySet<MethodName> = new Set<MethodName>([
  'hydrate',
  'wasApplied',
  'status',
  'backupProgress',
  'rotationProgress',
  'followed',
  'halt',
])
const OPERATIONS: Partial<Record<MethodName, string>> = {
  commitUnits: 'commit',
  sqlTable: 'sql',
  restoreMoment: 'restore',
}

function startCall(method: MethodName, request: readonly unknown[]): Span | undefined {
  if (tracing === undefined || UNTRACED.has(method)) return undefined
  const operation = method === 'keys' ? (request[0] as KeyRequest).change.operation : (OPERATIONS[method] ?? method)
  const { collection, file } = (request[0] ?? {}) as { readonly collection?: unknown; readonly file?: unknown }
  const attributes: Record<string, string> = operationAttributes(operation)
  if (typeof collection === 'string') attributes['db.collection.name'] = collection
  if (typeof file === 'string') attributes['db.namespace'] = file
  const target = attributes['db.collection.name'] ?? attributes['db.namespace']
  const isCommit = operation === 'commit'
  // A batch is of many writers: the one whose turn sent it is not its parent.
  const options = { kind: CLIENT, attributes, root: isCommit }
  const span = tracing.tracer.startSpan(target === undefined ? operation : `${operation} ${target}`, options)
  if (!span.isRecording()) return undefined
  if (isCommit) span.setAttributes(batchSize(request[0] as Batch | UnitBatch))
  return span
}

function operationAttributes(operation: string): Record<string, string> {
  return { 'db.system.name': 'sqlite', 'db.operation.name': operation }
}

function batchSize(batch: Batch | UnitBatch): Record<string, number> {
  let operations = 0
  let bytes = 0
  const add = (text: string | null) => {
    bytes += text === null ? 0 : Buffer.byteLength(text)
  }
  if ('segments' in batch) {
    for (const { keys, documents } of batch.segments) {
      operations += keys.length
      for (const text of keys) add(text)
      for (const text of documents) add(text)
    }
  } else {
    for (const { key, json } of batch.units.flat()) {
      operations += 1
      add(key)
      add(json)
    }
  }
  return {
    'holdfast.batch.operations': operations,
    'holdfast.batch.bytes': bytes,
    // The convention has it for batches of at least two.
    ...(operations > 1 ? { 'db.operation.batch.size': operations } : {}),
  }
}

function annotateResult(span: Span, method: MethodName, result: unknown): void {
  const rows = returnedRows(method, result)
  if (rows !== undefined) span.setAttribute('db.response.returned_rows', rows)
  if (method === 'open') traceMigration(span, result as OpenResult)
}

function returnedRows(method: MethodName, result: unknown): number | undefined {
  if (method === 'sql') return (result as readonly unknown[]).length
  if (method === 'sqlTable') return (result as SqlTable).rows.length
  if (method === 'page') return (result as Page).count
  if (method === 'get' || method === 'entry') return result === null ? 0 : 1
  return undefined
}

/** It ran in the worker, which tells when. */
function traceMigration(openSpan: Span, { appliedMigrations, migrated, created }: OpenResult): void {
  openSpan.setAttribute('holdfast.created', created)
  if (tracing === undefined || migrated === null) return
  const attributes = { ...operationAttributes('migrate'), 'holdfast.migrations': [...appliedMigrations] }
  tracing.tracer
    .startSpan('migrate', { kind: INTERNAL, startTime: migrated.startedAtMs, attributes }, tracing.within(openSpan))
    .end(migrated.endedAtMs)
}

async function ended<T>(span: Span, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    fail(span, error)
    throw error
  } finally {
    span.end()
  }
}

/** The code says it; a message may name a path. */
function fail(span: Span, error: unknown): void {
  span.setAttribute('error.type', isStoreError(error) ? error.code : '_OTHER')
  span.setStatus({ code: ERROR })
}
