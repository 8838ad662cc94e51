/** better-sqlite3-multiple-ciphers on the main thread: every call blocks until it is done, puts until they are synced. */
import type { Contender } from './contender.ts'
import { SqlcipherFile } from './sqlcipher-file.ts'

export const contender: Contender = {
  async open(dir, secrets) {
    const file = new SqlcipherFile(dir, secrets)
    return {
      put(document) {
        file.put(document.id, JSON.stringify(document))
        return undefined
      },
      putArchived(document) {
        file.putArchived(document.id, JSON.stringify(document))
        return undefined
      },
      get(id) {
        const json = file.get(id)
        return json === undefined ? undefined : JSON.parse(json)
      },
      loadBars: async ({ documents }) => file.loadBars(documents),
      aggregateBars: async () => file.aggregateBars(),
      close: async () => file.close(),
    }
  },

  async seed(dir, secrets, content) {
    const file = new SqlcipherFile(dir, secrets)
    file.seed(content)
    file.close()
  },
}
