import { generateKeyPairSync } from 'node:crypto';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { ConsumerView } from '../../src/api/rest/consumers.js';
import { startTestService, type TestService } from '../support/service.js';
import { inProcess, type Ran } from './rotunda.js';

let service: TestService;

beforeAll(async () => {
  service = await startTestService();
});
afterAll(async () => service.stop());

const admin = (...args: string[]): Promise<Ran> => inProcess([...args, '--kubeconfig', service.kubeconfig]);
const ok = async (...args: string[]): Promise<string> => {
  const ran = await admin(...args);
  expect([args, ran.code, ran.err]).toEqual([args, 0, ran.err]);
  return ran.out;
};
const failed = async (...args: string[]): Promise<string> => {
  const ran = await admin(...args);
  expect([args, ran.code === 0, ran.out]).toEqual([args, false, '']);
  return ran.err;
};

describe('consumers', () => {
  it('are registered, listed, shown and deleted', async () => {
    const made = await ok(
      ...['consumer', 'register', 'kube-apiserver/cp-1', '--endpoint', '10.0.0.11:6443', '--node', 'cp-1'],
      ...['--software', 'kube-apiserver 1.36.3', '--algorithm', 'ed25519', '-o', 'wide'],
    );
    expect(made).toMatch(/kube-apiserver\/cp-1 +live +etcd:0\/1,front-proxy:0\/1,kubernetes:0\/1 +never +api +cp-1/);
    await ok(
      'consumer',
      'register',
      'mesh/gateway',
      '--verifies',
      'etcd',
      '--presents',
      'kubernetes',
      '--lease',
      '10m',
    );
    expect(JSON.parse(await ok('consumer', 'get', 'mesh/gateway', '-o', 'json'))).toMatchObject({
      leaseSeconds: 600,
      rings: [
        { ring: 'etcd', verifies: true, presents: false },
        { ring: 'kubernetes', verifies: false, presents: true },
      ],
    });
    await ok('consumer', 'register', 'kube-apiserver/cp-1', '--presents', 'front-proxy');
    const server = JSON.parse(await ok('consumer', 'get', 'kube-apiserver/cp-1', '-o', 'json')) as ConsumerView;
    expect(server.rings.map(({ verifies }) => verifies)).toEqual([true, true, true]);
    expect(await ok('consumer', 'list', '--class', 'mesh', '-o', 'name')).toBe('consumer/mesh/gateway\n');
    expect(await ok('consumer', 'list', '--ring', 'front-proxy', '-o', 'name')).toContain('kube-apiserver/cp-1');
    expect((await admin('consumer', 'list', '--state', 'silent')).err).toBe('no consumer found\n');
    expect((await admin('consumer', 'delete', 'mesh/gateway')).err).toBe('deleted consumer mesh/gateway\n');
    expect(await failed('consumer', 'get', 'mesh/gateway')).toContain('error: there is no consumer "mesh/gateway"');
    expect(await failed('consumer', 'register', 'mesh/x')).toMatch(/rings.*Required value/);
    expect(await failed('consumer', 'register', 'kubelet/x', '--lease', 'soon')).toContain(
      '--lease "soon" is not a duration',
    );
  });

  it('are acknowledged for, with the bundle as it was published', async () => {
    await ok('consumer', 'register', 'kube-scheduler/cp-1');
    const shown = await ok('consumer', 'acknowledge', 'kube-scheduler/cp-1', '--ring', 'kubernetes');
    expect(shown).toContain('kubernetes:1/1(self-report)');
    const digest = `sha256:${'0'.repeat(64)}`;
    expect(
      await failed('consumer', 'acknowledge', 'kube-scheduler/cp-1', '--ring', 'kubernetes', '--digest', digest),
    ).toMatch(
      /error: bundle 1 of the ring kubernetes has the digest sha256:(?!0{64})[0-9a-f]{64} \(conflict\)\nhint: /,
    );
    expect(
      await failed('consumer', 'acknowledge', 'kube-scheduler/cp-1', '--ring', 'kubernetes', '--generation', '7'),
    ).toContain('error: ');
  });

  it('are told where what they say does not count', async () => {
    await ok('consumer', 'register', 'etcd-member/main/m1');
    const weak = await admin('consumer', 'acknowledge', 'etcd-member/main/m1', '--ring', 'etcd');
    expect(weak.out).toContain('etcd:1/1(self-report?)');
    expect(weak.err).toContain('its class needs restart, or stronger evidence');
    const restart = ['--ring', 'etcd', '--evidence', 'restart', '--delivered-at', '2026-11-23T12:00:00Z'];
    expect(await failed('consumer', 'acknowledge', 'etcd-member/main/m1', ...restart)).toContain('give startedAt');
    expect(
      await failed('consumer', 'acknowledge', 'etcd-member/main/m1', ...restart, '--started-at', 'today'),
    ).toContain('--started-at "today" is not a time');
    const strong = await admin(
      'consumer',
      'acknowledge',
      'etcd-member/main/m1',
      ...restart,
      '--started-at',
      '2026-11-23T12:05:00+00:00',
    );
    expect([strong.out, strong.err]).toEqual([expect.stringContaining('etcd:1/1(restart)'), '']);
  });

  it('are acknowledged for in a ring of signing keys, which they read at their start', async () => {
    const publicKey = newKey();
    const keys = { ring: 'service-account', publicKey };
    const made = await service.client(service.admin).send('POST', '/pki/v1/keysets', { body: keys });
    expect(made.status).toBe(201);
    const name = 'kube-apiserver/cp-2';
    await ok('consumer', 'register', name);
    await ok('consumer', 'register', name, '--verifies', 'service-account');
    const say = ['consumer', 'acknowledge', name, '--ring', 'service-account'];
    expect((await admin(...say)).err).toContain('its class needs restart');
    const restarted = ['--evidence', 'restart', '--delivered-at', ago(120), '--started-at', ago(60)];
    expect(await ok(...say, ...restarted)).toContain('service-account:1/1(restart)');
    expect(await failed(...say, '--generation', '9')).toContain('--digest');
    expect(await failed('consumer', 'acknowledge', name, '--ring', 'nope')).toContain('nope');
  });

  it('are quarantined after a look at what that breaks', async () => {
    await ok('consumer', 'register', 'kubelet/w1');
    const look = await admin('consumer', 'quarantine', 'kubelet/w1', '--reason', 'disk dead', '--dry-run');
    expect(look.out).toContain('- it verifies kubernetes with an unknown bundle');
    expect(look.err).toBe('nothing was changed\n');
    expect(await ok('consumer', 'get', 'kubelet/w1')).toContain('live');
    expect(
      JSON.parse(await ok('consumer', 'quarantine', 'kubelet/w1', '--reason', 'disk dead', '-o', 'json')),
    ).toMatchObject({ quarantined: true });
    expect(await ok('consumer', 'list', '--state', 'quarantined', '-o', 'name')).toBe('consumer/kubelet/w1\n');
    expect(await failed('consumer', 'unquarantine', 'kubelet/w1')).toContain('has not shown since it was quarantined');
    const restarted = ['--evidence', 'restart', '--delivered-at', ago(120), '--started-at', ago(60)];
    await ok('consumer', 'acknowledge', 'kubelet/w1', '--ring', 'kubernetes', ...restarted);
    expect(await ok('consumer', 'unquarantine', 'kubelet/w1')).toContain('live');
    expect(await failed('consumer', 'quarantine', 'kubelet/w1')).toContain("required option '--reason <text>'");
  });
});

const newKey = (): string =>
  generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'pem', type: 'spki' }).toString();

/** Seconds ago, as times are given. */
const ago = (seconds: number): string => new Date(Date.now() - seconds * 1000).toISOString();

describe('attestations', () => {
  const create = ['attestation', 'create', '--ring', 'kubernetes', '--reason', 'looked'];

  it('are made, listed and taken back', async () => {
    const made = JSON.parse(
      await ok(...create, '--class', 'pod', '--statement', 'loaded', '--generation', '1', '--ttl', '2d', '-o', 'json'),
    ) as { id: string };
    expect(made).toMatchObject({ class: 'pod', statement: 'loaded', generation: 1, by: 'admin', state: 'live' });
    expect(await ok('attestation', 'list', '-o', 'wide')).toMatch(
      /kubernetes +pod +loaded 1 +live +admin +\d+[dh]\S* +looked/,
    );
    expect(await ok('attestation', 'get', made.id)).toContain(made.id);
    expect(await ok('attestation', 'revoke', made.id)).toContain('revoked');
    expect((await admin('attestation', 'list', '--state', 'live')).err).toBe('no attestation found\n');
    expect(await ok('attestation', 'list', '--ring', 'kubernetes', '-o', 'name')).toBe(`attestation/${made.id}\n`);
  });

  it('that will not do are refused with what would', async () => {
    expect(await failed(...create, '--class', 'kubelet', '--statement', 'loaded', '--generation', '1')).toMatch(
      /needs restart[\s\S]*hint: /,
    );
    expect(await failed(...create, '--class', 'pod', '--statement', 'absent', '--ttl', '400d')).toContain(
      '365 days at most',
    );
    expect(await failed(...create, '--statement', 'absent')).toContain('class');
    expect(await failed(...create, '--class', 'pod', '--consumer', 'pod/a', '--statement', 'absent')).toContain(
      'cannot be used with',
    );
  });
});
