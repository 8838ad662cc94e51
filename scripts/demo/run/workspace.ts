/** The folder the demo works in. Only one that a demo has made is ever cleared. */
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'

const MARKER = 'made-by-holdfast-demo'
const CONTENT = ['state', 'reference', 'as-killed', 'in-clear', 'market.json'] as const

export interface Workspace {
  /** Stays, for you to look at. */
  readonly state: string
  /** The store of the bot that nobody interrupts. */
  readonly reference: string
  /** Copies of the store's files as each kill has left them. */
  readonly asKilled: string
  /** The bars that both exchanges go by. */
  readonly market: string
  /** For the search that has to find something. */
  readonly inClear: string
  /** Removes all but `state`. */
  clear(): Promise<void>
}

/** @throws Error when the folder holds something a demo did not make */
export async function prepareWorkspace(dir: string): Promise<Workspace> {
  await mkdir(dir, { recursive: true })
  const entries = await readdir(dir)
  if (entries.length > 0 && !entries.includes(MARKER)) {
    throw new Error(`${resolve(dir)} is not empty, and no demo has made it: name another folder with --dir`)
  }
  await writeFile(join(dir, MARKER), 'The demo of Holdfast works here, and clears this folder when it begins.\n')
  const remove = (name: string) => rm(join(dir, name), { recursive: true, force: true })
  for (const name of CONTENT) await remove(name)
  const [state, reference, asKilled, inClear, market] = CONTENT
  return {
    state: join(dir, state),
    reference: join(dir, reference),
    asKilled: join(dir, asKilled),
    inClear: join(dir, inClear),
    market: join(dir, market),
    async clear() {
      for (const name of CONTENT) if (name !== state) await remove(name)
    },
  }
}
