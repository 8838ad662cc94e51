/** `holdfast key rotate-data`: with a bar for who waits at a terminal. */
import type { RotationProgress } from '../index.ts'
import { byteSize } from './byte-size.ts'
import { withOwner } from './open-session-store.ts'
import type { Session } from './session.ts'

const CLEAR_LINE = '\r\u001b[K'
const BAR_WIDTH = 24

export async function rotateDataKey(session: Session): Promise<void> {
  const { terminal } = session
  const isShown = !terminal.isJson && process.stderr.isTTY === true
  await withOwner(session, async (store) => {
    const onProgress = (progress: RotationProgress) => process.stderr.write(`${CLEAR_LINE}${progressLine(progress)}`)
    const result = await store.rotateDataKey(isShown ? { onProgress } : {})
    if (isShown) process.stderr.write(CLEAR_LINE)
    if (terminal.isJson) return await terminal.writeJson(result)
    const seconds = (result.durationMs / 1_000).toFixed(1)
    await terminal.writeLine(
      `Encrypted ${result.files.length} files (${byteSize(result.bytes)}) under a new data key in ${seconds} s, and verified them.`,
    )
  })
}

/** `rewriting state.db [######..................] 25 %  80 MiB/s  12 s left`. */
export function progressLine(progress: RotationProgress): string {
  const { phase, file, bytesDone, bytesTotal, bytesPerSecond, remainingMs } = progress
  const share = bytesTotal === 0 ? 0 : bytesDone / bytesTotal
  const filled = Math.round(share * BAR_WIDTH)
  const bar = `${'#'.repeat(filled)}${'.'.repeat(BAR_WIDTH - filled)}`
  const left = remainingMs === null ? '' : `  ${Math.ceil(remainingMs / 1_000)} s left`
  return `${phase}${file === null ? '' : ` ${file}`} [${bar}] ${Math.floor(share * 100)} %  ${byteSize(bytesPerSecond)}/s${left}`
}
