/**
 * Queries over indexed fields: the same shape on both sides of the thread boundary, validated once on the client and
 * turned into SQL (cold collections) or into a predicate (hot ones). Both follow SQLite's comparison rules.
 */
import * as z from 'zod'
import type { AnyCollection, DocumentOf, IndexedFieldOf } from './define-collection.ts'

const scalar = z.union([z.string(), z.number(), z.boolean()])

const comparison = z
  .strictObject({
    in: z
      .array(z.union([scalar, z.null()]))
      .max(1_000)
      .optional(),
    ne: z.union([scalar, z.null()]).optional(),
    gt: scalar.optional(),
    gte: scalar.optional(),
    lt: scalar.optional(),
    lte: scalar.optional(),
  })
  .refine((value) => Object.values(value).some((operand) => operand !== undefined), 'expected a comparison')

/** One field's condition on the wire: a value to equal, or comparisons that must all hold. */
export const conditionSchema = z.union([scalar, z.null(), comparison])
export const whereSchema = z.record(z.string(), conditionSchema)

export const querySchema = z.strictObject({
  where: whereSchema.optional(),
  orderBy: z.string().optional(),
  order: z.enum(['asc', 'desc']).optional(),
  limit: z.int().nonnegative().optional(),
  offset: z.int().nonnegative().optional(),
  includeArchived: z.boolean().optional(),
})

export type ScalarWire = z.infer<typeof scalar>
export type ConditionWire = z.infer<typeof conditionSchema>
export type ComparisonWire = z.infer<typeof comparison>
export type WhereWire = z.infer<typeof whereSchema>
export type QueryWire = z.infer<typeof querySchema>

type Comparable<T> = Extract<T, string | number | boolean>

/** A condition on a field of type `T`: equal to a value, or every comparison given. `null` also matches a missing field. */
export type Condition<T> =
  | Comparable<T>
  | null
  | {
      readonly in?: readonly (Comparable<T> | null)[]
      readonly ne?: Comparable<T> | null
      readonly gt?: Comparable<T>
      readonly gte?: Comparable<T>
      readonly lt?: Comparable<T>
      readonly lte?: Comparable<T>
    }

/** Conditions on indexed fields; all must hold. */
export type Where<C extends AnyCollection> = {
  readonly [F in IndexedFieldOf<C> & keyof DocumentOf<C>]?: Condition<DocumentOf<C>[F]>
}

/** What `list` and `stream` take. Without `orderBy` documents come in the order they were first written. */
export interface Query<C extends AnyCollection> {
  readonly where?: Where<C>
  readonly orderBy?: (IndexedFieldOf<C> & keyof DocumentOf<C>) | undefined
  /** Default `asc`. */
  readonly order?: 'asc' | 'desc'
  readonly limit?: number
  readonly offset?: number
  /** Reads on into the yearly files; trades, orders and fills only. */
  readonly includeArchived?: boolean
}
