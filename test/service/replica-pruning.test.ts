import { afterEach, describe, expect, it } from 'vitest';

import { pruneReplicas } from '../../src/service/replica-pruning.js';
import { dayMs, minuteMs, type Rig, startRig } from '../rotation/support.js';

const leads = () => Promise.resolve(true);
let rig: Rig;

afterEach(() => rig.close());

async function add(name: string, source: 'service' | 'issued', endsAt: number): Promise<void> {
  const { store, consumers } = rig.context;
  const draft = { class: 'rotunda', name, rings: [{ ring: 'rotunda', verifies: true, presents: true }], source };
  await store.write((tx) =>
    consumers.registerJoiner(tx, { ...draft, leaseMs: minuteMs, joinerIn: [], expiresAt: endsAt }),
  );
}

async function listed(): Promise<string[]> {
  return (await rig.context.consumers.list({ limit: 100 })).items.map(({ name }) => name);
}

describe('replicas that are gone', () => {
  it('are forgotten a day later, and nobody else is', async () => {
    rig = await startRig();
    const { store, consumers, clock } = rig.context;
    const now = clock.now().getTime();
    await add('host-1', 'service', now);
    await add('host-2', 'service', now + 1);
    await add('other', 'issued', now);
    const prune = pruneReplicas({ store, clock, consumers });
    rig.clock.forward(dayMs);
    expect(await prune(leads)).toEqual({ deleted: 0, more: false });
    rig.clock.forward(1);
    // Whoever has lost the lease does nothing.
    expect(await prune(() => Promise.resolve(false))).toEqual({ deleted: 0, more: false });
    expect(await prune(leads)).toEqual({ deleted: 1, more: false });
    expect(await listed()).toEqual(expect.arrayContaining(['rotunda/host-2', 'rotunda/other']));
    expect(await listed()).not.toContain('rotunda/host-1');
    rig.clock.forward(dayMs);
    await rig.replica.report();
    expect(await prune(leads)).toEqual({ deleted: 1, more: false });
    expect((await listed()).sort()).toEqual(['rotunda/other', 'rotunda/this']);
  });
});
