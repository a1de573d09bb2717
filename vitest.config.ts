import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { defineConfig } from 'vitest/config';

const postgres = fileURLToPath(new URL('test/support/postgres-global.ts', import.meta.url));

/** One PostgreSQL server serves the whole run; each test takes a database of its own in it. */
const globalSetup = existsSync(postgres) ? [postgres] : [];

export default defineConfig({
  test: {
    environment: 'node',
    pool: 'forks',
    // Two cores: more workers only make the timing-sensitive suites (watches, real etcd) flaky.
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    teardownTimeout: 20_000,
    projects: [
      {
        extends: true,
        test: {
          name: 'fast',
          include: ['test/**/*.test.ts'],
          exclude: ['test/slow/**', 'test/kubernetes/**'],
          globalSetup,
        },
      },
      {
        extends: true,
        test: {
          name: 'slow',
          include: ['test/slow/**/*.test.ts'],
          testTimeout: 600_000,
          hookTimeout: 120_000,
          globalSetup,
        },
      },
      {
        extends: true,
        // Real control planes and kubelets: a starting API server takes half a minute of both cores.
        test: {
          name: 'kubernetes',
          include: ['test/kubernetes/**/*.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
});
