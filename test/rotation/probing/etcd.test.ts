import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import path from 'node:path';

import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';

import { probeEndpoint } from '../../../src/rotation/probing/probe.js';
import type { ProbeAnswer } from '../../../src/rotation/probing/types.js';
import { type Member, planMembers, startMember } from '../../support/etcd.js';
import { describeWithPeer, requirePeer } from '../../support/peers.js';
import { newPki, type TestAuthority, type TestLeaf, type TestPki } from './pki.js';

describeWithPeer(['etcd', 'openssl'], 'a probe of an etcd member', () => {
  let pki: TestPki;
  let old: TestAuthority;
  let next: TestAuthority;
  let own: TestLeaf;
  let canaryOfOld: TestLeaf;
  let canaryOfNext: TestLeaf;
  let control: TestLeaf;
  let member: Member;
  let anchors: string;
  let running: ChildProcess | undefined;

  beforeAll(async () => {
    pki = newPki();
    old = pki.authority('etcd-ca-1');
    next = pki.authority('etcd-ca-2');
    own = pki.leaf(old, { kind: 'both', commonName: 'm1' });
    canaryOfOld = pki.leaf(old);
    canaryOfNext = pki.leaf(next);
    control = pki.leaf(pki.authority('nobody'));
    const [planned] = await planMembers(1, pki.dir);
    if (planned === undefined) throw new Error('no member');
    member = planned;
    anchors = path.join(pki.dir, 'trusted.pem');
  });

  const stop = async (): Promise<void> => {
    const child = running;
    running = undefined;
    if (child === undefined) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  };

  afterEach(stop);

  afterAll(() => {
    pki.remove();
  });

  const ask = (url: string, clientCertificate: TestLeaf): Promise<ProbeAnswer> =>
    probeEndpoint({
      ...{ host: '127.0.0.1', port: Number(new URL(url).port), protocol: 'etcd', timeoutMs: 5000 },
      clientCertificate,
    });

  /** A process that reads what is in its file now. */
  async function start(...trusted: TestAuthority[]): Promise<void> {
    await stop();
    trust(...trusted);
    const { stem } = own;
    running = startMember(requirePeer('etcd'), member, { peer: stem, server: stem, client: stem, ca: anchors }, [
      member,
    ]);
    const by = trusted[0] === next ? canaryOfNext : canaryOfOld;
    const deadline = Date.now() + 20_000;
    for (const url of [member.clientUrl, member.peerUrl])
      while ((await ask(url, by)).outcome !== 'yes') {
        if (Date.now() > deadline) throw new Error('etcd did not start');
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
  }

  const trust = (...trusted: TestAuthority[]): void => writeFileSync(anchors, trusted.map(({ pem }) => pem).join(''));

  it('tells whom its process believes, on both listeners, and not what its file says', async () => {
    await start(old);
    for (const [url, listener] of [
      [member.clientUrl, 'etcd-client'],
      [member.peerUrl, 'etcd-peer'],
    ] as const) {
      expect(await ask(url, canaryOfOld)).toMatchObject({ outcome: 'yes', listener });
      for (const other of [canaryOfNext, control]) {
        expect(await ask(url, other)).toMatchObject({ outcome: 'no', certain: true });
      }
    }
    trust(old, next);
    expect(await ask(member.clientUrl, canaryOfNext)).toMatchObject({ outcome: 'no', certain: true });
  });

  it('tells that a restart has brought the new one in, and that another has left the old one out', async () => {
    await start(old, next);
    for (const url of [member.clientUrl, member.peerUrl]) {
      expect(await ask(url, canaryOfOld)).toMatchObject({ outcome: 'yes' });
      expect(await ask(url, canaryOfNext)).toMatchObject({ outcome: 'yes' });
      expect(await ask(url, control)).toMatchObject({ outcome: 'no', certain: true });
    }
    await start(next);
    for (const url of [member.clientUrl, member.peerUrl]) {
      expect(await ask(url, canaryOfOld)).toMatchObject({ outcome: 'no', certain: true });
      expect(await ask(url, canaryOfNext)).toMatchObject({ outcome: 'yes' });
    }
  });

  it('is answered a hundred times over in the same way', async () => {
    await start(old);
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, index) => ask(member.clientUrl, index % 2 === 0 ? canaryOfNext : canaryOfOld)),
    );
    expect(answers.map(({ outcome }) => outcome)).toEqual(answers.map((_, index) => (index % 2 === 0 ? 'no' : 'yes')));
    // An alert may be lost with the connection, where a machine is busy; hardly ever.
    const uncertain = answers.filter(({ outcome, certain }) => outcome === 'no' && !certain);
    expect(uncertain.map(({ detail }) => detail)).toHaveLength(0);
  });
});
