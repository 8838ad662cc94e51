import * as z from 'zod'

const count = z.int().nonnegative().optional()

/** How many backups to keep: the newest ones, and the newest of each of the last days, weeks and months (UTC) that have any. */
export const retentionRule = z.strictObject({ last: count, daily: count, weekly: count, monthly: count })

export type RetentionRule = z.infer<typeof retentionRule>
