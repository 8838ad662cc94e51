import { openStore, type Store } from '../holdfast.ts'
import { bars } from './bars-collection.ts'

/** Known to everyone: what it protects is a game. A real one is at least as long and known to nobody. */
export const DEMO_PASSWORD = 'holdfast-demo-password'

export type DemoStore = Store<{ barRows: typeof bars }>

export function openDemoStore(dir: string): Promise<DemoStore> {
  return openStore({ dir, password: DEMO_PASSWORD, collections: { barRows: bars } })
}
