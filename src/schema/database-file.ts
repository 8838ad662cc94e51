/** The database file a collection lives in: `state` is what must not be lost, `market` is bulk data with a writer of its own. */
export type DatabaseFile = (typeof DATABASE_FILES)[number]
export const DATABASE_FILES = ['state', 'market'] as const
