/** Where and on what a run was made; without it no figure means anything. */
import { execFileSync } from 'node:child_process'
import { statfsSync } from 'node:fs'
import os from 'node:os'

export interface MachineFacts {
  readonly processor: string
  readonly cores: number
  readonly memoryGiB: number
  readonly kernel: string
  readonly node: string
  readonly fileSystem: string
  readonly dataDir: string
  readonly revision: string
  readonly loadAverage: readonly number[]
  readonly date: string
}

const FILE_SYSTEMS: Readonly<Record<number, string>> = {
  61267: 'ext2/3/4',
  16914836: 'tmpfs',
  2240043254: 'ramfs',
  1481003842: 'xfs',
  2435016766: 'btrfs',
  801189825: 'zfs',
  2035054128: 'overlayfs',
  26985: 'nfs',
}
const IN_MEMORY: readonly string[] = ['tmpfs', 'ramfs']

export function fileSystemOf(dir: string): string {
  const { type } = statfsSync(dir)
  return FILE_SYSTEMS[type] ?? `type 0x${type.toString(16)}`
}

/** A sync to memory costs nothing, and with it most of what is compared here. */
export function isInMemory(dir: string): boolean {
  return IN_MEMORY.includes(fileSystemOf(dir))
}

export function readMachineFacts(projectDir: string, dataDir: string): MachineFacts {
  const [first, ...others] = os.cpus()
  return {
    processor: first?.model.trim() ?? 'unknown',
    cores: others.length + 1,
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    kernel: `${os.type()} ${os.release()}`,
    node: process.version,
    fileSystem: fileSystemOf(dataDir),
    dataDir,
    revision: readRevision(projectDir),
    loadAverage: os.loadavg(),
    date: new Date().toISOString(),
  }
}

function readRevision(projectDir: string): string {
  const git = (...parameters: string[]) =>
    execFileSync('git', ['-C', projectDir, ...parameters], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  try {
    const isDirty = git('status', '--porcelain').trim() !== ''
    return git('rev-parse', '--short=12', 'HEAD').trim() + (isDirty ? ' with uncommitted changes' : '')
  } catch {
    return 'none'
  }
}
