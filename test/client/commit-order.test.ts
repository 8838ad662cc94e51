/**
 * Order of acceptance is order of commit. Random programs write to one store in bursts, singly and in transactions,
 * awaited and not. A plain Map then takes the units that became durable, in the order they were accepted: memory, the
 * database and, after a restart, both again must hold exactly that, versions included.
 */
import fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import { defineCollection, isStoreError, z } from '../../src/index.ts'
import { openTempStore, tempDir } from './fixtures/temp-store.ts'

const schema = z.object({ id: z.string(), n: z.number(), name: z.string().optional() })
const collections = {
  hot: defineCollection({ name: 'hot', key: 'id', schema, hot: true }),
  cold: defineCollection({ name: 'cold', key: 'id', schema }),
  /** Hot, and no two documents have the same name. */
  named: defineCollection({ name: 'named', key: 'id', schema, indexes: ['name'], unique: ['name'], hot: true }),
} as const
type Name = keyof typeof collections
const NAMES = Object.keys(collections) as Name[]

interface Step {
  readonly collection: Name
  readonly kind: 'put' | 'insert' | 'delete'
  readonly key: string
  readonly name: string | undefined
  readonly ifVersion: number | undefined
}
type Unit = { readonly how: 'alone' | 'blocking' | 'transaction'; readonly steps: readonly Step[] }
type Turn = { readonly units: readonly Unit[]; readonly then: 'go on' | 'let others in' | 'flush' }

const step: fc.Arbitrary<Step> = fc.record({
  collection: fc.constantFrom(...NAMES),
  kind: fc.constantFrom('put', 'put', 'insert', 'delete'),
  key: fc.constantFrom('a', 'b', 'c'),
  name: fc.option(fc.constantFrom('x', 'y'), { nil: undefined }),
  ifVersion: fc.option(fc.nat(3), { nil: undefined, freq: 5 }),
})
const unit: fc.Arbitrary<Unit> = fc.oneof(
  { weight: 6, arbitrary: step.map((each): Unit => ({ how: 'alone', steps: [each] })) },
  { weight: 1, arbitrary: step.map((each): Unit => ({ how: 'blocking', steps: [each] })) },
  {
    weight: 3,
    arbitrary: fc.array(step, { minLength: 1, maxLength: 4 }).map((steps): Unit => ({ how: 'transaction', steps })),
  },
)
const program: fc.Arbitrary<Turn[]> = fc.array(
  fc.record({
    units: fc.array(unit, { minLength: 1, maxLength: 10 }),
    // biome-ignore lint/suspicious/noThenProperty: the record is never awaited.
    then: fc.constantFrom('go on', 'let others in', 'flush'),
  }),
  { minLength: 1, maxLength: 4 },
)

interface Stored {
  readonly document: { readonly id: string; readonly n: number; readonly name?: string }
  readonly version: number
}
type Model = Record<Name, Map<string, Stored>>

const dir = tempDir(afterAll)
const store = await openTempStore({ dir, collections }, afterAll)
type Documents = Stored['document']
interface Writes {
  put(document: Documents, options?: { ifVersion?: number }): unknown
  insert(document: Documents): unknown
  delete(key: string, options?: { ifVersion?: number }): unknown
}

let run = 0
let counter = 0
const everything: Model = { hot: new Map(), cold: new Map(), named: new Map() }

/** A step with names of this run and a number of its own. */
interface Write extends Step {
  readonly document: Documents
}

function toWrite(each: Step): Write {
  const key = `${run}-${each.key}`
  const document = { id: key, n: ++counter, ...(each.name === undefined ? {} : { name: `${run}-${each.name}` }) }
  return { ...each, key, document }
}

function issue(target: Writes, { kind, key, document, ifVersion }: Write): unknown {
  const options = ifVersion === undefined ? {} : { ifVersion }
  if (kind === 'put') return target.put(document, options)
  return kind === 'insert' ? target.insert(document) : target.delete(key, options)
}

function start({ how }: Unit, writes: readonly Write[]): Promise<unknown> {
  const [first] = writes as [Write]
  try {
    if (how === 'alone') return issue(store[first.collection] as Writes, first) as Promise<unknown>
    if (how === 'blocking') return Promise.resolve(issue(store.sync[first.collection] as Writes, first))
    return store.transaction((tx) => {
      for (const write of writes) issue(tx[write.collection] as Writes, write)
    })
  } catch (error) {
    return Promise.reject(error)
  }
}

/** What one durable write leaves; throws where the database should have refused it. */
function apply(model: Model, { collection, kind, key, document, ifVersion }: Write): void {
  const documents = model[collection]
  const version = documents.get(key)?.version ?? 0
  if (ifVersion !== undefined && kind !== 'insert' && version !== ifVersion) throw new Error('wrong version was let in')
  if (kind === 'insert' && version !== 0) throw new Error('second insert was let in')
  if (kind === 'delete') documents.delete(key)
  else documents.set(key, { document, version: version + 1 })
  if (collection !== 'named' || document.name === undefined || kind === 'delete') return
  for (const [other, stored] of documents) {
    if (other !== key && stored.document.name === document.name) throw new Error('equal name was let in')
  }
}

const asObject = (model: Model) => Object.fromEntries(NAMES.map((name) => [name, Object.fromEntries(model[name])]))

async function inDatabase(from: typeof store, prefix: string): Promise<Record<string, Record<string, Stored>>> {
  const found: Record<string, Record<string, Stored>> = {}
  for (const name of NAMES) {
    const sql = `select _key, _doc, _version from main.${name} where _key like ? order by _id`
    const rows = await from.sql<{ _key: string; _doc: string; _version: number }>(sql, [`${prefix}%`])
    found[name] = Object.fromEntries(
      rows.map((row) => [row._key, { document: JSON.parse(row._doc), version: row._version }]),
    )
  }
  return found
}

function inMemory(from: typeof store, name: 'hot' | 'named', prefix: string): Record<string, unknown> {
  const documents = from[name].list().filter(({ id }) => id.startsWith(prefix))
  return Object.fromEntries(documents.map((document) => [document.id, document]))
}

/** The keys a stored object has, in its order. */
const keysOf = (stored: Record<string, unknown> = {}) => Object.keys(stored)

const documentsOf = (stored: Record<string, Stored> = {}) =>
  Object.fromEntries(Object.entries(stored).map(([key, { document }]) => [key, document]))

test('memory and database hold what was accepted and did not fail, in that order', async () => {
  const fromEvents = { hot: new Map<string, unknown>(), named: new Map<string, unknown>() }
  for (const name of ['hot', 'named'] as const) {
    store[name].on('change', ({ key, document }) => {
      if (document === undefined) fromEvents[name].delete(key)
      else fromEvents[name].set(key, document)
    })
  }
  await fc.assert(
    fc.asyncProperty(program, async (turns) => {
      run += 1
      const model: Model = { hot: new Map(), cold: new Map(), named: new Map() }
      const accepted: { readonly writes: readonly Write[]; readonly durable: Promise<unknown> }[] = []
      for (const { units, then } of turns) {
        for (const each of units) {
          const writes = each.steps.map(toWrite)
          const durable = start(each, writes)
          durable.catch(() => undefined)
          accepted.push({ writes, durable })
        }
        if (then === 'flush') await store.flush()
        if (then === 'let others in') await new Promise((resolve) => setImmediate(resolve))
      }
      const outcomes = await Promise.allSettled(accepted.map(({ durable }) => durable))
      const nothingFailed = outcomes.every(({ status }) => status === 'fulfilled')
      for (const [index, outcome] of outcomes.entries()) {
        if (outcome.status === 'fulfilled') {
          for (const write of accepted[index]?.writes ?? []) apply(model, write)
        } else {
          const { reason } = outcome
          if (!isStoreError(reason)) throw reason
          expect(['ALREADY_EXISTS', 'VERSION_CONFLICT', 'CONSTRAINT']).toContain(reason.code)
        }
      }
      const expected = asObject(model)
      const stored = await inDatabase(store, `${run}-`)
      expect(stored).toEqual(expected)
      for (const name of ['hot', 'named'] as const) {
        const documents = documentsOf(expected[name])
        const shown = inMemory(store, name, `${run}-`)
        expect(shown).toEqual(documents)
        if (nothingFailed) expect(keysOf(shown)).toEqual(keysOf(stored[name]))
        const heard = [...fromEvents[name]].filter(([key]) => key.startsWith(`${run}-`))
        expect(Object.fromEntries(heard)).toEqual(documents)
      }
      for (const name of NAMES) for (const [key, stored] of model[name]) everything[name].set(key, stored)
    }),
    { numRuns: 150 },
  )

  await store.close()
  const again = await openTempStore({ dir, collections })
  expect(await inDatabase(again, '')).toMatchObject(asObject(everything))
  for (const name of ['hot', 'named'] as const) {
    expect(inMemory(again, name, '')).toMatchObject(documentsOf(asObject(everything)[name]))
  }
})
