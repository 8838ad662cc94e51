import { parseArgs } from 'node:util'
import { CONTENDER_NAMES, type ContenderName } from './contenders/contender.ts'
import { WORKLOAD_NAMES, type WorkloadName } from './workloads/workload.ts'

export interface Options {
  readonly isQuick: boolean
  readonly rounds: number
  readonly slowRounds: number
  readonly workloads: readonly WorkloadName[]
  readonly contenders: readonly ContenderName[]
  readonly archiveRows: number
  readonly feedSeconds: number | undefined
  readonly megabytes: number
  readonly disks: 'both' | 'fast' | 'slow'
  readonly jsonFile: string | undefined
  readonly dataDir: string | undefined
}

export const USAGE = `Usage: npm run bench -- [options]

  --quick              one short round of everything, to see that it runs
  --rounds N           rounds on the fast disk (5); figures are medians over them
  --slow-rounds N      rounds on the slow disk (3)
  --only A,B           of the workloads ${WORKLOAD_NAMES.join(', ')}
  --contenders A,B     of ${CONTENDER_NAMES.join(', ')}
  --disk WHICH         fast, slow or both (both)
  --rows N             rows of the big store (1,000,000); the budget is for 10,000,000
  --feed-seconds N     how long the live feed lasts (20, quick 4); the goal is for 60
  --megabytes N        size of the big store whose password is rotated (100); 1,000 is a gigabyte
  --json FILE          write every figure of every round, and the machine, to FILE
  --data-dir DIR       where stores are made and removed again (bench/.data); a real disk
`

/** @throws Error with a message for the user. */
export function parseOptions(argv: readonly string[]): Options | 'help' {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      'slow-rounds': { type: 'string' },
      only: { type: 'string' },
      contenders: { type: 'string' },
      disk: { type: 'string', default: 'both' },
      rows: { type: 'string' },
      'feed-seconds': { type: 'string' },
      megabytes: { type: 'string' },
      json: { type: 'string' },
      'data-dir': { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) return 'help'
  const { disk, quick } = values
  if (disk !== 'both' && disk !== 'fast' && disk !== 'slow')
    throw new Error(`--disk is fast, slow or both, not ${disk}.`)
  return {
    isQuick: quick,
    rounds: wholeNumber('--rounds', values.rounds, quick ? 1 : 5),
    slowRounds: wholeNumber('--slow-rounds', values['slow-rounds'], quick ? 1 : 3),
    workloads: chosen('--only', values.only, WORKLOAD_NAMES),
    contenders: chosen('--contenders', values.contenders, CONTENDER_NAMES),
    archiveRows: wholeNumber('--rows', values.rows, quick ? 100_000 : 1_000_000),
    feedSeconds:
      values['feed-seconds'] === undefined ? undefined : wholeNumber('--feed-seconds', values['feed-seconds'], 1),
    megabytes: wholeNumber('--megabytes', values.megabytes, quick ? 20 : 100),
    disks: disk,
    jsonFile: values.json,
    dataDir: values['data-dir'],
  }
}

function wholeNumber(option: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) throw new Error(`${option} takes a whole number above 0, not ${text}.`)
  return value
}

function chosen<T extends string>(option: string, text: string | undefined, known: readonly T[]): readonly T[] {
  if (text === undefined) return known
  const names = text.split(',').map((name) => name.trim())
  for (const name of names) {
    if (!(known as readonly string[]).includes(name)) {
      throw new Error(`${option} knows ${known.join(', ')}, not ${name}.`)
    }
  }
  return known.filter((name) => names.includes(name))
}
