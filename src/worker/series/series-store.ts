/** Series in `market.db`: recent points in a row table, the rest in blocks of encoded columns. */
import type { SeriesInfo, SeriesKind, SeriesMethods } from '../../protocol/series.ts'
import type { FileBackend } from '../file-backend.ts'
import { toStoreError } from '../io-error.ts'

export const SERIES_METHODS = ['seriesList'] as const satisfies readonly (keyof SeriesMethods)[]

export interface SeriesStoreOptions {
  readonly dir: string
  readonly market: FileBackend
}

export class SeriesStore implements SeriesMethods {
  readonly #dir: string
  readonly #market: FileBackend

  constructor({ dir, market }: SeriesStoreOptions) {
    this.#dir = dir
    this.#market = market
  }

  async seriesList({ kind }: { readonly kind: SeriesKind | null }): Promise<readonly SeriesInfo[]> {
    return await this.#ownErrors(async () => {
      const sql =
        'SELECT "kind", "symbol", "interval", "identity", "columns" FROM "_series" WHERE ?1 IS NULL OR "kind" = ?1'
      const rows = await this.#market.readers.query(sql, [kind])
      return rows as unknown as SeriesInfo[]
    })
  }

  /** Before the files close. */
  async close(): Promise<void> {}

  async #ownErrors<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw await toStoreError(error, this.#dir)
    }
  }
}
