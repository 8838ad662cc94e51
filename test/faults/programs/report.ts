/** One line to the test that started this program. Written at once: what was reported stays so whatever comes next. */
import { writeSync } from 'node:fs'

export function report(...words: readonly (string | number)[]): void {
  let rest = Buffer.from(`${words.join(' ')}\n`)
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(1, rest))
    } catch (error) {
      if ((error as { code?: string }).code !== 'EAGAIN') throw error
    }
  }
}

/** What the test passed to this program. */
export function programArguments<T>(): T {
  return JSON.parse(process.argv[2] as string) as T
}
