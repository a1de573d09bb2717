import { type X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { connect } from 'node:tls';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { startTestService, type TestService } from '../support/service.js';

let dataDir: string;
const running: TestService[] = [];

beforeEach(() => {
  dataDir = mkdtempSync(path.join(tmpdir(), 'rotunda-start-'));
});

afterEach(async () => {
  for (const service of running.splice(0)) await service.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

async function start(options: Parameters<typeof startTestService>[0] = {}): Promise<TestService> {
  const service = await startTestService({ dataDir, ...options });
  running.push(service);
  return service;
}

async function stop(service: TestService): Promise<void> {
  running.splice(running.indexOf(service), 1);
  await service.stop();
}

function presented(service: TestService): Promise<X509Certificate> {
  const { hostname, port } = new URL(service.url);
  return new Promise((resolve, reject) => {
    // The clock of a test may be ahead of the real one, by which node judges validity.
    const socket = connect({ host: hostname, port: Number(port), rejectUnauthorized: false }, () => {
      const certificate = socket.getPeerX509Certificate();
      socket.end();
      if (certificate === undefined) reject(new Error('no certificate'));
      else resolve(certificate);
    });
    socket.on('error', reject);
  });
}

describe('the first start', () => {
  it('makes the data directory with private files', async () => {
    const service = await start();
    for (const file of ['admin.kubeconfig', 'serving.pem', 'key-encryption.key', 'rotunda.db']) {
      expect(statSync(path.join(dataDir, file)).mode & 0o077, file).toBe(0);
    }
    expect(service.service.pins).toHaveLength(1);
    expect(service.service.pins[0]).toMatch(/^sha256:[0-9a-f]{64}$/);
  });

  it('serves with a leaf of the ring kubernetes', async () => {
    const service = await start();
    const leaf = await presented(service);
    const anchor = service.service.context.ca.bundle('kubernetes').anchors[0];
    expect(
      anchor?.subjectDer.equals(
        service.service.context.ca.ring('kubernetes').active.certificates[0]?.facts.subjectDer ?? Buffer.alloc(0),
      ),
    ).toBe(true);
    expect(leaf.checkHost('localhost')).toBe('localhost');
    expect(leaf.checkIP('127.0.0.1')).toBe('127.0.0.1');
    expect(leaf.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
  });

  it('lets the administrator in, and nobody else', async () => {
    const service = await start();
    const who = await service.client(service.admin).send('GET', '/pki/v1/whoami');
    expect(who.status, who.text).toBe(200);
    expect(who.text).toContain('rotunda:admins');
    expect((await service.client().send('GET', '/pki/v1/rings')).status).toBe(401);
    expect((await service.client().send('GET', '/metrics')).status).toBe(403);
    expect((await service.client({ token: 'abcdef.0123456789abcdef' }).send('GET', '/pki/v1/rings')).status).toBe(401);
  });

  it('is healthy and measured', async () => {
    const service = await start();
    for (const check of ['/healthz', '/livez', '/readyz']) {
      const answer = await service.client().send('GET', check);
      expect([answer.status, answer.text]).toEqual([200, 'ok']);
    }
    const metrics = await service.client(service.admin).send('GET', '/metrics');
    expect(metrics.text).toMatch(/rotunda_seconds_to_first_expiry \d+/);
    expect(metrics.text).toMatch(
      /rotunda_authority_expiry_timestamp_seconds\{ring="etcd",authority="[0-9a-f]{40}"\} \d+/,
    );
    expect(metrics.text).toMatch(/rotunda_certificates_expiring\{ring="kubernetes",within="30d"\} 0/);
  });
});

describe('the second start', () => {
  it('keeps everything', async () => {
    const first = await start();
    const before = [
      readFileSync(first.kubeconfig, 'utf8'),
      readFileSync(path.join(dataDir, 'serving.pem'), 'utf8'),
      first.service.pins,
    ];
    const { port } = new URL(first.url);
    await stop(first);
    const second = await start({ config: { listen: `127.0.0.1:${port}` } });
    expect([
      readFileSync(second.kubeconfig, 'utf8'),
      readFileSync(path.join(dataDir, 'serving.pem'), 'utf8'),
      second.service.pins,
    ]).toEqual(before);
  });

  it('points the kubeconfig at a new address with the same credential', async () => {
    const first = await start();
    await stop(first);
    const second = await start();
    expect(second.admin).toEqual(first.admin);
    expect((await second.client(second.admin).send('GET', '/pki/v1/whoami')).status).toBe(200);
  });
});

describe("the service's own credentials", () => {
  it('are renewed at two thirds of their life, without a restart', async () => {
    let ahead = 0;
    const service = await start({ overrides: { clock: { now: () => new Date(Date.now() + ahead) } } });
    const before = await presented(service);
    ahead = 61 * 86_400_000;
    await service.service.maintain();
    const after = await presented(service);
    expect(after.serialNumber).not.toBe(before.serialNumber);
    expect(readFileSync(service.kubeconfig, 'utf8')).toContain(Buffer.from(service.admin.cert).toString('base64'));
    ahead = 250 * 86_400_000;
    await service.service.maintain();
    expect(readFileSync(service.kubeconfig, 'utf8')).not.toContain(Buffer.from(service.admin.cert).toString('base64'));
  });

  it('a damaged kubeconfig is replaced', async () => {
    const first = await start();
    await stop(first);
    writeFileSync(first.kubeconfig, 'no longer a kubeconfig');
    const second = await start();
    expect((await second.client(second.admin).send('GET', '/pki/v1/whoami')).status).toBe(200);
  });
});
