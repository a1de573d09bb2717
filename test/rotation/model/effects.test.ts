import { afterAll, beforeAll, expect, test } from 'vitest';

import { type RingChange, type Transition, transitions } from '../../../src/rotation/transitions.js';
import type { Rotation } from '../../../src/rotation/types.js';
import { type Explorer, startExplorer } from './apart.js';
import { effectOf } from './effects.js';
import { type Anchors, type Move, serviceMoves, type ServiceState } from './protocol.js';

let explorer: Explorer;
beforeAll(() => {
  explorer = startExplorer();
});
afterAll(() => explorer.close());

const [oldKey, newKey] = ['the old one', 'the new one'];

/** A state's ring after a transition, as far as model and machine both say what it is. */
type After = {
  readonly bundle: Anchors;
  readonly generation: number;
  readonly floor: number;
  readonly signer: 'old' | 'new';
  readonly frozen: boolean;
  readonly joinsHeld: boolean;
  readonly back: boolean;
  readonly epoch: number;
  readonly crossInChains: boolean;
};

function modelled(state: ServiceState, move: Move): After {
  const effect = effectOf(move.name, state);
  const generation = state.generation + (effect.publish === undefined ? 0 : 1);
  return {
    bundle: effect.publish ?? state.bundles.at(-1) ?? 'old',
    generation,
    floor: effect.raiseFloor === true ? generation : state.joinFloor,
    signer: effect.signer ?? state.signer,
    frozen: effect.frozen ?? state.frozen,
    joinsHeld: effect.joinsHeld ?? state.joinsHeld,
    back: effect.back ?? state.back,
    epoch: state.epoch + (effect.ring ? 1 : 0),
    // Leaves keep the chain that they were issued with; on the way back nothing new is issued with it.
    crossInChains: effect.signer === 'old' ? false : (effect.crossInChains ?? state.crossInChains),
  };
}

function real(state: ServiceState, { name }: Move): After {
  const change = transitionOf(state, name).change?.(rotationOf(state));
  const generation = state.generation + (change?.anchors === undefined ? 0 : 1);
  const cross = change?.cross;
  return {
    bundle: bundleOf(change, state) ?? state.bundles.at(-1) ?? 'old',
    generation,
    floor: change?.raiseFloor === true ? generation : state.joinFloor,
    signer: change?.signer === undefined ? state.signer : change.signer === newKey ? 'new' : 'old',
    frozen: change?.frozen ?? state.frozen,
    joinsHeld: change?.joinsHeld ?? state.joinsHeld,
    back: state.back || name === 'roll-back',
    epoch: state.epoch + (change === undefined ? 0 : 1),
    crossInChains: cross === undefined ? state.crossInChains : cross !== 'none',
  };
}

function transitionOf({ kind, state }: ServiceState, name: Move['name']): Transition {
  const found = transitions.filter((one) => one.name === name && one.kinds.includes(kind) && one.from.includes(state));
  const [only] = found;
  if (only === undefined || found.length > 1)
    throw new Error(`${String(found.length)} transitions ${name} from ${state}`);
  return only;
}

function bundleOf(change: RingChange | undefined, { kind }: ServiceState): Anchors | undefined {
  const { anchors, certificates } = change ?? {};
  if (anchors === undefined) return undefined;
  if (certificates !== undefined) return ({ newest: 'new', previous: 'old', both: 'both' } as const)[certificates];
  if (kind === 'reissue' || (anchors.includes(oldKey) && anchors.includes(newKey))) return 'both';
  return anchors.includes(newKey) ? 'new' : 'old';
}

function rotationOf({ kind, state, back, crossSigned }: ServiceState): Rotation {
  return {
    ...{ id: 'r', ring: 'r', kind, state, version: 1, epoch: 1, paused: false, back, policy: 'automatic', crossSigned },
    ...{ oldKey, newKey, advanced: undefined, disagreement: undefined, marks: {}, options: {} },
    ...{ startedBy: '', reason: '', startedAt: 0, stateSince: 0, finishedAt: undefined },
  };
}

test('a transition of the machine leaves the ring as the model has it', { timeout: 120_000 }, async () => {
  const looked = new Set<string>();
  for (const state of await explorer.serviceStates()) {
    for (const move of serviceMoves(state)) {
      const title = `${state.kind}${state.crossSigned ? ', cross-signed' : ''}, ${state.state}: ${move.name}`;
      const text = (after: After): string => `${title}: ${JSON.stringify(after)}`;
      expect(text(real(state, move))).toBe(text(modelled(state, move)));
      looked.add(title);
    }
  }
  expect(looked.size).toBeGreaterThan(40);
});
