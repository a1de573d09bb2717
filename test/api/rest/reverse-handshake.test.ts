import { expect, test } from 'vitest';

import { shown, type Shown } from '../../../src/api/rest/reverse-handshake.js';
import type { Reported } from '../../../src/fleet/consumers/report-types.js';
import { start } from '../../identity/rooms.js';
import { issueLeaf, operator } from '../../identity/rooms.js';
import { leafOrder } from '../../ca/support.js';
import { code, type ConsumerRooms, nodeIdentity, startConsumers } from '../../fleet/consumers/support.js';
import { describeEachStore } from '../../support/stores.js';

/** Acknowledges the first bundle over a connection to the candidate's name. */
async function shake(rooms: ConsumerRooms, consumer: string, serial: string): Promise<Reported> {
  const { consumers, claim, clock } = rooms;
  const now = clock.now();
  const process = { id: serial, startedAt: now.toISOString() };
  const body = { ring: 'kubernetes', ...(await claim('kubernetes', 1)), process, reportedAt: now.toISOString() };
  const request: Shown = {
    identity: { ...nodeIdentity('worker-1'), certificate: { serial, fingerprint: '', notAfter: 0 } },
    candidate: { role: 'candidate', ring: 'kubernetes', authority: '', generation: 1 },
    candidateProblem: undefined,
    params: { consumer },
    body: { ...body, evidence: 'reverse-handshake' },
  };
  return shown({ consumers, clock }, request);
}

describeEachStore('a handshake with a candidate', (open) => {
  test('is evidence about the machine that made it, and not about the one that took its place', async () => {
    const rooms = await startConsumers(await open());
    const { consumers, store, clock } = rooms;
    const old = await issueLeaf(rooms);
    const token = { ...leafOrder({ node: 'worker-1' }, start), tokenId: 't1' };
    await store.write((tx) => consumers.registerIssued(tx, { ...token, tokenId: 't0' }, {}));
    expect((await shake(rooms, 'kubelet/worker-1', old.prepared.serial)).outcome).toBe('applied');
    expect((await consumers.get('kubelet/worker-1')).rings).toMatchObject([{ evidence: 'reverse-handshake' }]);
    clock.set(start + 1000);
    await store.write((tx) => consumers.registerIssued(tx, token, {}));
    clock.set(start + 2000);
    expect((await shake(rooms, 'kubelet/worker-1', old.prepared.serial)).outcome).toBe('other-process');
    expect(await consumers.get('kubelet/worker-1')).toMatchObject({ process: undefined, rings: [{ loaded: 0 }] });
  });

  test('is made by the consumer itself, and not by what runs beside it', async () => {
    const rooms = await startConsumers(await open());
    const { consumers } = rooms;
    await consumers.register({ name: 'kube-apiserver/cp-1', node: 'worker-1' }, operator);
    await expect(shake(rooms, 'kube-apiserver/cp-1', '01')).rejects.toEqual(code('forbidden'));
  });
});
