import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, describe, expect, it } from 'vitest';

import { formatDuration, parseDuration } from '../../src/config/duration.js';
import { configFrom, loadConfig } from '../../src/config/load.js';
import { RotundaError } from '../../src/errors.js';

const version = { apiVersion: 'rotunda.dev/v1alpha1' };

function refusal(raw: unknown): string {
  try {
    configFrom(raw, {});
  } catch (error) {
    if (error instanceof RotundaError) return error.message;
    throw error;
  }
  throw new Error('the configuration was accepted');
}

describe('durations', () => {
  it.each([
    ['90m', 5_400_000],
    ['1h30m', 5_400_000],
    ['30d', 2_592_000_000],
    ['10y', 315_360_000_000],
  ])('reads %s', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  it.each(['', '5', 'm', '-1h', '1.5h', '1w', ' 1h', '1h '])('refuses %j', (text) => {
    expect(parseDuration(text)).toBeUndefined();
  });

  it('writes the largest unit that is exact', () => {
    expect(formatDuration(129_600_000)).toBe('36h');
    expect(formatDuration(86_400_000)).toBe('1d');
  });
});

describe('the configuration', () => {
  it('needs nothing', () => {
    const config = configFrom({ ...version, dataDir: '/nowhere' }, {});
    expect(config.rings.map((ring) => ring.name).sort()).toEqual(['etcd', 'front-proxy', 'kubernetes', 'rotunda']);
    expect(config.listen).toEqual({ host: '::', port: 8443 });
    expect(config.storeUrl).toBe('sqlite:/nowhere/rotunda.db');
    expect(Object.isFrozen(config.profiles)).toBe(true);
    expect(Object.isFrozen(config.rings[0])).toBe(true);
  });

  it('splits client and server CAs by naming rings', () => {
    const config = configFrom({ ...version, topology: { kubernetesServer: 'kubernetes-server' } }, {});
    expect(config.rings.map((ring) => ring.name)).toContain('kubernetes-server');
    const ringOf = (signer: string): string | undefined => config.profiles.find((p) => p.signerName === signer)?.ring;
    expect(ringOf('kubernetes.io/kubelet-serving')).toBe('kubernetes-server');
    expect(ringOf('kubernetes.io/kube-apiserver-client-kubelet')).toBe('kubernetes');
  });

  it.each([
    ['an unknown version', { apiVersion: 'rotunda.dev/v9' }, /^apiVersion: "rotunda.dev\/v9": /],
    ['an unknown field', { ...version, colour: 'red' }, /unknown field colour/],
    ['a bad listen address', { ...version, listen: 'localhost' }, /^listen: "localhost": must be HOST:PORT/],
    ['a port that is none', { ...version, listen: ':70000' }, /^listen: ":70000": must be/],
    [
      'a bad duration',
      { ...version, rings: [{ name: 'etcd', lifetime: 'long' }] },
      /^rings\[0\]\.lifetime: "long": must be a positive/,
    ],
    ['an unknown key type', { ...version, rings: [{ name: 'etcd', keyType: 'dsa' }] }, /^rings\[0\]\.keyType: "dsa": /],
    [
      'two key sources',
      { ...version, keyEncryptionKey: { file: 'a', environment: 'b' } },
      /^keyEncryptionKey: .*exactly one of/,
    ],
    [
      'another database',
      { ...version, store: { url: 'mysql://u:secret@x' } },
      /^store.url: must be sqlite:PATH or postgres/,
    ],
    ['plain http', { ...version, serving: { advertiseUrl: 'http://x' } }, /^serving\.advertiseUrl: .*https/],
    [
      'a retention in which no client sees the outcome',
      { ...version, requests: { retention: { denied: '5m' } } },
      /^requests\.retention\.denied: .*at least 10m/,
    ],
    [
      'a pending time below what a kubelet waits',
      { ...version, requests: { retention: { pending: '30m' } } },
      /^requests\.retention\.pending: .*at least 1h/,
    ],
    [
      'a Retry-After of hours',
      { ...version, limits: { repeats: { longestRetryAfter: '1h' } } },
      /^limits\.repeats\.longestRetryAfter: .*at most 15m/,
    ],
    ['a rate of nothing', { ...version, limits: { identity: { perSecond: 0 } } }, /^limits\.identity\.perSecond: 0: /],
  ])('refuses %s and names path, value and rule', (_what, raw, message) => {
    expect(refusal(raw)).toMatch(message);
  });

  it('takes what is set of the retention and the limits, and the defaults for the rest', () => {
    const { retention, limits } = configFrom({
      ...version,
      requests: { retention: { issued: '2h' } },
      limits: { repeats: { window: '10m' }, signing: { waiting: 0 } },
    });
    expect(retention).toMatchObject({
      issued: 7_200_000,
      denied: 3_600_000,
      pending: 86_400_000,
      approved: 86_400_000,
    });
    expect(limits.repeats).toEqual({ stored: 5, windowMs: 600_000, longestRetryAfterMs: 60_000 });
    expect(limits.signing).toEqual({ running: 256, waiting: 0 });
  });

  it('refuses a CA that lives less than six times its longest leaf', () => {
    const message = refusal({ ...version, rings: [{ name: 'kubernetes', lifetime: '1y' }] });
    expect(message).toContain('profiles[kubernetes.io/kubelet-serving].lifetime');
    expect(message).toContain('at least 6 times');
  });

  it('refuses a profile on a ring that does not exist', () => {
    const profile = {
      signerName: 'example.com/web',
      ring: 'nowhere',
      usages: { required: ['server auth'] },
      lifetime: { standard: '30d', longest: '90d' },
    };
    expect(refusal({ ...version, profiles: [profile] })).toMatch(/nowhere.*no such ring/);
  });

  const nodeShape = { commonName: { prefix: 'system:node:' }, organizations: ['system:nodes'] };
  it.each([
    [{ ...nodeShape, commonName: undefined }, 'commonName: not set: ', 'the prefix system:node:'],
    [
      { ...nodeShape, commonName: { prefix: 'system:' } },
      'commonName: {"prefix":"system:"}: ',
      'the prefix system:node:',
    ],
    [{ ...nodeShape, commonName: { exact: 'system:node:' } }, 'commonName: {"exact"', 'the prefix system:node:'],
    [{ ...nodeShape, organizations: undefined }, 'organizations: not set: ', 'exactly ["system:nodes"]'],
    [{ ...nodeShape, organizations: ['system:nodes', 'x'] }, 'organizations: ["system:nodes","x"]: ', 'exactly'],
  ])('refuses a profile that nodes get by themselves and that is not for nodes: %j', (shape, field, rule) => {
    for (const approval of ['node-client', 'node-serving']) {
      const profile = {
        signerName: 'example.com/x',
        ring: 'kubernetes',
        approval,
        usages: { required: ['client auth'] },
      };
      const message = refusal({ ...version, profiles: [{ ...profile, ...shape }] });
      expect(message).toContain(`profiles[example.com/x].${field}`);
      expect(message).toContain(`with the approval ${approval} it must be ${rule}`);
      expect(configFrom({ ...version, profiles: [{ ...profile, ...nodeShape }] }, {}).profiles).toContainEqual(
        expect.objectContaining({ signerName: 'example.com/x' }),
      );
    }
  });

  it.each([
    [{ etcdClient: 'kubernetes', etcdServer: 'kubernetes', etcdPeer: 'kubernetes' }, 'topology.etcdClient'],
    [{ frontProxy: 'kubernetes' }, 'topology.frontProxy'],
    [{ rotunda: 'kubernetes' }, 'topology.rotunda'],
    [{ frontProxy: 'etcd' }, 'topology.frontProxy'],
  ])('refuses to share a CA unsafely: %j', (topology, field) => {
    expect(refusal({ ...version, topology })).toContain(`${field}: `);
    const allowed = configFrom({ ...version, topology, allowInsecureSharedCA: true }, {});
    expect(allowed.headerTrust).toBe(false);
  });

  it('refuses what is there twice, of which one would silently win', () => {
    const rings = [{ name: 'etcd', keyType: 'ed25519' }, { name: 'etcd' }];
    expect(refusal({ ...version, rings })).toMatch(/^rings\[1\]\.name: "etcd": is there twice/);
    const profile = { signerName: 'example.com/web', ring: 'kubernetes', usages: { required: ['server auth'] } };
    expect(refusal({ ...version, profiles: [profile, { ...profile, ring: 'etcd' }] })).toMatch(
      /^profiles\[1\]\.signerName: "example.com\/web": is there twice/,
    );
  });

  it('refuses administrators of another ring than the own', () => {
    const profile = { signerName: 'rotunda.dev/client', ring: 'kubernetes', usages: { required: ['client auth'] } };
    expect(refusal({ ...version, profiles: [profile] })).toMatch(
      /rotunda\.dev\/client\]\.ring: "kubernetes": .*rotunda/,
    );
  });

  it('refuses PostgreSQL with a key that only this machine has', () => {
    expect(refusal({ ...version, store: { url: 'postgres://localhost/x' } })).toMatch(/^keyEncryptionKey: must be set/);
  });

  it('takes the database address from the environment and never shows it', () => {
    const raw = { ...version, store: { urlEnvironment: 'DB' }, keyEncryptionKey: { file: '/k' } };
    expect(configFrom(raw, { DB: 'postgres://u:secret@h/d' }).storeUrl).toBe('postgres://u:secret@h/d');
    expect(refusal(raw)).toBe('store.urlEnvironment: the environment variable DB is not set');
  });
});

describe('the configuration file', () => {
  const dirs: string[] = [];
  afterEach(() => {
    for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true, force: true });
  });

  function file(text: string): string {
    const dir = mkdtempSync(path.join(tmpdir(), 'rotunda-config-'));
    dirs.push(dir);
    const name = path.join(dir, 'rotunda.yaml');
    writeFileSync(name, text);
    return name;
  }

  it('is read, and flags win over it', () => {
    const configFile = file(
      'apiVersion: rotunda.dev/v1alpha1\nlisten: 127.0.0.1:1\nnodeApproval: upstream-any-node-name\n',
    );
    const config = loadConfig({ configFile, listen: '127.0.0.1:2' }, {});
    expect(config.listen.port).toBe(2);
    expect(config.nodeApproval).toBe('upstream');
  });

  it('must say its version', () => {
    expect(() => loadConfig({ configFile: file('listen: ":1"\n') }, {})).toThrow(/^apiVersion: not set/);
  });

  it.each([
    ['', /must be a YAML mapping/],
    ['- a\n', /must be a YAML mapping/],
    ['a: [\n', /is not YAML/],
  ])('is refused when it is %j', (text, message) => {
    expect(() => loadConfig({ configFile: file(text) }, {})).toThrow(message);
  });

  it('is refused when it is not there', () => {
    expect(() => loadConfig({ configFile: '/nowhere/rotunda.yaml' }, {})).toThrow(/cannot read the configuration file/);
  });
});
