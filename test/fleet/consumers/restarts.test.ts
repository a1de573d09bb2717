import { expect, test } from 'vitest';

import { operator, start } from '../../identity/rooms.js';
import { describeEachStore } from '../../support/stores.js';
import { acknowledgement, type ConsumerRooms, startConsumers } from './support.js';

const name = 'kube-apiserver/cp-1';

async function began({ consumers }: ConsumerRooms): Promise<readonly unknown[]> {
  const { verifiers } = await consumers.verifiers('kubernetes');
  return verifiers.map(({ evidence, streamsSince }) => [evidence, streamsSince]);
}

describeEachStore('a restart of an API server', (open) => {
  test('ends its connections, also where a probe has shown more of it and nobody knows its process', async () => {
    const rooms = await startConsumers(await open());
    const { consumers, claim, clock } = rooms;
    await consumers.register({ name, endpoints: ['10.0.0.1:6443'] }, operator);
    const proof = { consumer: name, ring: 'kubernetes', generation: 1, evidence: 'canary-probe', clean: true } as const;
    await consumers.prove(undefined, proof);
    expect(await began(rooms)).toEqual([['canary-probe', undefined]]);
    clock.set(start + 60_000);
    const times = { deliveredAt: start + 10_000, startedAt: start + 20_000 };
    const restart = { evidence: 'restart', ...times } as const;
    const said = acknowledgement(name, 'kubernetes', await claim('kubernetes', 1), restart);
    await consumers.acknowledge(said, operator);
    expect(await began(rooms)).toEqual([['canary-probe', start + 20_000]]);
    await consumers.prove(undefined, proof);
    expect(await began(rooms)).toEqual([['canary-probe', start + 20_000]]);
  });

  test('is not later than it is said, and not earlier than an earlier one', async () => {
    const rooms = await startConsumers(await open());
    const { consumers, claim, clock } = rooms;
    await consumers.register({ name }, operator);
    clock.set(start + 60_000);
    for (const startedAt of [start + 90_000, start + 20_000]) {
      const restart = { evidence: 'restart', deliveredAt: start + 10_000, startedAt } as const;
      const said = acknowledgement(name, 'kubernetes', await claim('kubernetes', 1), restart);
      await consumers.acknowledge(said, operator);
      expect(await began(rooms)).toEqual([['restart', start + 60_000]]);
    }
  });
});
