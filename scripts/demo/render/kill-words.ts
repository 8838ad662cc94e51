/** A death and its reconciliation in words. */
import type { Kill } from '../run/bot-run.ts'
import { counted } from './quantities.ts'

/** What had just been done, and could not be written down any more. */
export function lastDeed({ kind }: Pick<Kill, 'kind'>): string {
  if (kind === 'entry') return 'bought, the fill not yet written down'
  return kind === 'cancel' ? 'stop canceled, the new one not yet sent' : 'new stop placed, its answer not yet seen'
}

export function meanwhile({ barsAlone, fillsAlone }: Kill): string {
  if (barsAlone === 0) return 'stood still'
  return `went on ${counted(barsAlone, 'bar')}, hit the stop, ${counted(fillsAlone, 'fill')}`
}

/** What `reconcile` did, most telling first. */
export function deedsOfReconcile({ reconciliation: { counts } }: Kill): string[] {
  const deeds: readonly (readonly [number, string])[] = [
    [counts.fillsImported, `${counted(counts.fillsImported, 'fill')} imported`],
    [counts.positionsOpened, `${counted(counts.positionsOpened, 'position')} opened`],
    [counts.positionsClosed, `${counted(counts.positionsClosed, 'position')} closed`],
    [counts.stopsCleared, `${counted(counts.stopsCleared, 'stop')} cleared`],
    [counts.stopsCanceled, `${counted(counts.stopsCanceled, 'stop')} canceled`],
    [counts.stopsPlaced, `${counted(counts.stopsPlaced, 'stop')} placed`],
    [counts.intentsResubmitted, `${counted(counts.intentsResubmitted, 'order')} sent again`],
    [counts.ordersUpdated, `${counted(counts.ordersUpdated, 'order')} updated`],
    [counts.unresolved, `${counts.unresolved} unresolved`],
  ]
  const done = deeds.filter(([times]) => times > 0).map(([, deed]) => deed)
  return done.length === 0 ? ['nothing to do'] : done
}
