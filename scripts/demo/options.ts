import { parseArgs } from 'node:util'

export interface DemoOptions {
  /** Gets `state` and, for as long as the demo runs, `reference` and what else it needs. */
  readonly dir: string
  /** Share of the recorded market data to work through. */
  readonly share: number
  readonly kills: number
  readonly seed: number
  readonly isJson: boolean
}

export const USAGE = `npm run demo -- [options]

  --share <0..1>   how much of the market data to work through (default 1)
  --kills <n>      how often the bot is killed (default 3)
  --seed <n>       another seed: other fills, other moments of death (default 1)
  --dir <folder>   where to work (default .demo)
  --json           the result as JSON on stdout, progress on stderr
  --help
`

/** Null when help was asked for. @throws Error for options that are none */
export function readOptions(args: readonly string[]): DemoOptions | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      share: { type: 'string', default: '1' },
      kills: { type: 'string', default: '3' },
      seed: { type: 'string', default: '1' },
      dir: { type: 'string', default: '.demo' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return null
  const share = Number(values.share)
  if (!(share > 0 && share <= 1)) throw new Error('--share has to be more than 0 and at most 1')
  return {
    dir: values.dir,
    share,
    kills: wholeNumber('--kills', values.kills, 20),
    seed: wholeNumber('--seed', values.seed, 2 ** 31),
    isJson: values.json,
  }
}

function wholeNumber(name: string, text: string, most: number): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 0 || value > most) {
    throw new Error(`${name} has to be a whole number from 0 to ${most}`)
  }
  return value
}
