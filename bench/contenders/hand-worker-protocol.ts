/** The messages between the hand-made worker and its client. */
import type { Bar } from '../documents.ts'

export type Request =
  | { readonly kind: 'put' | 'putArchived'; readonly call: number; readonly id: string; readonly json: string }
  | { readonly kind: 'get'; readonly call: number; readonly id: string }
  | { readonly kind: 'loadBars'; readonly call: number; readonly bars: readonly Bar[] }
  | { readonly kind: 'aggregateBars' | 'close'; readonly call: number }

export interface Reply {
  readonly call: number
  readonly result?: unknown
  readonly error?: string
}
