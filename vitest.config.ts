import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Fault runs kill real processes at real moments; a loaded build machine gets a second try, a developer does not.
    retry: process.env.CI === undefined ? 0 : 1,
  },
})
