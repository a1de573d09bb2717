import { generateKeyPairSync, type X509Certificate } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { connect } from 'node:tls';

import { Agent, request } from 'undici';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { startServiceProcess } from '../support/service-process.js';
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

  it('with a key that is not theirs are replaced', async () => {
    const first = await start();
    await stop(first);
    const file = path.join(dataDir, 'serving.pem');
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const certificate = readFileSync(file, 'utf8').split('-----BEGIN PRIVATE KEY-----')[0] ?? '';
    writeFileSync(file, certificate + privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
    const second = await start();
    expect((await second.client(second.admin).send('GET', '/pki/v1/whoami')).status).toBe(200);
  });
});

describe('the key-encryption key', () => {
  const variable = 'ROTUNDA_TEST_START_KEY';

  afterEach(() => {
    Reflect.deleteProperty(process.env, variable);
  });

  /** Starts, stops, starts again with the same source and then with another secret behind it. */
  async function keepsOut(config: Record<string, unknown>, change: () => void): Promise<void> {
    const first = await start({ config });
    const { pins } = first.service;
    await stop(first);
    const second = await start({ config });
    expect(second.service.pins).toEqual(pins);
    expect((await second.client(second.admin).send('GET', '/pki/v1/whoami')).status).toBe(200);
    await stop(second);
    change();
    await expect(start({ config })).rejects.toThrow(/key-encryption key/);
    expect(existsSync(path.join(dataDir, 'key-encryption.key'))).toBe(false);
  }

  it('comes from a variable', async () => {
    process.env[variable] = Buffer.alloc(32, 1).toString('base64');
    await keepsOut({ keyEncryptionKey: { environment: variable } }, () => {
      process.env[variable] = Buffer.alloc(32, 2).toString('base64');
    });
  });

  it('comes from a passphrase in a file', async () => {
    const file = path.join(dataDir, 'passphrase');
    writeFileSync(file, 'correct horse battery staple\n', { mode: 0o600 });
    await keepsOut({ keyEncryptionKey: { passphraseFile: file } }, () => {
      writeFileSync(file, 'another long passphrase\n');
    });
  });

  it('comes from a passphrase in a variable', async () => {
    process.env[variable] = 'correct horse battery staple';
    await keepsOut({ keyEncryptionKey: { passphraseEnvironment: variable } }, () => {
      process.env[variable] = 'another long passphrase';
    });
  });

  it('comes from a file of its own', async () => {
    const file = path.join(dataDir, 'own.key');
    writeFileSync(file, Buffer.alloc(32, 1).toString('hex'), { mode: 0o600 });
    await keepsOut({ keyEncryptionKey: { file } }, () => {
      writeFileSync(file, Buffer.alloc(32, 2).toString('hex'));
    });
  });
});

describe('a start that cannot be', () => {
  it('tells of a port that is taken, and leaves nothing behind', async () => {
    const first = await start();
    const other = mkdtempSync(path.join(tmpdir(), 'rotunda-start-'));
    try {
      const { port } = new URL(first.url);
      const again = (listen: string): Promise<TestService> => start({ dataDir: other, config: { listen } });
      await expect(again(`127.0.0.1:${port}`)).rejects.toThrow(/EADDRINUSE/);
      // The database of the failed start is free again.
      expect((await again('127.0.0.1:0')).url).toMatch(/^https:/);
    } finally {
      for (const service of running.splice(0)) await service.stop();
      rmSync(other, { recursive: true, force: true });
    }
  });

  it('refuses a second service on the same SQLite database', async () => {
    await start();
    await expect(start()).rejects.toThrow(/another Rotunda process/);
  });
});

describe('as a process', () => {
  it('prints the welcome alone on standard output, and drains an open watch at SIGTERM', async () => {
    const service = await startServiceProcess({ dataDir });
    const lines = service.output().trim().split('\n');
    expect(lines[0]).toBe(`Rotunda is listening on ${service.url}`);
    expect(service.output()).toMatch(/CA pin +sha256:[0-9a-f]{64}/);
    expect(service.output()).not.toContain('{');
    const client = new Agent({ connect: { ca: service.ca, ...service.admin } });
    try {
      const path = '/apis/certificates.k8s.io/v1/certificatesigningrequests?watch=true&timeoutSeconds=300';
      const watch = await request(`${service.url}${path}`, { dispatcher: client });
      expect(watch.statusCode).toBe(200);
      const ended = watch.body.text();
      const began = performance.now();
      expect(await service.stop('SIGTERM')).toBe(0);
      expect(performance.now() - began).toBeLessThan(5000);
      await ended;
    } finally {
      await client.destroy();
    }
  });

  it('makes another administrator credential when told to, and the old one goes on working', async () => {
    const first = await startServiceProcess({ dataDir });
    await first.stop();
    const second = await startServiceProcess({ dataDir, args: ['--renew-admin', '--listen', '127.0.0.1:0'] });
    try {
      expect(second.admin.cert).not.toBe(first.admin.cert);
      for (const credential of [first.admin, second.admin]) {
        const client = new Agent({ connect: { ca: second.ca, ...credential } });
        const answer = await request(`${second.url}/pki/v1/whoami`, { dispatcher: client });
        expect(answer.statusCode, await answer.body.text()).toBe(200);
        await client.destroy();
      }
    } finally {
      await second.stop();
    }
  });
});
