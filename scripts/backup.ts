/**
 * A backup without anybody there, for cron: everything comes from the environment, one line of JSON goes to standard
 * output, and the exit code says how it went (`holdfast --help` lists them: 0 made and verified, 4 no store, 5 password,
 * 6 another backup is at work there, 7 damaged, 12 disk full, 13 files, 1 anything else).
 *
 *   HOLDFAST_DIR                  the store directory
 *   HOLDFAST_BACKUP_TO            a folder, or a file that ends in .tar
 *   HOLDFAST_PASSWORD             the password, or
 *   HOLDFAST_PASSWORD_FILE        a file that holds it
 *   HOLDFAST_BACKUP_KEEP          optional: what to keep, such as last=3,daily=7,weekly=4,monthly=12
 *   HOLDFAST_BACKUP_VERIFY        optional: quick or full
 */
import { runCommandLine } from '../src/cli/command-line.ts'

const KEEP = /^(last|daily|weekly|monthly)=(\d+)$/
const USAGE_EXIT = 2

const { HOLDFAST_DIR, HOLDFAST_BACKUP_TO, HOLDFAST_BACKUP_KEEP = '', HOLDFAST_BACKUP_VERIFY } = process.env

function refuse(problem: string): never {
  process.stderr.write(`${JSON.stringify({ error: { code: 'INVALID_ARGUMENT', message: problem } })}\n`)
  process.exit(USAGE_EXIT)
}

if (!HOLDFAST_DIR) refuse('HOLDFAST_DIR is not set: the store directory.')
if (!HOLDFAST_BACKUP_TO) refuse('HOLDFAST_BACKUP_TO is not set: a folder, or a file that ends in .tar.')
const keep = HOLDFAST_BACKUP_KEEP.split(',')
  .filter((each) => each !== '')
  .flatMap((each) => {
    const [, period, count] = KEEP.exec(each.trim()) ?? refuse('HOLDFAST_BACKUP_KEEP is like last=3,daily=7,weekly=4.')
    return [`--keep-${period}`, count as string]
  })
const verify = HOLDFAST_BACKUP_VERIFY ? ['--verify', HOLDFAST_BACKUP_VERIFY] : []

process.exitCode = await runCommandLine([
  'backup',
  '--json',
  '--dir',
  HOLDFAST_DIR,
  '--to',
  HOLDFAST_BACKUP_TO,
  ...keep,
  ...verify,
])
