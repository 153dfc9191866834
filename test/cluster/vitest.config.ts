import { defineConfig } from 'vitest/config';

/** Apart from the other projects, as it needs a cluster: run.ts starts it. */
export default defineConfig({
  test: {
    name: 'cluster',
    root: import.meta.dirname,
    include: ['suite/**/*.test.ts'],
    pool: 'forks',
    // One file at a time: some stop parts of the cluster.
    fileParallelism: false,
    passWithNoTests: false,
    allowOnly: false,
    reporters: ['default', '../summary-reporter.ts'],
    // Liveness only: a busy machine is not a failure.
    testTimeout: 120_000,
    hookTimeout: 300_000,
  },
});
