import { execFileSync } from 'node:child_process'
import { closeSync, fsyncSync, mkdirSync, openSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { restoreStore } from '../../dist/index.js'
import { openHoldfast } from '../contenders/holdfast.ts'
import { databasePath, SqlcipherFile } from '../contenders/sqlcipher-file.ts'
import type { Metrics } from '../job.ts'
import { median } from '../measure/percentiles.ts'
import type { WorkloadContext } from './workload.ts'

const TURNS = 3

/** Backup, copy and restore by turns, so that a busy disk hits all of them. Each ends with its bytes on disk. */
export async function run({ job }: WorkloadContext): Promise<Metrics> {
  const storeDir = job.sharedDirs.open as string
  mkdirSync(job.storeDir, { recursive: true })
  const target = join(job.storeDir, 'target')
  if (job.contender === 'bs3mc') return vacuumInto(storeDir, target, job.secrets)

  const figures = { backup: [] as number[], copy: [] as number[], restore: [] as number[] }
  for (let turn = 0; turn < TURNS; turn++) {
    const store = await openHoldfast(storeDir, job.secrets)
    const database = join(storeDir, 'state.db')
    const bytes = statSync(database).size
    const backupMs = await timed(() => store.backup(target))
    await store.close()
    const copy = join(job.storeDir, 'copy')
    const copyMs = await timed(() => copyAndSync(database, copy))
    const restored = join(job.storeDir, 'restored')
    const restoreMs = await timed(() => restoreStore({ from: target, dir: restored, password: job.secrets.password }))
    figures.backup.push(bytes / backupMs)
    figures.copy.push(bytes / copyMs)
    figures.restore.push(bytes / restoreMs)
    for (const path of [target, copy, restored]) rmSync(path, { recursive: true })
  }
  return {
    backupMegabytesPerSecond: megabytesPerSecond(figures.backup),
    copyMegabytesPerSecond: megabytesPerSecond(figures.copy),
    restoreMegabytesPerSecond: megabytesPerSecond(figures.restore),
  }
}

async function vacuumInto(
  storeDir: string,
  target: string,
  secrets: WorkloadContext['job']['secrets'],
): Promise<Metrics> {
  const rates: number[] = []
  const bytes = statSync(databasePath(storeDir)).size
  for (let turn = 0; turn < TURNS; turn++) {
    const file = new SqlcipherFile(storeDir, secrets)
    const ms = await timed(() => {
      file.vacuumInto(target)
      sync(target)
    })
    file.close()
    rates.push(bytes / ms)
    rmSync(target)
  }
  return { backupMegabytesPerSecond: megabytesPerSecond(rates) }
}

async function timed(work: () => unknown): Promise<number> {
  const start = performance.now()
  await work()
  return performance.now() - start
}

function copyAndSync(from: string, to: string): void {
  execFileSync('cp', [from, to])
  sync(to)
}

function sync(path: string): void {
  const descriptor = openSync(path, 'r')
  fsyncSync(descriptor)
  closeSync(descriptor)
}

const megabytesPerSecond = (bytesPerMs: readonly number[]) => median(bytesPerMs) / 1_000
