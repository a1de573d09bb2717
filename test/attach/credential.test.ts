import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';

import { readKubeconfig } from '../../src/kubeconfig.js';
import { startTestService, type TestService } from '../support/service.js';

const dayMs = 86_400_000;

describe('the configured credential for an API server', () => {
  let dir: string;
  let file: string;
  let rotunda: TestService | undefined;

  beforeEach(() => {
    dir = mkdtempSync(path.join(tmpdir(), 'rotunda-credential-'));
    file = path.join(dir, 'cluster.conf');
  });

  afterEach(async () => {
    await rotunda?.stop();
    rotunda = undefined;
    rmSync(dir, { recursive: true, force: true });
  });

  const write = (user: Readonly<Record<string, unknown>>): void => {
    const cluster = { server: 'https://127.0.0.1:1', 'tls-server-name': 'kubernetes' };
    const text = stringify({
      'current-context': 'c',
      contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
      clusters: [{ name: 'c', cluster }],
      users: [{ name: 'u', user }],
    });
    writeFileSync(file, text, { mode: 0o600 });
  };
  const start = async (clock?: { now: () => Date }): Promise<TestService> => {
    rotunda = await startTestService({
      config: { kubernetes: { kubeconfig: file } },
      ...(clock === undefined ? {} : { overrides: { clock } }),
    });
    await rotunda.service.maintain();
    return rotunda;
  };

  it("gets a certificate of the service's own where it has none, renewed in time", async () => {
    write({});
    const clock = { at: Date.now(), now: () => new Date(clock.at) };
    const { service } = await start(clock);
    const first = readKubeconfig(file);
    expect(first).toMatchObject({ server: 'https://127.0.0.1:1', serverName: 'kubernetes' });
    const certificate = new X509Certificate(first.cert ?? '');
    expect(certificate.subject).toBe('CN=system:rotunda');
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2']);
    clock.at += 59 * dayMs;
    await service.maintain();
    expect(readKubeconfig(file).cert).toBe(first.cert);
    clock.at += 2 * dayMs;
    await service.maintain();
    expect(readKubeconfig(file).cert).not.toBe(first.cert);
    expect(readKubeconfig(file).serverName).toBe('kubernetes');
  });

  it('is used as it is where it is of somebody else', async () => {
    write({ token: 'a-token-of-the-cluster' });
    const before = readFileSync(file, 'utf8');
    const { service } = await start();
    expect(readFileSync(file, 'utf8')).toBe(before);
    expect((await service.context.attachment.status()).credential).toEqual({ state: 'ready' });
  });

  it('is reported where it cannot be used, and taken up once it can', async () => {
    write({ exec: { command: 'aws' } });
    const { service } = await start();
    const { credential } = await service.context.attachment.status();
    expect(credential).toMatchObject({ state: 'none', problem: expect.stringContaining('aws') as string });
    write({ token: 'a-token-of-the-cluster' });
    await service.maintain();
    expect((await service.context.attachment.status()).credential).toEqual({ state: 'ready' });
  });
});
