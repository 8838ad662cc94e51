/** Holdfast as the demo sees it: what its package gives out. */
export * from '../../src/index.ts'
