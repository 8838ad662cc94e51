/**
 * Readers that have the yearly files attached to `state.db`. Which years there are is part of each answer, so a year that
 * was added meanwhile, be it by another process, is never left out: then the readers are opened anew.
 */
import type { Page, PageRequest } from '../../protocol/methods.ts'
import { StoreError } from '../../protocol/store-error.ts'
import type { CollectionSpec } from '../../schema/define-collection.ts'
import type { WhereWire } from '../../schema/query.ts'
import type { Connection, Row } from '../driver.ts'
import type { Sql } from '../query-sql.ts'
import { ReadPool } from '../read-pool.ts'
import type { ReadSlots } from '../read-slots.ts'
import { archivedCountSql, archivedGetSql, archivedPageSql } from './archived-sql.ts'

export interface ArchivedReadsOptions {
  readonly readSlots: ReadSlots
  /** The years that `state.db` knows of. */
  readonly years: () => Promise<number[]>
  /** A reader of `state.db` with the files of these years attached. */
  readonly open: (years: readonly number[]) => Promise<Connection>
}

/** Readers of the same years; closed with the last query once it is replaced. */
interface Generation {
  readonly years: readonly number[]
  readonly pool: ReadPool
  active: number
  isReplaced: boolean
}

const ATTEMPTS = 3

export class ArchivedReads {
  readonly #options: ArchivedReadsOptions
  #generation: Promise<Generation> | undefined

  constructor(options: ArchivedReadsOptions) {
    this.#options = options
  }

  async page(request: PageRequest, spec: CollectionSpec): Promise<Page> {
    const row = await this.#read((years) => archivedPageSql(request, spec, years))
    const count = Number(row.count)
    const hasMore = count === request.maxRows && count > 0
    const cursor = { value: row.value as string | number | null, id: Number(row.id), key: String(row.key) }
    return { json: String(row.json), count, cursor: hasMore ? cursor : null }
  }

  async count(spec: CollectionSpec, where: WhereWire): Promise<number> {
    return Number((await this.#read((years) => archivedCountSql(spec, where, years))).count)
  }

  async get(spec: CollectionSpec, key: string): Promise<string | null> {
    const { json } = await this.#read((years) => archivedGetSql(spec, key, years))
    return json === null ? null : String(json)
  }

  /** Closes the readers; the next read opens new ones. */
  async close(): Promise<void> {
    const generation = this.#generation
    this.#generation = undefined
    if (generation !== undefined) await replace(await generation)
  }

  async #read(sqlFor: (years: readonly number[]) => Sql): Promise<Row> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      this.#generation ??= this.#start()
      const opened = this.#generation
      const generation = await opened.catch((error: unknown) => {
        if (this.#generation === opened) this.#generation = undefined
        throw error
      })
      const row = await this.#queryIn(generation, sqlFor(generation.years))
      if (Number(row?.years) === generation.years.length) return row as Row
      if (this.#generation === opened) {
        this.#generation = undefined
        await replace(generation)
      }
    }
    throw new StoreError('INTERNAL', 'The yearly files change faster than they can be opened. Please report it.')
  }

  async #start(): Promise<Generation> {
    const years = await this.#options.years()
    const pool = new ReadPool(this.#options.readSlots, () => this.#options.open(years))
    return { years, pool, active: 0, isReplaced: false }
  }

  async #queryIn(generation: Generation, { text, parameters }: Sql): Promise<Row | undefined> {
    generation.active += 1
    try {
      const [row] = await generation.pool.query(text, parameters)
      return row
    } finally {
      generation.active -= 1
      if (generation.isReplaced) await replace(generation)
    }
  }
}

async function replace(generation: Generation): Promise<void> {
  generation.isReplaced = true
  if (generation.active === 0) await generation.pool.close()
}
