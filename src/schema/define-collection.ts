/**
 * A collection is described once, here: its zod schema gives the TypeScript types and the validation on the main
 * thread, its plain-data `CollectionSpec` gives the table, the indexes and the constraints in the worker.
 */
import * as z from 'zod'
import { StoreError } from '../protocol/store-error.ts'
import type { DatabaseFile } from './database-file.ts'
import type { DeepReadonly } from './json.ts'

/** Keeps documents in memory while `field` has one of the values `in`; the others stay on disk. */
export interface HotWhile<Field extends string = string, Value extends string = string> {
  readonly field: Field
  readonly in: readonly Value[]
}

/** `true`: mirrored in memory whole; `false`: on disk; `HotWhile`: the documents that match are mirrored. */
export type Heat = boolean | HotWhile

type ObjectSchema = z.ZodObject
/** Fields the schema names; a loose schema has an index signature besides, which is no field. */
type FieldOf<S extends ObjectSchema> = Extract<keyof S['shape'], string>
type TextFieldOf<S extends ObjectSchema> = {
  [F in FieldOf<S>]: z.output<S['shape'][F]> extends string ? F : never
}[FieldOf<S>]

/** What `defineCollection` takes. */
export interface CollectionOptions<
  Name extends string,
  S extends ObjectSchema,
  Key extends TextFieldOf<S>,
  Indexed extends FieldOf<S>,
  Sealed extends FieldOf<S>,
  H extends Heat,
> {
  /** Also the name of the table: a letter, then letters, digits or `_`. */
  readonly name: Name
  /** The field that holds the document's key: a required string. */
  readonly key: Key
  readonly schema: S
  /** Fields that `find` and `list` may filter and order by. */
  readonly indexes?: readonly Indexed[]
  /** Indexed fields whose value may occur once. */
  readonly unique?: readonly NoInfer<Indexed>[]
  /** Indexed fields that hold the key of a document in another collection of the same file. */
  readonly references?: { readonly [F in NoInfer<Indexed>]?: string }
  /** Optional string fields sealed a second time under a key of their own; read back only through `reveal`. */
  readonly sealed?: readonly Sealed[]
  readonly hot?: H
  readonly file?: DatabaseFile
}

/** The plain-data part of a definition: what crosses to the worker. */
export interface CollectionSpec {
  readonly name: string
  readonly key: string
  readonly fields: readonly string[]
  readonly indexes: readonly string[]
  readonly unique: readonly string[]
  readonly references: Readonly<Record<string, string>>
  readonly sealed: readonly string[]
  readonly hot: Heat
  readonly file: DatabaseFile
}

/** A collection as `defineCollection` returns it; the type parameters carry the shapes of documents and queries. */
export interface CollectionDefinition<
  Name extends string = string,
  Document = unknown,
  Input = unknown,
  Key extends string = string,
  Indexed extends string = string,
  Sealed extends string = string,
  H extends Heat = Heat,
> {
  readonly spec: CollectionSpec & { readonly name: Name; readonly hot: H }
  readonly schema: z.ZodType<Document, Input>
  /** Carries types only; never set. */
  readonly types?: { readonly key: Key; readonly indexed: Indexed; readonly sealed: Sealed }
}

// biome-ignore lint/suspicious/noExplicitAny: `any` is what lets every definition match, whatever its variance.
export type AnyCollection = CollectionDefinition<any, any, any, any, any, any, any>

/** What the store gives out: the document without its sealed fields, read-only all the way down. */
export type DocumentOf<C extends AnyCollection> =
  C extends CollectionDefinition<string, infer D, unknown, string, string, infer Sealed, Heat>
    ? DeepReadonly<[Sealed] extends [never] ? D : Omit<D, Sealed>>
    : never

/** What `put` and `insert` take. */
export type InputOf<C extends AnyCollection> =
  C extends CollectionDefinition<string, unknown, infer I, string, string, string, Heat> ? DeepReadonly<I> : never

export type KeyFieldOf<C extends AnyCollection> = NonNullable<C['types']>['key']
export type IndexedFieldOf<C extends AnyCollection> = NonNullable<C['types']>['indexed']
export type SealedFieldOf<C extends AnyCollection> = NonNullable<C['types']>['sealed']
export type HeatOf<C extends AnyCollection> = C['spec']['hot']

const NAME_PATTERN = /^[a-zA-Z][a-zA-Z0-9_]{0,62}$/
const MAX_FIELDS = 500

/**
 * Describes a collection: one zod object schema, one table.
 *
 * Documents are JSON: schemas that produce dates, bigints, maps or functions are refused when a document is written.
 * Every top-level field is a column in SQL; those in `indexes` are indexed. Fields that a plain `z.object` does not
 * name are kept, not dropped; use `z.strictObject` to refuse them.
 *
 * @throws StoreError `INVALID_COLLECTION` with the reason.
 *
 * @example
 * const watchlist = defineCollection({
 *   name: 'watchlist',
 *   key: 'symbol',
 *   schema: z.object({ symbol: z.string(), tag: z.string(), note: z.string().optional() }),
 *   indexes: ['tag'],
 *   hot: true,
 * })
 */
export function defineCollection<
  const Name extends string,
  S extends ObjectSchema,
  const Key extends TextFieldOf<S>,
  const Indexed extends FieldOf<S> = never,
  const Sealed extends FieldOf<S> = never,
  const H extends Heat = false,
>(
  options: CollectionOptions<Name, S, Key, Indexed, Sealed, H>,
): CollectionDefinition<Name, z.output<S>, z.input<S>, Key, Indexed | Key, Sealed, H> {
  const { name, key, schema } = options
  const fail = (reason: string): never => {
    throw new StoreError('INVALID_COLLECTION', `Collection "${name}" can't be defined: ${reason}`)
  }
  if (!NAME_PATTERN.test(name)) fail('its name must be a letter followed by up to 62 letters, digits or underscores.')
  if (/^sqlite_/i.test(name)) fail('names that begin with "sqlite_" belong to SQLite.')
  if (!(schema instanceof z.ZodObject)) fail('its schema must be a zod object.')

  const fields = Object.keys(schema.shape)
  if (fields.length > MAX_FIELDS) fail(`it has ${fields.length} fields; at most ${MAX_FIELDS} are possible.`)
  for (const field of fields) {
    if (!NAME_PATTERN.test(field)) {
      fail(`field "${field}" must be named by a letter followed by letters, digits or underscores.`)
    }
  }
  const lowered = new Set(fields.map((field) => field.toLowerCase()))
  if (lowered.size !== fields.length) fail('two of its fields differ only in case, which SQL columns cannot.')

  const known = (field: string, role: string) => {
    if (!fields.includes(field)) fail(`its ${role} "${field}" is not a field of its schema.`)
  }
  const indexes: readonly string[] = options.indexes ?? []
  const unique: readonly string[] = options.unique ?? []
  const sealed: readonly string[] = options.sealed ?? []
  const references = (options.references ?? {}) as Readonly<Record<string, string>>
  const hot = (options.hot ?? false) as H
  known(key, 'key')
  for (const field of indexes) known(field, 'index')
  for (const field of [...unique, ...Object.keys(references)]) {
    if (!indexes.includes(field)) fail(`"${field}" is unique or a reference, so it must also be listed in indexes.`)
  }
  for (const field of sealed) {
    known(field, 'sealed field')
    if (field === key || indexes.includes(field)) fail(`sealed field "${field}" can be neither the key nor indexed.`)
  }
  if (sealed.length > 0 && hot !== false) fail('a collection with sealed fields can not be hot.')
  if (typeof hot === 'object') {
    known(hot.field, 'hot field')
    if (!indexes.includes(hot.field)) fail(`its hot field "${hot.field}" must also be listed in indexes.`)
    if (hot.in.length === 0) fail('its hot field lists no values; use hot: false.')
  }
  return Object.freeze({
    spec: Object.freeze({
      name,
      key,
      fields: Object.freeze(fields),
      indexes: Object.freeze([...indexes]),
      unique: Object.freeze([...unique]),
      references: Object.freeze({ ...references }),
      sealed: Object.freeze([...sealed]),
      hot,
      file: options.file ?? 'state',
    }),
    schema: keepUnknownFields(schema) as unknown as z.ZodType<z.output<S>, z.input<S>>,
  })
}

/** A plain `z.object` would drop fields it does not name; a store must not lose what it was given, so they are kept. */
function keepUnknownFields(schema: ObjectSchema): ObjectSchema {
  return schema.def.catchall === undefined ? schema.loose() : schema
}
