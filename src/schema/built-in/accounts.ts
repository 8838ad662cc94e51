/** Who trades, and with which wallets. */
import * as z from 'zod'
import { timestampMs } from '../decimal.ts'
import { defineCollection } from '../define-collection.ts'

const id = z.string().min(1).max(256)
const metadata = z.record(z.string(), z.json())

export const users = defineCollection({
  name: 'users',
  key: 'id',
  schema: z.object({
    id,
    name: z.string().max(256).optional(),
    email: z.string().max(320).nullish(),
    role: z.string().max(64).optional(),
    createdAt: timestampMs.optional(),
    metadata: metadata.optional(),
  }),
  indexes: ['email', 'role'],
  unique: ['email'],
})

/**
 * A wallet. `privateKey` is sealed a second time under a key of its own and never comes back with the document:
 * only `store.wallets.reveal`, which is recorded, opens it. A `put` without `privateKey` keeps the sealed one.
 */
export const wallets = defineCollection({
  name: 'wallets',
  key: 'address',
  schema: z.object({
    address: id,
    label: z.string().max(256).optional(),
    chain: z.string().max(64).optional(),
    publicKey: z.string().max(4_096).optional(),
    privateKey: z.string().min(1).max(16_384).nullish(),
    userId: id.nullish(),
    createdAt: timestampMs.optional(),
    metadata: metadata.optional(),
  }),
  indexes: ['chain', 'userId'],
  references: { userId: 'users' },
  sealed: ['privateKey'],
})
