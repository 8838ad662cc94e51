/**
 * The statements that write documents. A batch that fits one statement commits without BEGIN and COMMIT, so small counts,
 * which is what a busy hour without bursts makes, have a statement each; larger ones are put together from a few sizes.
 */
import type { CollectionSpec } from '../schema/define-collection.ts'
import { quoteName } from './quote.ts'

/** Every count up to here is one statement. */
const MAX_EXACT_ROWS = 32
/** Sizes above it, largest first. */
const CHUNK_ROWS = [256, 64, MAX_EXACT_ROWS] as const

const COLUMNS = '("_key", "_doc", "_version", "_createdAt", "_updatedAt", "_sequence")'

type StatementText = (spec: CollectionSpec, rows: number) => string

/** The rows that the next statement of `rows` or fewer takes. */
export function statementRows(rows: number): number {
  return CHUNK_ROWS.find((size) => size <= rows) ?? rows
}

/** Parameters: time, sequence, then key and document of each row. */
export const insertSql: StatementText = remembered(({ name }, rows) => {
  const values = Array.from({ length: rows }, (_, row) => `(?${3 + 2 * row}, ?${4 + 2 * row}, 1, ?1, ?1, ?2)`)
  return `INSERT INTO ${quoteName(name)} ${COLUMNS} VALUES ${values.join(', ')}`
})

/** Parameters as for `insertSql`. */
export const putSql: StatementText = remembered(
  (spec, rows) =>
    `${insertSql(spec, rows)} ON CONFLICT ("_key") DO UPDATE SET "_doc" = excluded."_doc", "_version" = "_version" + 1, "_updatedAt" = excluded."_updatedAt", "_sequence" = excluded."_sequence"`,
)

/** Parameters: the keys. */
export const deleteSql: StatementText = remembered(
  ({ name }, rows) => `DELETE FROM ${quoteName(name)} WHERE "_key" IN (${Array(rows).fill('?').join(', ')})`,
)

/** Composing a text for each batch cost more than looking up its statement. */
function remembered(compose: StatementText): StatementText {
  const texts = new WeakMap<CollectionSpec, string[]>()
  return (spec, rows) => {
    let ofSpec = texts.get(spec)
    if (ofSpec === undefined) {
      ofSpec = []
      texts.set(spec, ofSpec)
    }
    let text = ofSpec[rows]
    if (text === undefined) {
      text = compose(spec, rows)
      ofSpec[rows] = text
    }
    return text
  }
}
