import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { readVerifiers } from '../../../src/fleet/consumers/facts.js';
import { readFacts } from '../../../src/rotation/facts.js';
import { disagreement } from '../../../src/rotation/position.js';
import { isOver, next, rollBack } from '../../../src/rotation/reducer.js';
import { defaultTiming } from '../../../src/config/rotation.js';
import { createTrustDomain } from '../../../src/ca/trust-domain.js';
import { createDatabaseKeyStore } from '../../../src/ca/keys/key-store.js';
import { type Rig, startRig } from '../support.js';
import { endStates, type ServiceState, serviceMoves } from './protocol.js';
import { rotationOf, type Stage, writeState } from './rows.js';
import { reachableServiceStates } from './service-states.js';

const ring = 'front-proxy';
const atOnce = 200;

let rig: Rig;
let stage: Stage;
let reachable: readonly ServiceState[];

beforeAll(async () => {
  rig = await startRig();
  await rig.attestAbsent(ring);
  const rotation = await rig.start({ ring });
  const [old, made] = ['oldKey', 'newKey'].map((key) =>
    rig.context.ca.authorities(ring).find(({ ski }) => ski === rotation[key as 'oldKey' | 'newKey']),
  );
  const facts = (of: typeof old, kind: string) => of?.certificates.find((one) => one.kind === kind)?.facts;
  const [oldFacts, newFacts, cross] = [
    facts(old, 'self-signed'),
    facts(made, 'self-signed'),
    facts(made, 'cross-signed'),
  ];
  if (oldFacts === undefined || newFacts === undefined || cross === undefined) throw new Error('no successor was made');
  const crossFingerprint = cross.fingerprint;
  stage = {
    ...{ context: rig.context, ring, old: oldFacts, next: newFacts, crossFingerprint, rotation },
    undeclared: 'kube-apiserver',
  };
  reachable = reachableServiceStates();
}, 240_000);

afterAll(async () => {
  await rig.close();
});

/** What the real reducer does, over the real rows of a state. */
async function movesOf(state: ServiceState): Promise<{ moves: string[]; problem: string | undefined }> {
  const { context } = stage;
  const { ca, store, clock, random, config, kek } = context;
  const domain = createTrustDomain({
    ca,
    store,
    keys: createDatabaseKeyStore(kek),
    clock,
    random,
    rings: config.rings,
  });
  const ports = {
    domain: () => domain,
    verifiers: (db: typeof store.db, asked: { ring: string; now: number }) =>
      readVerifiers(db, { ...asked, topology: config.topology }),
    endpoints: () => Promise.resolve([]),
    copies: () => [],
    window: () => ({ open: true, next: undefined }),
    timing: () => ({
      ...defaultTiming,
      trustSoak: 1,
      canarySoak: 1,
      drainSoak: 1,
      cooling: 1,
      destroyKeys: 'automatic' as const,
    }),
    pinnedRing: config.topology.kubernetesServer,
  };
  return store.write(async (tx) => {
    await writeState(stage, tx, state);
    const rotation = rotationOf(stage, state);
    const facts = await readFacts(ports, tx.db, rotation, clock.now().getTime());
    if (isOver(rotation)) return { moves: [], problem: undefined };
    const steps = [next(rotation, facts), rollBack(rotation, facts)];
    const moves = steps.flatMap((step) => (step === undefined ? [] : [`${step.name} to ${step.to}`]));
    return { moves, problem: disagreement(rotation, facts) };
  });
}

describe('the reducer, over the rows of every state that the model can reach', () => {
  it('offers exactly what the model does, and finds itself where the row says', async () => {
    const differences: string[] = [];
    for (let from = 0; from < reachable.length; from += atOnce) {
      for (const state of reachable.slice(from, from + atOnce)) {
        const modelled = serviceMoves(state).map(({ name, to }) => `${name} to ${to}`);
        const { moves, problem } = await movesOf(state);
        if (moves.join() !== modelled.join())
          differences.push(
            `${JSON.stringify(state)}: the model ${modelled.join(' or ') || 'waits'}, the reducer ${moves.join(' or ') || 'waits'}`,
          );
        if (problem !== undefined && !endStates.includes(state.state))
          differences.push(`${JSON.stringify(state)}: ${problem}`);
        if (differences.length > 5) break;
      }
    }
    expect(differences).toEqual([]);
    expect(reachable.length).toBeGreaterThan(500);
  }, 240_000);
});
