import { users, wallets } from './built-in/accounts.ts'
import { algorithmMetrics, recoveryMetrics } from './built-in/metrics.ts'
import { flags, kv, preferences } from './built-in/settings.ts'
import { fills, orders, positions, trades } from './built-in/trading.ts'

/** The collections every store has. Their tables are made by `migrations/0001_collections.sql`. */
export const builtInCollections = Object.freeze({
  positions,
  orders,
  fills,
  trades,
  kv,
  preferences,
  flags,
  users,
  wallets,
  algorithmMetrics,
  recoveryMetrics,
})

export type BuiltInCollections = typeof builtInCollections
