/** `holdfast key …`: passwords, recovery keys and the data key. All but the data key works beside a running owner. */
import type { Command } from 'commander'
import { type KeyringInfo, type KeyringOperations, type KeyslotInfo, openKeyring, StoreError } from '../index.ts'
import { rotateDataKey } from './key-rotation.ts'
import { findNewPassword } from './new-password.ts'
import { findPassword } from './password.ts'
import type { Session } from './session.ts'
import { renderTable } from './table.ts'
import type { Terminal } from './terminal.ts'
import { parseUnlockCommand } from './unlock-command-option.ts'
import { wholeNumber } from './whole-number.ts'

const NEW_PASSWORD = `
The new password comes from HOLDFAST_NEW_PASSWORD, from the file HOLDFAST_NEW_PASSWORD_FILE names, or is asked for twice.`

const DAY_MS = 86_400_000

interface AddOptions {
  readonly label?: string
  readonly command?: string
}

interface CostOptions {
  readonly memoryKib: number
  readonly iterations: number
  readonly parallelism: number
}

export function addKeyCommand(program: Command, session: () => Session): void {
  const key = program.command('key').description('passwords, recovery keys and the data key of a store')
  key
    .command('list')
    .description('the keyslots and their ages; verifies that nobody without the key has changed them')
    .action(
      async () =>
        await withKeyring(session(), async (keys, { terminal }) => await writeKeyring(await keys.list(), terminal)),
    )
  key
    .command('rotate-password')
    .description(
      'another password in the place of the present one; milliseconds at any size, also beside a running owner',
    )
    .option('--slot <id>', 'the slot that gets it, when it is not the one you open the store with')
    .addHelpText('after', NEW_PASSWORD)
    .action(async ({ slot }: { readonly slot?: string }) => {
      await withKeyring(session(), async (keys, each) => {
        const next = await findNewPassword(each)
        try {
          const changed = await keys.rotatePassword(next, slot === undefined ? {} : { slot })
          await writeSlot('The password was changed and verified', changed, each.terminal)
        } finally {
          next.fill(0)
        }
      })
    })
  key
    .command('rotate-data')
    .description('encrypt every database under a new data key, as the owner of the store; safe to interrupt')
    .action(async () => await rotateDataKey(session()))
  key
    .command('add')
    .description('another password, or with --command what a program prints, as a way into the store')
    .option('--label <text>', 'what people call it')
    .option('--command <command>', 'a program that prints the key, or a JSON array of it and its arguments')
    .addHelpText('after', NEW_PASSWORD)
    .action(async (options: AddOptions) => await withKeyring(session(), (keys, each) => add(keys, each, options)))
  key
    .command('remove')
    .description('take a keyslot away; never the last one')
    .argument('<slot>', 'its id, see holdfast key list')
    .action(async (slot: string) => {
      await withKeyring(session(), async (keys, { terminal }) => {
        await writeSlot('The slot was removed', await keys.remove(slot), terminal)
        terminal.notice(
          'Who has its password and an older copy of the keyring still has the data key: holdfast key rotate-data.',
        )
      })
    })
  key
    .command('recovery')
    .description('make a recovery key and print it, once')
    .option('--label <text>', 'what people call it')
    .action(async ({ label }: AddOptions) => {
      await withKeyring(session(), async (keys, { terminal }) => {
        const { slot, recoveryKey } = await keys.addRecoveryKey(label === undefined ? {} : { label })
        if (terminal.isJson) return await terminal.writeJson({ slot, recoveryKey })
        await terminal.writeLine(recoveryKey)
        terminal.notice('Print it and put it away; it is kept nowhere. It opens the store wherever a password does.')
      })
    })
  key
    .command('raise-cost')
    .description('make each guess at the present password dearer')
    .requiredOption('--memory-kib <n>', 'memory of argon2id in KiB', wholeNumber)
    .requiredOption('--iterations <n>', 'passes over it', wholeNumber)
    .option('--parallelism <n>', 'lanes', wholeNumber, 4)
    .action(async ({ memoryKib, iterations, parallelism }: CostOptions) => {
      await withKeyring(session(), async (keys, { terminal }) => {
        const slot = await keys.raiseCost({ memoryKiB: memoryKib, iterations, parallelism })
        await writeSlot('The cost was raised and the password verified', slot, terminal)
      })
    })
  key
    .command('export-raw')
    .description('print the raw keys of the databases, for another SQLCipher 4 tool; recorded in the audit trail')
    .option('--yes-print-the-keys', 'without it nothing is printed')
    .action(async ({ yesPrintTheKeys }: { readonly yesPrintTheKeys?: boolean }) => {
      if (yesPrintTheKeys !== true) {
        throw new StoreError(
          'INVALID_ARGUMENT',
          'Whoever sees the raw keys reads everything until the data key is rotated. Say --yes-print-the-keys if that is what you want.',
        )
      }
      await withKeyring(session(), async (keys, { terminal }) => {
        const raw = await keys.exportRaw({ yesGiveMeTheKeys: true })
        if (terminal.isJson) return await terminal.writeJson(raw)
        for (const { file, key: hex } of raw) await terminal.writeLine(`${file}\tPRAGMA key = "x'${hex}'"`)
      })
    })
  key
    .command('accept-older')
    .description('go on with a keyring that is older than the store, where the newer one is lost; recorded')
    .option('--yes-its-passwords-may-open-the-store', 'without it nothing is changed')
    .action(async (options: { readonly yesItsPasswordsMayOpenTheStore?: boolean }) => {
      if (options.yesItsPasswordsMayOpenTheStore !== true) {
        throw new StoreError(
          'INVALID_ARGUMENT',
          'The passwords of the older keyring open the store again, one that had leaked among them. Say --yes-its-passwords-may-open-the-store if that is what you want.',
        )
      }
      await withKeyring(session(), async (keys, { terminal }) => {
        const info = await keys.acceptOlder({ yesItsPasswordsMayOpenTheStore: true })
        if (terminal.isJson) return await terminal.writeJson(info)
        await terminal.writeLine(`The keyring counts from now on, as generation ${info.generation}.`)
        terminal.notice('Look at holdfast key list: passwords that were changed or removed since are back.')
      })
    })
}

async function add(keys: KeyringOperations, session: Session, { label, command }: AddOptions): Promise<void> {
  const named = label === undefined ? {} : { label }
  if (command !== undefined) {
    const slot = await keys.addCommand(parseUnlockCommand(command), named)
    return await writeSlot('The command was added', slot, session.terminal)
  }
  const password = await findNewPassword(session)
  try {
    await writeSlot('The password was added', await keys.add(password, named), session.terminal)
  } finally {
    password.fill(0)
  }
}

async function withKeyring<T>(
  session: Session,
  use: (keys: KeyringOperations, session: Session) => Promise<T>,
): Promise<T> {
  const { dir, unlockCommand } = session.options
  if (unlockCommand !== undefined)
    return await use(openKeyring({ dir, unlockCommand: parseUnlockCommand(unlockCommand) }), session)
  const password = await findPassword(session, 'open')
  try {
    return await use(openKeyring({ dir, ...(password === undefined ? {} : { password }) }), session)
  } finally {
    password?.fill(0)
  }
}

async function writeSlot(what: string, slot: KeyslotInfo, terminal: Terminal): Promise<void> {
  if (terminal.isJson) await terminal.writeJson({ slot })
  else await terminal.writeLine(`${what}: slot ${slot.id}${slot.label === null ? '' : ` (${slot.label})`}.`)
}

async function writeKeyring(info: KeyringInfo, terminal: Terminal): Promise<void> {
  if (terminal.isJson) return await terminal.writeJson(info)
  const days = (atMs: number) => `${Math.floor((Date.now() - atMs) / DAY_MS)} days`
  const { text } = renderTable({
    columns: ['slot', 'kind', 'label', 'age', 'argon2id'],
    rows: info.slots.map(({ id, kind, label, createdAtMs, kdf }) =>
      [id, kind, label ?? '', days(createdAtMs), `${kdf.memoryKiB} KiB x ${kdf.iterations}`].map((cell) => ({
        text: cell,
      })),
    ),
    width: terminal.width,
    styleHead: (head) => terminal.style('bold', head),
  })
  await terminal.writeLine(text)
  const rotation = info.isRotating ? ' A rotation of the data key is under way, or was interrupted.' : ''
  await terminal.writeLine(
    `Data key: ${days(info.dataKeyCreatedAtMs)} old; keyring generation ${info.generation}.${rotation}`,
  )
}
