import { afterEach, beforeEach, expect, it } from 'vitest';

import type { Consumer } from '../../../src/fleet/consumers/types.js';
import { probedConsumers } from '../../../src/rotation/probing/consumers.js';
import { createCredentials } from '../../../src/rotation/probing/credentials.js';
import { createProber, type Prober } from '../../../src/rotation/probing/prober.js';
import type { Rotation } from '../../../src/rotation/types.js';
import { describeWithPeer } from '../../support/peers.js';
import { addAnchor } from '../../support/second-anchor.js';
import { startTestService, type TestService } from '../../support/service.js';
import { startEndpoint, type TestEndpoint } from './endpoints.js';
import { newPki, type TestPki } from './pki.js';

const ring = 'kubernetes';
const minuteMs = 60_000;
const signal = new AbortController().signal;

describeWithPeer('openssl', 'consumers of the service', () => {
  let pki: TestPki;
  let rotunda: TestService;
  let endpoint: TestEndpoint;
  let prober: Prober;
  let rotation: Rotation;
  let anchors: { readonly old: string; readonly next: string };
  let sinceMs: number;

  beforeEach(async () => {
    pki = newPki();
    sinceMs = 0;
    rotunda = await startTestService();
    const { context } = rotunda.service;
    const { ca, store, clock, random, logger, consumers, config } = context;
    const oldKey = ca.ring(ring).active.ski;
    const old = ca.bundle(ring).pem;
    anchors = { old, next: await addAnchor(context, ring) };
    await ca.reload();
    const newKey = ca.authorities(ring).find(({ ski }) => ski !== oldKey)?.ski ?? '';
    rotation = {
      ...{ id: 'r', ring, kind: 'planned', state: 'trusting', version: 1, epoch: 1, paused: false, back: false },
      ...{ policy: 'manual', crossSigned: true, oldKey, newKey, advanced: undefined, disagreement: undefined },
      ...{ marks: { trusting: { at: 0, generation: 2 } }, options: {}, startedBy: '', reason: '', startedAt: 0 },
      ...{ stateSince: 0, finishedAt: undefined },
    };
    endpoint = await startEndpoint('kubernetes', {
      leaf: pki.leaf(pki.authority('serving'), { kind: 'server' }),
      clientCas: [anchors.old],
    });
    prober = createProber({
      ...{ store, random, logger, spreadMs: 0, timeoutMs: 2000 },
      clock: { now: () => new Date(clock.now().getTime() + sinceMs) },
      credentials: createCredentials({ canary: (order) => ca.canary(order), clock, random }),
      authorities: (of) => ca.authorities(of),
      consumers: probedConsumers({ store, clock, topology: config.topology }),
      prove: (proof) => consumers.prove(undefined, proof),
    });
  });

  afterEach(async () => {
    await endpoint.close();
    await rotunda.stop();
    pki.remove();
  });

  const known = async (name: string): Promise<Consumer['rings'][number] | undefined> =>
    (await rotunda.service.context.consumers.get(name)).rings.find((one) => one.ring === ring);

  async function register(name: string, change: { endpoints?: string[]; software?: string } = {}): Promise<void> {
    const admin = rotunda.client(rotunda.admin);
    const answer = await admin.send('GET', '/pki/v1/whoami');
    expect(answer.status).toBe(200);
    const { consumers, authenticator } = rotunda.service.context;
    const actor = await authenticator.authenticate({ ...certificateOf(rotunda.admin.cert), rawHeaders: [] });
    await consumers.register({ name, endpoints: [endpoint.address], ...change }, actor);
  }

  it('are looked at where they have endpoints, and what is shown of them counts', async () => {
    await register('kube-apiserver/cp-1', { software: 'kube-apiserver 1.36.0' });
    await register('kube-apiserver/cp-2', { endpoints: [] });
    expect(await prober.round(rotation, signal)).toEqual({ looked: 1, proven: 0, unreachable: 0 });
    expect(await known('kube-apiserver/cp-1')).toMatchObject({ loaded: 0, evidence: 'canary-probe', clean: false });
    endpoint.reload({ clientCas: [anchors.old, anchors.next] });
    // Whom it takes for a kubelet it reads up to five minutes later.
    for (const afterMs of [0, 5 * minuteMs]) {
      sinceMs = afterMs;
      expect(await prober.round(rotation, signal)).toEqual({ looked: 1, proven: 0, unreachable: 0 });
    }
    sinceMs += minuteMs;
    expect(await prober.round(rotation, signal)).toEqual({ looked: 1, proven: 1, unreachable: 0 });
    expect(await known('kube-apiserver/cp-1')).toMatchObject({
      loaded: 2,
      evidence: 'canary-probe',
      clean: true,
      counts: true,
    });
    expect(await known('kube-apiserver/cp-2')).toMatchObject({ loaded: 0, evidence: undefined });
  });

  it.each([
    ['kubelet/worker-1', {}],
    ['kube-apiserver/cp-1', { software: 'kube-apiserver 1.35.9' }],
    ['kube-apiserver/cp-1', {}],
  ])('that verify it by a file that is read at start only are shown nothing of: %s %o', async (name, change) => {
    await register(name, change);
    endpoint.reload({ clientCas: [anchors.old, anchors.next] });
    await prober.round(rotation, signal);
    sinceMs = 10 * minuteMs;
    await prober.round(rotation, signal);
    expect(await known(name)).toMatchObject({ loaded: 0 });
  });
});

function certificateOf(pem: string): { readonly certificate: Buffer } {
  const [, body = ''] = /-----BEGIN CERTIFICATE-----([^-]*)-----END/.exec(pem) ?? [];
  return { certificate: Buffer.from(body, 'base64') };
}
