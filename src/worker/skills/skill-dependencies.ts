/** Which versions of which skills a version needs, over any number of steps. */
import { StoreError } from '../../protocol/store-error.ts'
import type { BindValue, Row } from '../driver.ts'

/** Every step of the way, each once; `UNION` ends also where the way leads in a circle. */
export const NEEDED_SQL = `
WITH RECURSIVE need ("skill", "version") AS (
  VALUES (?1, ?2)
  UNION
  SELECT d."dependency", coalesce(d."pinned", s."version")
  FROM need n
  JOIN "_skillDependencies" d ON d."skill" = n."skill" AND d."version" = n."version"
  JOIN "_skills" s ON s."id" = d."dependency"
)
SELECT n."skill", n."version", s."name", d."dependency", coalesce(d."pinned", t."version") AS "needed"
FROM need n
JOIN "_skills" s ON s."id" = n."skill"
LEFT JOIN "_skillDependencies" d ON d."skill" = n."skill" AND d."version" = n."version"
LEFT JOIN "_skills" t ON t."id" = d."dependency"
ORDER BY n."skill", n."version", d."position"`

interface Node {
  readonly skill: number
  readonly name: string
  readonly version: number
  readonly needs: string[]
}

export interface NeededVersion {
  readonly name: string
  readonly version: number
}

type Query = (sql: string, parameters: readonly BindValue[]) => Promise<Row[]>

async function graphOf(query: Query, skill: number, version: number): Promise<ReadonlyMap<string, Node>> {
  const nodes = new Map<string, Node>()
  for (const row of await query(NEEDED_SQL, [skill, version])) {
    const key = `${row.skill}:${row.version}`
    const node = nodes.get(key) ?? {
      skill: Number(row.skill),
      name: String(row.name),
      version: Number(row.version),
      needs: [],
    }
    nodes.set(key, node)
    if (row.dependency !== null) node.needs.push(`${row.dependency}:${row.needed}`)
  }
  return nodes
}

/** In the order in which they have to be there: each behind what it needs itself. */
export async function neededVersions(query: Query, skill: number, version: number): Promise<NeededVersion[]> {
  const nodes = await graphOf(query, skill, version)
  const root = `${skill}:${version}`
  const ordered: NeededVersion[] = []
  const seen = new Set<string>([root])
  const stack = [{ key: root, next: 0 }]
  while (stack.length > 0) {
    const step = stack.at(-1) as { key: string; next: number }
    const node = nodes.get(step.key) as Node
    const need = node.needs[step.next]
    step.next += 1
    if (need === undefined) {
      stack.pop()
      if (step.key !== root) ordered.push({ name: node.name, version: node.version })
    } else if (!seen.has(need)) {
      seen.add(need)
      stack.push({ key: need, next: 0 })
    }
  }
  return ordered
}

/**
 * A skill that needs itself by way of others could never be loaded. Any version of it counts: one of them would be the
 * current one again some day.
 *
 * @throws StoreError `CONSTRAINT`; the way round stands in `details.path`
 */
export async function assertNoCycle(query: Query, skill: number, version: number): Promise<void> {
  const nodes = await graphOf(query, skill, version)
  const root = `${skill}:${version}`
  const from = new Map<string, string>()
  const queue = [root]
  for (const key of queue) {
    for (const need of nodes.get(key)?.needs ?? []) {
      const node = nodes.get(need) as Node
      if (node.skill === skill) throw cycle(nodes, from, key, root)
      if (from.has(need)) continue
      from.set(need, key)
      queue.push(need)
    }
  }
}

function cycle(
  nodes: ReadonlyMap<string, Node>,
  from: ReadonlyMap<string, string>,
  last: string,
  root: string,
): StoreError {
  const { name } = nodes.get(root) as Node
  const path = [name]
  for (let key: string | undefined = last; key !== undefined && key !== root; key = from.get(key)) {
    path.unshift((nodes.get(key) as Node).name)
  }
  path.unshift(name)
  return new StoreError(
    'CONSTRAINT',
    'A skill would depend on itself by way of the others in details.path. Nothing was saved; take one of them out.',
    { details: { name, path } },
  )
}
