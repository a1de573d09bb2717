import { generateKeyPairSync } from 'node:crypto';

import type { Rotation, RotationState } from '../../../src/rotation/types.js';
import { admin, dayMs, minuteMs } from '../support.js';
import type { Service } from '../schedules/service.js';

/** A story that a service is in the middle of, and that goes on by itself wherever it was interrupted. */
export type Scenario = {
  readonly name: string;
  readonly ring: string;
  /** What there is before it begins. */
  readonly prepare: (service: Service) => Promise<void>;
  /**
   * What an operator does about the ring's latest rotation as it is, if anything. Whoever does not know whether an order
   * was heard looks, and says it again where it was not.
   */
  readonly order: (service: Service, rotation: Rotation | undefined) => Promise<unknown> | undefined;
};

const actor = { actor: 'admin', reason: 'a test' };
const ring = 'kubernetes';

/** Nobody but the service itself presents and verifies. */
async function attestAll({ rig, clock }: Service, of: string): Promise<void> {
  await rig().attestAbsent(of);
  // Not in the moment in which the rings came to be.
  clock.forward(minuteMs);
}

function begins(service: Service, kind: Rotation['kind'], policy: Rotation['policy'] = 'automatic'): Promise<Rotation> {
  const deadline = service.clock.now().getTime() + 20 * minuteMs;
  const options = kind === 'emergency' ? { deadline, preference: 'availability-first' as const } : {};
  return service.rig().start({ ring, kind, options, policy });
}

/** An operator who says yes to every state that is not `but`; an emergency waits for nobody's word. */
const advances =
  (but?: RotationState): Scenario['order'] =>
  (service, rotation) => {
    if (rotation === undefined || rotation.state === but || rotation.advanced === rotation.state) return undefined;
    if (rotation.kind === 'emergency') return undefined;
    return service.context().rotations.advance(rotation.id, actor);
  };

const startOnly =
  (kind: Rotation['kind']): Scenario['order'] =>
  (service, rotation) =>
    rotation === undefined ? begins(service, kind) : undefined;

/** Brings the ring to a state before the story begins. */
const from =
  (state: RotationState): Scenario['prepare'] =>
  async (service) => {
    await attestAll(service, ring);
    await begins(service, 'planned', 'manual');
    await goOn(service, ring, ({ state: now }) => now === state, advances(state));
  };

function rollsBackFrom(state: RotationState): Scenario {
  return {
    ...{ name: `a rollback from ${state}`, ring, prepare: from(state) },
    order: (service, rotation) =>
      rotation?.back === false
        ? service.context().rotations.rollback(rotation.id, actor)
        : advances()(service, rotation),
  };
}

const justAttested: Scenario['prepare'] = (service) => attestAll(service, ring);

const keyRing = 'service-account';
const publicKey = (): string =>
  generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'pem', type: 'spki' }).toString();
const nextKey = publicKey();

const keys: Scenario = {
  ...{ name: 'a rotation of signing keys', ring: keyRing },
  prepare: async (service) => {
    const { keySets, consumers } = service.context();
    await keySets.create(keyRing, publicKey(), 'admin');
    for (const { class: of } of (await consumers.verifiers(keyRing)).classes)
      await consumers.attest(
        { ring: keyRing, class: of, statement: 'absent', ttlMs: 300 * dayMs, reason: 'a test' },
        admin,
      );
  },
  order: (service, rotation) => {
    if (rotation === undefined)
      return service.rig().start({ ring: keyRing, kind: 'keys', options: { publicKey: nextKey } });
    if (rotation.state !== 'trusting' || rotation.advanced === 'trusting') return undefined;
    return service.context().rotations.advance(rotation.id, actor);
  },
};

export const scenarios: readonly Scenario[] = [
  { name: 'a complete rotation', ring, prepare: justAttested, order: startOnly('planned') },
  ...(['trusting', 'canary', 'issuing', 'drained', 'distrusting', 'cooling'] as const).map(rollsBackFrom),
  { name: 'an emergency', ring, prepare: justAttested, order: startOnly('emergency') },
  {
    ...{ name: 'an emergency in the middle of a rotation', ring, prepare: from('trusting') },
    order: (service, rotation) =>
      rotation?.kind === 'planned' ? begins(service, 'emergency') : advances()(service, rotation),
  },
  { name: 'another certificate for the same key', ring, prepare: justAttested, order: startOnly('reissue') },
  keys,
];

const mostRounds = 40;

/** Lets time pass and the service turn, with an operator who says what is to be said, until the rotation is there. */
export async function goOn(
  service: Service,
  of: string,
  until: (rotation: Rotation) => boolean,
  order: Scenario['order'] = () => undefined,
): Promise<void> {
  for (let round = 0; round < mostRounds; round += 1) {
    const rotation = await latest(service, of);
    if (rotation !== undefined && until(rotation)) return settle(service);
    await order(service, rotation);
    service.clock.forward(2 * minuteMs);
    await service.turn();
  }
  const rotation = await latest(service, of);
  const { ways } = await service.context().rotations.explain(rotation?.id ?? '');
  const blockers = ways.flatMap(({ gate }) =>
    gate.blockers.map(({ subject, requirement }) => `${subject}: ${requirement}`),
  );
  throw new Error(`it is ${rotation?.state ?? 'nowhere'} for good: ${blockers.join('; ')}`);
}

/** What the last step left to do, also where that was interrupted. */
async function settle(service: Service): Promise<void> {
  service.clock.forward(2 * minuteMs);
  await service.turn();
}

export async function latest(service: Service, of: string): Promise<Rotation | undefined> {
  const [rotation] = await service.context().rotations.list({ ring: of, limit: 1 });
  return rotation;
}

export function isOver({ finishedAt }: Rotation): boolean {
  return finishedAt !== undefined;
}
