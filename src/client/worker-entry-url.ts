/** Where the worker starts: the compiled entry of the package, or the bootstrap of the sources when run from those. */
const fromSource = import.meta.url.endsWith('.ts')

export const workerEntryUrl = new URL(
  fromSource ? '../worker/start-from-source.mjs' : '../worker/entry.js',
  import.meta.url,
)

/** The migrations that ship with the package. */
export const builtInMigrationsUrl = new URL('../../migrations/', import.meta.url)
