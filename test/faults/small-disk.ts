/** A file system of a few megabytes that can be filled to the last byte. */
import { spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

const BALLAST = 'ballast'

function mount(dir: string, bytes: number): boolean {
  return spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', dir]).status === 0
}

function unmount(dir: string): void {
  if (spawnSync('umount', [dir]).status !== 0) spawnSync('umount', ['-l', dir])
}

function probe(): boolean {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-mount-'))
  const mounted = mount(dir, 1_048_576)
  if (mounted) unmount(dir)
  rmSync(dir, { recursive: true, force: true })
  return mounted
}

export const canMount = probe()
export const WITHOUT_MOUNT = 'skipped: no tmpfs can be mounted here (needs root)'

export class SmallDisk {
  readonly dir: string
  readonly #ballastPath: string

  /** Unmounted when the test ends. */
  constructor(bytes: number) {
    this.dir = mkdtempSync(join(tmpdir(), 'holdfast-disk-'))
    this.#ballastPath = join(this.dir, BALLAST)
    if (!mount(this.dir, bytes)) throw new Error('the tmpfs could not be mounted')
    onTestFinished(() => {
      unmount(this.dir)
      rmSync(this.dir, { recursive: true, force: true })
    })
  }

  get freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.dir)
    return bavail * bsize
  }

  /** Fills the disk but for `keepBytes`. */
  fill(keepBytes = 0): void {
    const file = openSync(this.#ballastPath, 'a')
    const block = Buffer.alloc(4_096, 1)
    const large = Buffer.alloc(1_048_576, 1)
    try {
      while (this.freeBytes > keepBytes + large.length) writeSync(file, large)
      while (this.freeBytes > keepBytes) writeSync(file, block)
    } catch (error) {
      if ((error as { code?: string }).code !== 'ENOSPC') throw error
    } finally {
      closeSync(file)
    }
  }

  free(): void {
    rmSync(this.#ballastPath, { force: true })
  }
}
