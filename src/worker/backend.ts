/** What the store worker asks of a database: the seam behind which another backend can stand. */
import type { StoreWorkerMethods } from '../protocol/methods.ts'

/** A backend answers every method of the protocol but `open`, which makes it, and `halt`, which is the thread's. */
export type Backend = Omit<StoreWorkerMethods, 'open' | 'halt'>
