// Temporary: until src/index.ts exports what belongs to reconcile.

export * from '../../src/client/reconcile/exchange.ts'
export * from '../../src/client/reconcile/reconcile.ts'
export type { ReconcileReport } from '../../src/client/reconcile/reconcile-report.ts'
export * from '../../src/index.ts'
