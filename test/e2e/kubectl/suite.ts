import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, describe, it } from 'vitest';

import { startTestService, type TestService } from '../../support/service.js';
import { matrix } from './matrix.js';
import { type Kubectl, minorOf, runRow } from './runner.js';

/** Runs every command that this kubectl has against a service of its own. */
export function driveMatrix(binary: () => string): void {
  let service: TestService;
  let kubectl: Kubectl;
  let minor: number;
  beforeAll(async () => {
    service = await startTestService();
    minor = await minorOf(binary());
    const home = mkdtempSync(path.join(tmpdir(), 'rotunda-kubectl-'));
    kubectl = { binary: binary(), home, kubeconfig: service.kubeconfig, client: service.client(service.admin) };
  });
  afterAll(async () => {
    await service.stop();
    rmSync(kubectl.home, { recursive: true, force: true });
  });
  const rows = Object.values(matrix).flat();
  describe.each(Object.entries(matrix))('%s', (_about, about) => {
    it.each(about.map((row) => [row.command.join(' '), row] as const))(
      '%s',
      async (_command, row) => {
        // The documentation says which versions lack what.
        if (row.since !== undefined && minor < row.since[0]) return;
        await runRow(kubectl, row, `row-${String(rows.indexOf(row))}`);
      },
      90_000,
    );
  });
}
