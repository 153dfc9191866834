import { defineConfig } from 'vitest/config';

/** `npx vitest run --config bench/vitest.config.ts`, from the repository's root. */
export default defineConfig({
  test: {
    root: import.meta.dirname,
    pool: 'forks',
    maxWorkers: 1,
    passWithNoTests: false,
    allowOnly: false,
    include: ['**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
