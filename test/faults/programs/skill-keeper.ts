/** Saves version after version of a few skills, one of each at a time, until it is killed. */
import { openStore } from '../../../src/index.ts'
import { KDF, PASSWORD } from '../store-settings.ts'
import { programArguments, report } from './report.ts'

export interface SkillKeeperArguments {
  readonly dir: string
  readonly round: number
}

const SKILLS = 6

const { dir, round } = programArguments<SkillKeeperArguments>()
report('pid', process.pid)
const store = await openStore({ dir, password: PASSWORD, kdf: KDF })
report('open')
for (let n = 0; ; n++) {
  const turn = Array.from({ length: SKILLS }, async (_, index) => {
    const name = `s-${index}`
    const { version } = await store.skills.save({ name, content: `word${round}x${n}x${index}`, tags: [`t${n % 3}`] })
    report('durable', name, version)
  })
  await Promise.all(turn)
}
