import { connect, type Socket } from 'node:net';

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import type { Authority } from '../../../src/ca/types.js';
import { createCredentials } from '../../../src/rotation/probing/credentials.js';
import {
  createProber,
  type ProbedConsumer,
  type ProberOptions,
  type RoundReport,
} from '../../../src/rotation/probing/prober.js';
import type { ClientCertificate } from '../../../src/rotation/probing/types.js';
import type { Rotation } from '../../../src/rotation/types.js';
import { RotundaError } from '../../../src/errors.js';
import type { Proof } from '../../../src/fleet/consumers/report-types.js';
import { listProbes, type ProbeRow } from '../../../src/store/queries/probes.js';
import type { Store } from '../../../src/store/types.js';
import { issue, leafOrder, logger, random, startCa, testClock } from '../../ca/support.js';
import { newLeafKey } from '../../ca/leaf-keys.js';
import { peers } from '../../support/peers.js';
import { describeEachStore } from '../../support/stores.js';
import { startAfterHandshake, startEndpoint, startRaw, type TestEndpoint } from './endpoints.js';
import { newPki, type TestAuthority, type TestLeaf, type TestPki } from './pki.js';

const ring = 'kubernetes';
const signal = new AbortController().signal;
const anyTime: unknown = expect.any(Number);

describe.skipIf(peers.openssl === undefined)('rounds of probes', () => {
  let pki: TestPki;
  let old: TestAuthority;
  let next: TestAuthority;
  let leafOfOld: TestLeaf;
  let leafOfNext: TestLeaf;
  let canaries: Map<string, ClientCertificate>;
  const open: TestEndpoint[] = [];

  beforeAll(() => {
    pki = newPki();
    old = pki.authority('old');
    next = pki.authority('new');
    leafOfOld = pki.leaf(old, { kind: 'server' });
    leafOfNext = pki.leaf(next, { kind: 'server' });
    canaries = new Map([old, next].map((authority) => [authority.ski, pki.leaf(authority)]));
  });

  afterEach(async () => {
    for (const endpoint of open.splice(0)) await endpoint.close();
  });

  afterAll(() => {
    pki.remove();
  });

  async function kept(starting: Promise<TestEndpoint>): Promise<TestEndpoint> {
    const endpoint = await starting;
    open.push(endpoint);
    return endpoint;
  }

  const start = (
    kind: Parameters<typeof startEndpoint>[0],
    clientCas: readonly TestAuthority[],
    leaf = leafOfOld,
  ): Promise<TestEndpoint> => kept(startEndpoint(kind, { leaf, clientCas: clientCas.map(({ pem }) => pem) }));

  const rotationIn = (state: Rotation['state'], change: Partial<Rotation> = {}): Rotation => ({
    ...{ id: 'r1', ring, kind: 'planned', state, version: 1, epoch: 2, paused: false, back: false, policy: 'manual' },
    ...{ crossSigned: true, oldKey: old.ski, newKey: next.ski, advanced: undefined, disagreement: undefined },
    marks: {
      trusting: { at: 1, generation: 2 },
      distrusting: { at: 2, generation: 3 },
      retrusting: { at: 3, generation: 4 },
      spreading: { at: 1, generation: 2 },
    },
    ...{ options: {}, startedBy: 'test', reason: '', startedAt: 0, stateSince: 0, finishedAt: undefined },
    ...change,
  });

  const consumer = (
    name: string,
    endpoint: TestEndpoint | string,
    change: Partial<ProbedConsumer> = {},
  ): ProbedConsumer => ({
    ...{ name, class: name.split('/')[0] ?? '', process: 'p1', software: '', verifies: ['kubernetesClient'] },
    endpoints: [typeof endpoint === 'string' ? endpoint : endpoint.address],
    ...change,
  });

  type Session = {
    readonly proofs: Proof[];
    round(rotation: Rotation, consumers: readonly ProbedConsumer[], at?: AbortSignal): Promise<RoundReport>;
    rows(): Promise<ProbeRow[]>;
    brief(): Promise<string[]>;
  };

  function proberOn(store: Store, change: Partial<ProberOptions> = {}): Session {
    const proofs: Proof[] = [];
    let registered: readonly ProbedConsumer[] = [];
    const clock = testClock();
    const canary: Parameters<typeof createCredentials>[0]['canary'] = ({ authority }) => {
      const found = canaries.get(authority);
      if (found === undefined) throw new RotundaError('unavailable', 'no key');
      return Promise.resolve({ ...found, serial: '', fingerprint: '', notAfter: 0 });
    };
    const prober = createProber({
      ...{ store, random, logger, clock, spreadMs: 0, timeoutMs: 1500 },
      // What is signed now must be valid for the machine's own clock.
      credentials: createCredentials({ canary, random, clock: { now: () => new Date() } }),
      authorities: () => [old, next] as readonly Authority[],
      consumers: () => Promise.resolve(registered),
      prove: (proof) => {
        proofs.push(proof);
        return Promise.resolve();
      },
      ...change,
    });
    const rows = (): Promise<ProbeRow[]> => listProbes(store.db, ring);
    const nameOf = (key: string): string => (key === old.ski ? 'old' : key === next.ski ? 'new' : key);
    return {
      proofs,
      rows,
      round: (rotation, consumers, at = signal) => {
        registered = consumers;
        return prober.round(rotation, at);
      },
      brief: async () => (await rows()).map(({ kind, key, outcome }) => `${kind} ${nameOf(key)}: ${outcome}`).sort(),
    };
  }

  describeEachStore('stored', (openStore) => {
    it('show that a verifier has loaded the new authority, and not before', async () => {
      const session = proberOn(await openStore());
      const endpoint = await start('kubernetes', [old]);
      const one = consumer('kube-apiserver/cp-1', endpoint);
      expect(await session.round(rotationIn('trusting'), [one])).toEqual({ looked: 1, proven: 0, unreachable: 0 });
      const proof = { consumer: one.name, ring, evidence: 'canary-probe', process: { id: 'p1' }, at: anyTime };
      // Shown not to have it, whatever is said of it.
      expect(session.proofs.splice(0)).toEqual([{ ...proof, generation: 0, clean: false }]);
      expect(await session.brief()).toEqual(['accepts new: no', 'presents new: no', 'presents old: yes']);
      endpoint.reload({ clientCas: [old.pem, next.pem], leaf: leafOfNext });
      expect(await session.round(rotationIn('trusting'), [one])).toEqual({ looked: 1, proven: 1, unreachable: 0 });
      expect(session.proofs).toEqual([{ ...proof, generation: 2, clean: true }]);
      expect(await session.brief()).toEqual(['accepts new: yes', 'presents new: yes', 'presents old: no']);
    });

    it('show that one has dropped the old authority, by what it refuses and takes in one round', async () => {
      const session = proberOn(await openStore());
      const endpoint = await start('kubelet', [old, next], leafOfNext);
      const one = consumer('kubelet/worker-1', endpoint);
      await session.round(rotationIn('distrusting'), [one]);
      expect(session.proofs.map(({ generation }) => generation)).toEqual([2]);
      expect(await session.brief()).toContain('refuses old: no');
      endpoint.reload({ clientCas: [next.pem] });
      await session.round(rotationIn('distrusting'), [one]);
      expect(session.proofs.map(({ generation }) => generation)).toEqual([2, 3]);
      expect(await session.brief()).toContain('refuses old: yes');
    });

    it('take nothing for a refusal of the old one where everything is refused', async () => {
      const session = proberOn(await openStore());
      const endpoint = await start('tls', [pki.authority('somebody')]);
      const one = consumer('custom/x', endpoint);
      for (const state of ['trusting', 'distrusting'] as const) {
        await session.round(rotationIn(state), [one]);
        expect(session.proofs).toEqual([]);
        // It may go by names, and has never said anything about authorities.
        expect(await session.brief()).toEqual(['presents new: no', 'presents old: yes']);
        expect((await session.rows())[0]?.detail).toContain('it turned every certificate away');
      }
      endpoint.reload({ clientCas: [next.pem] });
      await session.round(rotationIn('distrusting'), [one]);
      expect(session.proofs).toHaveLength(1);
      // It has spoken before: now something is wrong.
      endpoint.reload({ clientCas: [leafOfOld.certificatePem] });
      await session.round(rotationIn('distrusting'), [one]);
      expect(session.proofs).toHaveLength(1);
      expect(await session.brief()).toEqual([
        'accepts new: unreachable',
        'presents new: no',
        'presents old: yes',
        'refuses old: unreachable',
      ]);
    });

    it('say nothing less than before where an endpoint is out of reach for a while', async () => {
      const session = proberOn(await openStore());
      const endpoint = await start('kubelet', [next]);
      const one = consumer('kubelet/w', endpoint);
      await session.round(rotationIn('distrusting'), [one]);
      await endpoint.close();
      expect(await session.round(rotationIn('distrusting'), [one])).toMatchObject({ unreachable: 1 });
      expect(session.proofs.map(({ generation }) => generation)).toEqual([3]);
      expect(await session.brief()).toEqual([
        'accepts new: unreachable',
        'presents new: unreachable',
        'presents old: unreachable',
        'refuses old: unreachable',
      ]);
    });

    it('know a refusal without an alert by the control, which ended in the same way', async () => {
      const session = proberOn(await openStore());
      await session.round(rotationIn('distrusting'), [consumer('custom/x', await start('tls', [next]))]);
      expect(session.proofs.map(({ generation }) => generation)).toEqual([3]);
      expect(await session.brief()).toContain('refuses old: yes');
    });

    it('say nothing of an endpoint that takes any certificate, or asks for none', async () => {
      for (const kind of ['no-client-certificates', 'any-client-certificate'] as const) {
        const session = proberOn(await openStore());
        await session.round(rotationIn('distrusting'), [consumer('custom/x', await start(kind, []))]);
        expect(session.proofs).toEqual([]);
        expect(await session.brief()).toEqual(['presents new: no', 'presents old: yes']);
      }
    });

    it('ask for both authorities on the way back', async () => {
      const session = proberOn(await openStore());
      const endpoint = await start('kubernetes', [next]);
      const one = consumer('kube-apiserver/cp-1', endpoint);
      await session.round(rotationIn('retrusting'), [one]);
      endpoint.reload({ clientCas: [old.pem, next.pem] });
      await session.round(rotationIn('retrusting'), [one]);
      expect(session.proofs.map(({ generation }) => generation)).toEqual([0, 4]);
    });

    it('prove nothing for what the same process verifies by another file', async () => {
      const clock = testClock();
      const session = proberOn(await openStore(), { clock });
      const endpoint = await start('kubelet', [old, next]);
      const both = { verifies: ['kubernetesClient', 'kubernetesServer'] } as const;
      await session.round(rotationIn('trusting'), [consumer('kubelet/worker-1', endpoint, both)]);
      expect(session.proofs).toEqual([]);
      // An API server reads its other file again by itself, within five minutes.
      const is136 = { ...both, software: 'kube-apiserver v1.36.3' };
      const api = consumer('kube-apiserver/cp-1', await start('kubernetes', [old, next]), is136);
      const etcdToo = { ...api, verifies: [...both.verifies, 'etcdServer'] as const };
      await session.round(rotationIn('trusting'), [etcdToo]);
      expect(session.proofs).toEqual([]);
      await session.round(rotationIn('trusting'), [api]);
      expect(session.proofs).toEqual([]);
      clock.set(clock.now().getTime() + 6 * 60_000);
      await session.round(rotationIn('trusting'), [{ ...api, process: 'p2' }]);
      expect(session.proofs).toEqual([]);
      clock.set(clock.now().getTime() + 6 * 60_000);
      await session.round(rotationIn('trusting'), [{ ...api, process: 'p2' }]);
      expect(session.proofs.map((proof) => proof.consumer)).toEqual([api.name]);
      await session.round(rotationIn('trusting'), [consumer('kubelet/worker-1', endpoint, both)]);
      const accepted = (await session.rows()).find(({ kind }) => kind === 'accepts');
      expect(accepted).toMatchObject({ outcome: 'yes', process: 'p1' });
      expect(accepted?.detail).toContain('it does not show what it verifies for kubernetesServer');
    });

    it.each(['', 'kube-apiserver 1.35.9', 'kubelet 1.36.3', 'kube-apiserver'])(
      'prove nothing for the other file of an API server that may read it at its start alone: %j',
      async (software) => {
        const clock = testClock();
        const session = proberOn(await openStore(), { clock });
        const both = { verifies: ['kubernetesClient', 'kubernetesServer'], software } as const;
        const one = consumer('kube-apiserver/cp-1', await start('kubernetes', [old, next]), both);
        await session.round(rotationIn('trusting'), [one]);
        clock.set(clock.now().getTime() + 60 * 60_000);
        await session.round(rotationIn('trusting'), [one]);
        expect(session.proofs).toEqual([]);
        const accepted = (await session.rows()).find(({ kind }) => kind === 'accepts');
        expect(accepted?.detail).toContain('unless its software is stated as kube-apiserver >=1.36');
      },
    );

    it('do not ask where a canary can show nothing, and look at what is presented', async () => {
      const session = proberOn(await openStore());
      const endpoint = await start('kubernetes', [old, next]);
      const proxied = consumer('extension-apiserver/metrics', endpoint, { verifies: ['frontProxy'] });
      await session.round(rotationIn('trusting'), [proxied]);
      expect(endpoint.connections()).toBe(1);
      expect(await session.brief()).toEqual(['presents new: no', 'presents old: yes']);
    });

    it('prove nothing where several processes answer at one address', async () => {
      const session = proberOn(await openStore());
      const endpoint = await start('kubernetes', [old, next]);
      let count = 0;
      const balanced = await kept(
        startRaw((socket) => {
          endpoint.reload({ leaf: (count += 1) % 2 === 0 ? leafOfNext : leafOfOld });
          pipeTo(socket, endpoint.port);
        }),
      );
      await session.round(rotationIn('trusting'), [consumer('kube-apiserver/lb', balanced)]);
      expect(session.proofs).toEqual([]);
      expect((await session.rows())[0]?.detail).toContain('several processes answer at one endpoint');
    });

    it('need every endpoint of a consumer', async () => {
      const session = proberOn(await openStore());
      const good = await start('kubernetes', [old, next]);
      const behind = await start('kubernetes', [old]);
      const two = consumer('kube-apiserver/cp-1', good, { endpoints: [good.address, behind.address] });
      await session.round(rotationIn('trusting'), [two]);
      behind.reload({ clientCas: [next.pem] });
      await session.round(rotationIn('trusting'), [two]);
      expect(session.proofs.splice(0).map(({ generation }) => generation)).toEqual([0, 2]);
      const odd = { ...two, endpoints: [good.address, 'not an endpoint'] };
      await session.round(rotationIn('trusting'), [odd]);
      expect(session.proofs).toEqual([]);
    });

    it('go on where some endpoints mean no good', async () => {
      const leaf = leafOfOld;
      const silent = await kept(startRaw(() => undefined));
      const noisy = await kept(startAfterHandshake(leaf, (socket) => void socket.write(Buffer.alloc(1 << 20))));
      const gone = await startRaw(() => undefined);
      await gone.close();
      const good = await start('kubernetes', [old, next]);
      const session = proberOn(await openStore());
      const report = await session.round(rotationIn('trusting'), [
        consumer('kube-apiserver/silent', silent),
        consumer('kube-apiserver/noisy', noisy),
        consumer('kube-apiserver/gone', gone),
        consumer('kube-apiserver/metadata', '169.254.169.254:443'),
        consumer('kube-apiserver/good', good),
        consumer('kube-apiserver/none', good, { endpoints: [] }),
      ]);
      expect(report).toEqual({ looked: 5, proven: 1, unreachable: 3 });
      expect(session.proofs.map((proof) => proof.consumer)).toEqual(['kube-apiserver/good']);
      // One connection where nobody answers, not one for each certificate.
      expect(silent.connections()).toBe(1);
    });

    it('tell of no refusal where the old key is gone, and cannot be tried', async () => {
      const keptCanary = canaries.get(old.ski);
      canaries.delete(old.ski);
      try {
        const session = proberOn(await openStore());
        await session.round(rotationIn('distrusting'), [consumer('kubelet/w', await start('kubelet', [next]))]);
        expect(session.proofs).toEqual([]);
        expect(await session.brief()).toEqual(['accepts new: yes', 'presents new: no', 'presents old: yes']);
      } finally {
        if (keptCanary !== undefined) canaries.set(old.ski, keptCanary);
      }
    });

    it('show nothing where both authorities have one key', async () => {
      const session = proberOn(await openStore());
      const endpoint = await start('kubelet', [old]);
      await session.round(rotationIn('trusting', { kind: 'reissue', newKey: old.ski }), [
        consumer('kubelet/w', endpoint),
      ]);
      expect(session.proofs).toEqual([]);
      expect(await session.brief()).toEqual(['presents old: yes']);
    });

    it('keep what was seen last, and forget who is registered no more', async () => {
      const session = proberOn(await openStore());
      const endpoint = await start('kubernetes', [old, next]);
      const one = consumer('kube-apiserver/cp-1', endpoint);
      const two = consumer('kube-apiserver/cp-2', endpoint);
      await session.round(rotationIn('trusting'), [one, two]);
      expect(await session.rows()).toHaveLength(6);
      await session.round(rotationIn('distrusting'), [one]);
      expect(new Set((await session.rows()).map((row) => row.consumer))).toEqual(new Set([one.name]));
      await session.round(rotationIn('distrusting'), [{ ...one, endpoints: ['127.0.0.1:1'] }]);
      expect(new Set((await session.rows()).map((row) => row.endpoint))).toEqual(new Set(['127.0.0.1:1']));
    });

    it('take turns where there are more than fit in a round', async () => {
      const session = proberOn(await openStore(), { perRound: 2, concurrency: 1 });
      const endpoint = await start('kubernetes', [old, next]);
      const all = ['a', 'b', 'c'].map((name) => consumer(`kube-apiserver/${name}`, endpoint));
      await session.round(rotationIn('trusting'), all);
      await session.round(rotationIn('trusting'), all);
      expect(new Set(session.proofs.map((proof) => proof.consumer)).size).toBe(3);
    });

    it('are never more at once than allowed, and end when broken off', async () => {
      let now = 0;
      let most = 0;
      const slow = await kept(
        startRaw((socket) => {
          most = Math.max(most, (now += 1));
          socket.resume().on('close', () => (now -= 1));
        }),
      );
      const session = proberOn(await openStore(), { concurrency: 3, timeoutMs: 200 });
      const many = Array.from({ length: 12 }, (_, index) => consumer(`kube-apiserver/${String(index)}`, slow));
      const began = performance.now();
      await session.round(rotationIn('trusting'), many);
      expect(most).toBe(3);
      expect(performance.now() - began).toBeGreaterThan(700);
      const stop = new AbortController();
      const running = session.round(rotationIn('trusting'), many, stop.signal);
      setTimeout(() => {
        stop.abort();
      }, 50);
      const before = (await session.rows()).length;
      expect((await running).looked).toBe(0);
      expect(await session.rows()).toHaveLength(before);
    });

    it('mark what the presented certificate has taken the place of', async () => {
      const store = await openStore();
      const ca = await startCa(store, { clock: { now: () => new Date() } });
      const now = Date.now();
      const key = newLeafKey('ec-p256');
      const serving = (commonName: string, node: string, spki = key): Parameters<typeof leafOrder>[0] => ({
        ...{ profile: 'kubernetes.io/kubelet-serving', commonName, node, spki: spki.spki, keyId: spki.keyId },
        names: [{ kind: 'dns', value: node }],
        extendedKeyUsages: ['1.3.6.1.5.5.7.3.1'],
      });
      const make = (order: Parameters<typeof leafOrder>[0]) => issue(store, ca, leafOrder(order, now));
      const earlier = await make(serving('system:node:w1', 'w1'));
      const client = await make({ node: 'w1' });
      const other = await make(serving('system:node:w2', 'w2'));
      const present = await make(serving('system:node:w1', 'w1'));
      const later = await make(serving('system:node:w1', 'w1'));
      const keyPem = key.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
      const superseded = async (): Promise<Record<string, string | null>> => {
        const rows = await store.db
          .selectFrom('certificates')
          .select(['serial', 'superseded_at', 'superseded_by'])
          .execute();
        return Object.fromEntries(
          rows.map((row) => [row.serial, row.superseded_at === null ? null : row.superseded_by]),
        );
      };
      const session = proberOn(store, { authorities: () => ca.authorities(ring) });
      const endpoint = await start('kubelet', [old], { ...leafOfOld, certificatePem: present.pem, keyPem });
      const look = (): Promise<RoundReport> =>
        session.round(rotationIn('issuing', { oldKey: ca.ring(ring).active.ski }), [consumer('kubelet/w1', endpoint)]);
      await look();
      expect(await superseded()).toEqual({
        [earlier.prepared.serial]: present.prepared.serial,
        [client.prepared.serial]: null,
        [other.prepared.serial]: null,
        [present.prepared.serial]: null,
        [later.prepared.serial]: null,
      });
      expect(
        (await session.rows()).find(({ kind, outcome }) => kind === 'presents' && outcome === 'yes'),
      ).toMatchObject({
        key: ca.ring(ring).active.ski,
      });
      // Back on the one that was thought to be replaced: it is in use after all.
      endpoint.reload({ leaf: { certificatePem: earlier.pem, keyPem } });
      await look();
      expect((await superseded())[earlier.prepared.serial]).toBeNull();
      endpoint.reload({ leaf: { certificatePem: later.pem, keyPem } });
      await look();
      expect(await superseded()).toMatchObject({
        [earlier.prepared.serial]: later.prepared.serial,
        [present.prepared.serial]: later.prepared.serial,
        [other.prepared.serial]: null,
      });
    });
  });
});

function pipeTo(socket: Socket, port: number): void {
  const upstream = connect(port, '127.0.0.1');
  upstream.on('error', () => socket.destroy());
  socket.on('error', () => upstream.destroy());
  socket.pipe(upstream).pipe(socket);
}
