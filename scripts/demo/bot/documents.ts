/** The documents the bot works with, by short names. */
import type { BuiltInCollections, DocumentOf } from '../holdfast.ts'

export type Position = DocumentOf<BuiltInCollections['positions']>
export type Order = DocumentOf<BuiltInCollections['orders']>
export type Fill = DocumentOf<BuiltInCollections['fills']>
export type Trade = DocumentOf<BuiltInCollections['trades']>
