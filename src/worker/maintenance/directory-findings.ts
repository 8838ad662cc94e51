/** What can be verified of a store directory from outside its databases: modes, copies of the keyring, room. */
import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type ReadKeyring, readKeyring } from '../../crypto/keyring-file.ts'
import type { CheckFinding } from '../../protocol/check-finding.ts'
import type { FileStatus } from '../../protocol/methods.ts'
import { DIRECTORY_MODE, FILE_MODE } from '../store-files.ts'
import { readDiskSpace } from './disk-space.ts'

const PERMISSION_BITS = 0o777
const SECOND_LOOK_MS = 250

/** Commits fail soon. */
const NO_ROOM_BYTES = 16 * 1_024 * 1_024
const LITTLE_ROOM_BYTES = 256 * 1_024 * 1_024
/** Eight times the size at which a log starts over under steady load. */
const LARGE_LOG_BYTES = 64 * 1_024 * 1_024

export async function directoryFindings(
  dir: string,
  files: Readonly<Record<string, FileStatus>>,
): Promise<CheckFinding[]> {
  return [...(await keyringFindings(dir)), ...(await modeFindings(dir)), ...(await roomFindings(dir, files))]
}

async function keyringFindings(dir: string): Promise<CheckFinding[]> {
  const found = await readKeyringAtRest(dir)
  if (found === undefined) {
    const problem = 'both copies are gone; the store can not be opened again once it is closed'
    return [keyringFinding('KEYRING_COPY_MISSING', 'keyring.json', problem, 'error')]
  }
  const names = new Set(await readdir(dir))
  return found.damagedCopies.map((name) =>
    names.has(name)
      ? keyringFinding('KEYRING_COPY_DAMAGED', name, 'this copy is damaged or out of date', 'warning')
      : keyringFinding('KEYRING_COPY_MISSING', name, 'this copy is missing; the other one is the only one', 'warning'),
  )
}

/** Whoever changes the keyring replaces one copy after the other: what differs for good does so the second time, too. */
async function readKeyringAtRest(dir: string): Promise<ReadKeyring | undefined> {
  for (;;) {
    const first = await readKeyring(dir)
    if (first === undefined || first.damagedCopies.length === 0) return first
    await new Promise((resolve) => setTimeout(resolve, SECOND_LOOK_MS))
    const second = await readKeyring(dir)
    if (second?.keyring.generation === first.keyring.generation) return second
  }
}

function keyringFinding(
  code: CheckFinding['code'],
  subject: string,
  problem: string,
  severity: CheckFinding['severity'],
): CheckFinding {
  const repairable = severity === 'warning'
  const remedy = repairable
    ? 'holdfast check --repair writes it anew from the other copy, and so does the next open by an owner. Check the disk.'
    : 'Do not close it. Restore either file from a backup of this store.'
  return { code, severity, subject, problem, remedy, repairable }
}

async function modeFindings(dir: string): Promise<CheckFinding[]> {
  const findings: CheckFinding[] = []
  for await (const { path, mode, wanted } of openModes(dir)) {
    findings.push({
      code: 'MODE_TOO_OPEN',
      severity: 'warning',
      subject: path,
      problem: `mode is ${mode.toString(8).padStart(4, '0')}: others may read or write it`,
      remedy: `chmod ${wanted.toString(8)} ${path}`,
      repairable: true,
    })
  }
  return findings
}

/** Files and folders that others may get at. Links are not followed, and no file is opened. */
export async function* openModes(
  path: string,
): AsyncGenerator<{ readonly path: string; readonly mode: number; readonly wanted: number }> {
  const status = await lstat(path).catch(ignoreMissing)
  if (status === undefined || !(status.isDirectory() || status.isFile())) return
  const wanted = status.isDirectory() ? DIRECTORY_MODE : FILE_MODE
  const mode = status.mode & PERMISSION_BITS
  if ((mode & ~wanted) !== 0) yield { path, mode, wanted }
  if (!status.isDirectory()) return
  for (const name of (await readdir(path)).sort()) yield* openModes(join(path, name))
}

async function roomFindings(dir: string, files: Readonly<Record<string, FileStatus>>): Promise<CheckFinding[]> {
  const { freeBytes } = await readDiskSpace(dir)
  const findings: CheckFinding[] = []
  const databaseBytes = Object.values(files).reduce((sum, file) => sum + file.databaseBytes, 0)
  if (freeBytes < Math.max(LITTLE_ROOM_BYTES, databaseBytes)) {
    findings.push({
      code: 'DISK_NEARLY_FULL',
      severity: freeBytes < NO_ROOM_BYTES ? 'error' : 'warning',
      subject: dir,
      problem: `${freeBytes} bytes are free, and the databases have ${databaseBytes}`,
      remedy:
        'Free space or enlarge the volume: commits fail without, and so do the copy before a migration and a vacuum.',
      repairable: false,
    })
  }
  for (const [name, { walBytes }] of Object.entries(files)) {
    if (walBytes <= LARGE_LOG_BYTES) continue
    findings.push({
      code: 'LOG_TOO_LARGE',
      severity: 'warning',
      subject: `${name}.db-wal`,
      problem: `the log has ${walBytes} bytes; about 8 MiB is normal`,
      remedy: 'Look for a reader that never ends; holdfast maintain empties the log when there is none.',
      repairable: false,
    })
  }
  return findings
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
  return undefined
}
