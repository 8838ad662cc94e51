// Runs the worker from its TypeScript sources, for development and tests: Node 20 can't start a worker from a .ts file,
// not even with `--import tsx`. The package ships the compiled entry and not this file.
import { register } from 'tsx/esm/api'

register()
await import('./entry.ts')
