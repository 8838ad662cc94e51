/** Compiles the slow-disk shim next to the run's data, since a shared object has no place in the repository. */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

/** Returns the path of the shared object, or why there is none. */
export function buildShim(sourceDir: string, outputDir: string): { path: string } | { missing: string } {
  if (process.platform !== 'linux') return { missing: 'LD_PRELOAD shims work on Linux only' }
  const path = join(outputDir, 'fsync-delay.so')
  try {
    const source = join(sourceDir, 'slow-disk', 'fsync-delay.c')
    execFileSync('gcc', ['-O2', '-Wall', '-shared', '-fPIC', '-o', path, source, '-ldl'], { stdio: 'pipe' })
    return { path }
  } catch (error) {
    return { missing: `gcc could not build the shim (${(error as Error).message.split('\n')[0]})` }
  }
}

export const DELAY_VARIABLE = 'FSYNC_DELAY_MICROS'
export const COUNT_VARIABLE = 'FSYNC_COUNT_FILE'
export const SLOW_DISK_DELAY_MICROS = 1000
