import type { Command } from 'commander'
import { serveMetrics } from '../index.ts'
import { withReader } from './open-session-store.ts'
import type { Session } from './session.ts'
import { wholeNumber } from './whole-number.ts'

const LOOPBACK = new Set(['127.0.0.1', '::1', 'localhost'])

interface ServeMetricsCommandOptions {
  readonly port?: number
  readonly address?: string
}

export function addServeMetricsCommand(program: Command, session: () => Session): void {
  program
    .command('serve-metrics')
    .description('serve what can be measured of a store beside its owner, for Prometheus, until it is ended')
    .option('--port <n>', 'the port, 0 for any (default: 9477)', wholeNumber)
    .option('--address <address>', 'another address than 127.0.0.1; there is no authentication')
    .addHelpText(
      'after',
      `
Sizes, free space, keys, archive and audit trail can be told from here; queue, commits and latencies are known to
the process that owns the store alone: there, call serveMetrics(store).`,
    )
    .action(async (options: ServeMetricsCommandOptions) => await serve(session(), options))
}

async function serve(session: Session, options: ServeMetricsCommandOptions): Promise<void> {
  const { terminal, interruption } = session
  await withReader(session, async (store) => {
    const server = await serveMetrics(store, options)
    if (options.address !== undefined && !LOOPBACK.has(options.address)) {
      terminal.warn('Whoever reaches this address can read the metrics: there is no authentication.')
    }
    if (terminal.isJson) await terminal.writeJson({ url: server.url })
    else await terminal.writeLine(server.url)
    interruption.beforeEnd(async () => {
      await server.close()
      await store.close()
    })
    await interruption.wait()
  })
}
