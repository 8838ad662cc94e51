import type { Command } from 'commander'
import type { AuditStatus } from '../index.ts'
import { byteSize } from './byte-size.ts'
import { collectionSpecs } from './collection-specs.ts'
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
    .action(async () => await status(session()))
}

async function status(session: Session): Promise<void> {
  const { terminal } = session
  await withReader(session, async (store) => {
    const { dir, storeId, files, migrations, audit } = await store.status()
    const collections: { name: string; documents: number; file: string }[] = []
    for (const [name, { file }] of await collectionSpecs(store)) {
      collections.push({ name, documents: await storedCollection(store, name).count(), file })
    }
    const owner = await storeOwner(dir)
    const keyring = await keyringCopies(dir)
    const version = packageVersion()
    const fileSizes = Object.entries(files).map(([name, { databaseBytes, walBytes }]) => ({
      name: `${name}.db`,
      databaseBytes,
      walBytes,
    }))
    if (terminal.isJson) {
      await terminal.writeJson({
        dir,
        storeId,
        version,
        owner,
        keyring,
        files: fileSizes,
        audit,
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
      ['audit', describeAudit(audit)],
      ['migrations', migrations.map(({ name }) => name).join(', ')],
      ['holdfast', version],
    ])
    await terminal.writeLine()
    await writeColumns(
      terminal,
      ['file', 'size', 'log'],
      fileSizes.map((file) => [file.name, byteSize(file.databaseBytes), byteSize(file.walBytes)]),
    )
    await terminal.writeLine()
    await writeColumns(
      terminal,
      ['collection', 'documents', 'file'],
      collections.map(({ name, documents, file }) => [name, documents, `${file}.db`]),
    )
  })
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
