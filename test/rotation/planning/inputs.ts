import { classesOf } from '../../../src/fleet/consumers/classes.js';
import type { Topology } from '../../../src/config/types.js';
import { defaultTiming } from '../../../src/config/rotation.js';
import { builtInProfiles } from '../../../src/csr/profiles.js';
import type { LeafGroup } from '../../../src/rotation/planning/groups.js';
import { imagined } from '../../../src/rotation/planning/situation.js';
import type { PlanInput } from '../../../src/rotation/planning/types.js';
import type { AuthorityUse, Facts, Rotation, VerifierClassFact, VerifierFact } from '../../../src/rotation/types.js';

export const now = Date.UTC(2026, 2, 2, 9);
export const day = 86_400_000;
export const topology: Topology = {
  kubernetesClient: 'kubernetes',
  kubernetesServer: 'kubernetes',
  etcdPeer: 'etcd',
  etcdServer: 'etcd',
  etcdClient: 'etcd',
  frontProxy: 'front-proxy',
  rotunda: 'rotunda',
};

const nothing: AuthorityUse = { live: 0, liveIsExact: true, samples: [], inFlight: 0, latestNotAfter: undefined };

/** One consumer that has loaded a generation and is heard of. */
export function verifier(name: string, loaded: number, more: Partial<VerifierFact> = {}): VerifierFact {
  return {
    ...{ name, class: name.split('/')[0] ?? '', loaded, evidence: 'self-report', acknowledgedAt: now, clean: true },
    ...{ joiner: false, silentSince: undefined, clockSkewMs: 0, algorithms: [], streamsSince: now },
    ...more,
  };
}

/** The built-in classes of a ring, with as many registered as there are verifiers. */
export function classFacts(ring: string, verifiers: readonly VerifierFact[]): VerifierClassFact[] {
  return classesOf(topology, ring).map(({ class: name, description, minimum, streams, remedy }) => ({
    ...{ class: name, description, minimum, streams, remedy },
    registered: verifiers.filter((one) => one.class === name).length,
    attestation: undefined,
    streamsEndedAt: undefined,
  }));
}

export function factsOf(ring: string, verifiers: readonly VerifierFact[], more: Partial<Facts> = {}): Facts {
  return {
    now,
    ring: { name: ring, epoch: 4, generation: 3, active: 'aaaa', frozen: false, anchors: ['aaaa'] },
    old: {
      ...{ key: 'aaaa', state: 'active', tainted: false, hasKey: true, sealed: false, keyType: 'ec-p256' },
      ...{ notBefore: now - 300 * day, notAfter: now + 3350 * day },
    },
    new: undefined,
    oldUse: { ...nothing, live: 12, latestNotAfter: now + 30 * day },
    newUse: nothing,
    ...{ classes: classFacts(ring, verifiers), verifiers, probes: [], endpoints: [], copies: [], pins: [] },
    ...{ window: { open: true, next: undefined }, restarting: undefined, preflight: ['it is not in the database'] },
    timing: defaultTiming,
    ...more,
  };
}

/** One leaf of each profile of a ring, by one authority. */
export function leavesOf(ring: string, authority = 'aaaa'): LeafGroup[] {
  return builtInProfiles(topology, 'rotunda')
    .filter((profile) => profile.ring === ring)
    .map(({ signerName }) => ({
      profile: signerName,
      authority,
      crossFrom: undefined,
      count: 1,
      names: [`of ${signerName}`],
    }));
}

/** What is known before a rotation of a ring is started. */
export function inputOf(
  ring: string,
  verifiers: readonly VerifierFact[],
  more: Partial<PlanInput> = {},
  of: Partial<Rotation> = {},
): PlanInput {
  const draft = {
    ring,
    kind: 'planned',
    crossSigned: true,
    policy: 'automatic',
    options: {},
    oldKey: 'aaaa',
    epoch: 4,
  } as const;
  return {
    rotation: { ...imagined({ ...draft, ...of }, now), ...of },
    ...{ started: false, rollback: false, facts: factsOf(ring, verifiers), topology, software: new Map() },
    ...{ leaves: leavesOf(ring), generations: [{ generation: 3, anchors: ['aaaa'] }], history: [], others: [] },
    longestLeaf: 365 * day,
    ...more,
  };
}
