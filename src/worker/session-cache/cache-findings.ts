/** What `check` says of the session cache: each file that does not verify. */
import type { CheckFinding } from '../../protocol/check-finding.ts'
import type { SessionCache } from './session-cache.ts'

export async function cacheFindings(sessionCache: SessionCache): Promise<CheckFinding[]> {
  const symbols = await sessionCache.cacheList()
  return symbols
    .filter(({ isDamaged }) => isDamaged)
    .map(({ symbol, interval }) => ({
      code: 'CACHE_DAMAGED',
      severity: 'error',
      subject: `session cache: ${symbol} (${interval})`,
      problem: 'its file is damaged, older than it was, or gone',
      remedy:
        'Restore the file from a backup, or clear it (holdfast cache clear) and let it fill again. Check the disk.',
      repairable: false,
    }))
}
