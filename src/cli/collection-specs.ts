/**
 * The plain-data definitions of every collection in a store: the built-in ones, and those that programs have defined,
 * which the store records beside their data.
 */
import { builtInCollections, type CollectionSpec, type DatabaseFile, type Store, StoreError } from '../index.ts'

const FILES: readonly DatabaseFile[] = ['state', 'market']

export async function collectionSpecs(store: Store): Promise<ReadonlyMap<string, CollectionSpec>> {
  const specs = new Map<string, CollectionSpec>()
  for (const { spec } of Object.values(builtInCollections)) specs.set(spec.name, spec)
  for (const file of FILES) {
    for (const row of await store.sql('select "spec" from "_collections" order by "name"', [], { file })) {
      const spec = JSON.parse(String(row.spec)) as CollectionSpec
      specs.set(spec.name, spec)
    }
  }
  return specs
}

/** @throws StoreError `UNKNOWN_COLLECTION` with the names there are. */
export async function collectionSpec(store: Store, name: string): Promise<CollectionSpec> {
  store.collection(name)
  const spec = (await collectionSpecs(store)).get(name)
  if (spec !== undefined) return spec
  throw new StoreError('UNKNOWN_COLLECTION', `The definition of "${name}" is not recorded in the store.`, {
    details: { collection: name },
  })
}

/** Collections before those that refer to them, so that documents can be written in this order. */
export function inOrderOfReference(specs: readonly CollectionSpec[]): CollectionSpec[] {
  const byName = new Map(specs.map((spec) => [spec.name, spec]))
  const ordered = new Set<CollectionSpec>()
  const visit = (spec: CollectionSpec, path: readonly CollectionSpec[]) => {
    if (ordered.has(spec) || path.includes(spec)) return
    for (const parent of Object.values(spec.references)) {
      const target = byName.get(parent)
      if (target !== undefined) visit(target, [...path, spec])
    }
    ordered.add(spec)
  }
  for (const spec of specs) visit(spec, [])
  return [...ordered]
}
