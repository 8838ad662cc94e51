import type { Command } from 'commander'
import type { AuditStatus, Growth, Store, StoreSizes, StoreStatus } from '../index.ts'
import { byteSize } from './byte-size.ts'
import { collectionSpecs } from './collection-specs.ts'
import { counted } from './counted.ts'
import { type KeyringCopies, keyringCopies } from './keyring-copies.ts'
import { withReader } from './open-session-store.ts'
import { packageVersion } from './package-version.ts'
import type { Session } from './session.ts'
import { type StoreOwner, storeOwner } from './store-owner.ts'
import { storedCollection } from './stored-collection.ts'
import { renderTable } from './table.ts'
import { tableCell } from './table-cell.ts'
import type { Terminal } from './terminal.ts'

export function addStatusCommand(program: Command, session: () => Session): void {
  program
    .command('status')
    .description('what a store holds, how large it is, and who has it open; also beside a running owner')
    .option('--sizes', 'measure the collections now, also in a large store')
    .action(async ({ sizes }: { readonly sizes?: boolean }) => await status(session(), sizes === true))
}

const DAY_MS = 86_400_000
/** Up to here measuring takes less than a second. */
const MEASURED_AT_ONCE_BYTES = 128 * 1_024 * 1_024

interface CollectionLine {
  readonly name: string
  readonly documents: number
  readonly file: string
  readonly bytes: number | null
  readonly bytesPerDay: number | null
}

async function sizesOf(
  store: Store,
  files: StoreStatus['files'],
  { measured }: Growth,
  measures: boolean,
): Promise<StoreSizes | null> {
  const bytes = Object.values(files).reduce((sum, file) => sum + file.databaseBytes, 0)
  return measures || bytes <= MEASURED_AT_ONCE_BYTES ? await store.sizes() : measured
}

async function status(session: Session, measures: boolean): Promise<void> {
  const { terminal } = session
  await withReader(session, async (store) => {
    const { dir, storeId, files, yearlyFiles, migrations, audit, disk, growth, keys, lastBackupAtMs } =
      await store.status()
    const sizes = await sizesOf(store, files, growth, measures)
    const bytesOf = new Map(sizes?.collections.map(({ name, bytes }) => [name, bytes]))
    const collections: CollectionLine[] = []
    for (const [name, { file }] of await collectionSpecs(store)) {
      collections.push({
        name,
        documents: await storedCollection(store, name).count(),
        file,
        bytes: bytesOf.get(name) ?? null,
        bytesPerDay: growth.collectionBytesPerDay[name] ?? null,
      })
    }
    const owner = await storeOwner(dir)
    const keyring = await keyringCopies(dir)
    const version = packageVersion()
    const lastBackupAt = lastBackupAtMs === null ? null : new Date(lastBackupAtMs).toISOString()
    const sizesMeasuredAt = sizes === null ? null : new Date(sizes.atMs).toISOString()
    const { bytesPerDay, daysUntilDiskFull } = growth
    const fileSizes = Object.entries(files).map(([name, { databaseBytes, freeBytes, walBytes }]) => ({
      name: `${name}.db`,
      databaseBytes,
      freeBytes,
      walBytes,
    }))
    const ofYears = yearlyFiles.map((file) => ({ ...file, freeBytes: null }))
    if (terminal.isJson) {
      await terminal.writeJson({
        dir,
        storeId,
        version,
        owner,
        keyring,
        keys: {
          generation: keys.generation,
          isRotating: keys.isRotating,
          dataKeyCreatedAtMs: keys.dataKeyCreatedAtMs,
          slots: keys.slots.map(({ id, label, kind, createdAtMs }) => ({ id, label, kind, createdAtMs })),
        },
        lastBackupAt,
        files: [...fileSizes, ...ofYears],
        audit,
        disk,
        growth: { bytesPerDay, daysUntilDiskFull },
        sizesMeasuredAt,
        collections,
        migrations,
      })
      return
    }
    await writePairs(terminal, [
      ['store', dir],
      ['id', storeId],
      ['owner', describeOwner(owner)],
      ['keyring', describeKeyring(keyring)],
      ['keys', describeKeys(keys)],
      ['audit', describeAudit(audit)],
      ['backup', lastBackupAt === null ? 'none so far' : `last one of ${lastBackupAt}`],
      ['disk', `${byteSize(disk.freeBytes)} free of ${byteSize(disk.totalBytes)}`],
      ['growth', describeGrowth(growth)],
      ['migrations', migrations.map(({ name }) => name).join(', ')],
      ['holdfast', version],
    ])
    await terminal.writeLine()
    await writeColumns(
      terminal,
      ['file', 'size', 'free in it', 'log'],
      [...fileSizes, ...ofYears].map((file) => [
        file.name,
        byteSize(file.databaseBytes),
        file.freeBytes === null ? '' : byteSize(file.freeBytes),
        byteSize(file.walBytes),
      ]),
    )
    await terminal.writeLine()
    await writeColumns(
      terminal,
      ['collection', 'documents', 'size', 'a day', 'file'],
      collections.map(({ name, documents, file, bytes, bytesPerDay }) => [
        name,
        documents,
        bytes === null ? '' : byteSize(bytes),
        bytesPerDay === null ? '' : signedByteSize(bytesPerDay),
        `${file}.db`,
      ]),
    )
    if (sizes === null) terminal.remark('Sizes of the collections: holdfast status --sizes measures them.')
    else if (sizes === growth.measured) terminal.remark(`Sizes of the collections are of ${sizesMeasuredAt}.`)
  })
}

function describeGrowth({ bytesPerDay, daysUntilDiskFull }: Growth): string {
  if (bytesPerDay === null) return 'not known yet: maintenance takes a sample a day'
  const days =
    daysUntilDiskFull === null
      ? ''
      : `, ${Math.floor(daysUntilDiskFull).toLocaleString('en-US')} days until the disk is full`
  return `${signedByteSize(bytesPerDay)} a day${days}`
}

function signedByteSize(bytes: number): string {
  return bytes < 0 ? `-${byteSize(-bytes)}` : byteSize(bytes)
}

function describeOwner(owner: StoreOwner | null): string {
  if (owner === null) return 'none so far'
  const { pid, hostname, since, state } = owner
  const who = `process ${pid} on ${hostname} since ${since}`
  if (state === 'running') return `${who}, running`
  return state === 'stopped' ? `none now; last was ${who}` : `${who}, perhaps; it can't be told from here`
}

function describeKeyring({ present, missing, areAlike }: KeyringCopies): string {
  if (missing.length > 0) return `1 of 2 copies: ${missing.join(', ')} is missing. The next owner writes it anew`
  return areAlike ? `${present.length} of 2 copies` : '2 copies that differ: the next owner restores the damaged one'
}

/** Ages, since keys are rotated by age; what they are called is in `holdfast key list`. */
function describeKeys({ dataKeyCreatedAtMs, slots, isRotating }: StoreStatus['keys']): string {
  const days = (atMs: number) => counted(Math.max(0, Math.floor((Date.now() - atMs) / DAY_MS)), 'day')
  const ages = slots.map(({ kind, label, createdAtMs }) => `${label ?? kind} ${days(createdAtMs)}`)
  const rotation = isRotating ? '; a rotation of the data key is under way, or was interrupted' : ''
  return `data key ${days(dataKeyCreatedAtMs)}; ${ages.join(', ')}${rotation}`
}

/** The head is shown so that it can be noted where nobody gets at it together with the store. */
function describeAudit({ entries, head, waitingNotes, refusedNotes }: AuditStatus): string {
  const waiting = waitingNotes === 0 ? '' : `; ${waitingNotes} notes wait for the owner`
  const refused = refusedNotes === 0 ? '' : `; ${refusedNotes} files in audit-inbox are not authentic`
  return `${entries} entries, head ${head}${waiting}${refused}`
}

async function writePairs(terminal: Terminal, pairs: readonly (readonly [string, string])[]): Promise<void> {
  const width = Math.max(...pairs.map(([name]) => name.length))
  for (const [name, value] of pairs) await terminal.writeLine(`${terminal.style('bold', name.padEnd(width))}  ${value}`)
}

async function writeColumns(
  terminal: Terminal,
  columns: readonly string[],
  rows: readonly (readonly (string | number)[])[],
): Promise<void> {
  const { text } = renderTable({
    columns,
    rows: rows.map((row) => row.map((value) => tableCell(value))),
    width: terminal.width,
    styleHead: (head) => terminal.style('bold', head),
  })
  await terminal.writeLine(text)
}
