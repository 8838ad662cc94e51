/** The series that a store has. */
import type { SeriesInfo, SeriesKind } from '../../protocol/series.ts'
import type { SeriesContext } from './series-access.ts'

/** Of one kind, or of all; sees all that was accepted before. */
export async function listSeries(
  { core, queue }: SeriesContext,
  kind: SeriesKind | null,
): Promise<readonly SeriesInfo[]> {
  core.assertOpen()
  await queue.settled()
  return await core.supervisor.read('seriesList', { kind })
}
