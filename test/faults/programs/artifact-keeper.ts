/** Puts, deletes and collects garbage, two at a time, until it is killed. */
import { openStore } from '../../../src/index.ts'
import { artifactContent } from '../artifact-content.ts'
import { KDF, PASSWORD } from '../store-settings.ts'
import { programArguments, report } from './report.ts'

export interface ArtifactKeeperArguments {
  readonly dir: string
  readonly round: number
}

const { dir, round } = programArguments<ArtifactKeeperArguments>()
report('pid', process.pid)
const store = await openStore({ dir, password: PASSWORD, kdf: KDF })
report('open')

async function keep(name: string): Promise<never> {
  for (let n = round * 1_000; ; n++) {
    report('putting', name)
    const { version } = await store.artifacts.put(name, artifactContent(name, n), { metadata: { n } })
    report('put', name, version)
    const versions = await store.artifacts.versions(name)
    const oldest = versions.at(-1)?.version
    if (versions.length > 2 && oldest !== undefined) {
      report('deleting', name, oldest)
      await store.artifacts.delete(name, oldest)
      report('deleted', name, oldest)
    }
    if (n % 2 === 0) await store.artifacts.collectGarbage({ unfinishedOlderThanMs: 0 })
  }
}

await Promise.all([keep('a'), keep('b')])
