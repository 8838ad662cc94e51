/** What every store of a fault run is made with: the least argon2 the keyring allows, so that opening is cheap. */
export const PASSWORD = 'seven quiet harbours at dusk'
export const KDF = { memoryKiB: 19_456, iterations: 2, parallelism: 1 } as const
