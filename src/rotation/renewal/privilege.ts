import type { Profile } from '../../csr/types.js';
import type { WaveDraft } from './waves.js';

/** How much somebody could do with a certificate: whose is most powerful is issued anew first. */
const tiers: Readonly<Record<Profile['approval'], number>> = {
  ...{ 'control-plane': 0, person: 0, 'etcd-client': 0 },
  'etcd-member': 1,
  ...{ 'node-client': 2, 'node-serving': 2 },
};
const lastTier = 3;

/** Informed clients ask again as often while a ring is rotated: by then those of the tier before have heard of it. */
const longestStepMs = 5 * 60_000;

type Emergency = {
  readonly ring: string;
  /** SKI of the authority whose leaves are replaced. */
  readonly authority: string;
  /** When it began and when it cuts off, milliseconds. */
  readonly since: number;
  readonly deadline: number;
};

/**
 * A wave for each profile of the ring, in the order of privilege, and one for what has a profile that is not configured any
 * more. All are over after half of the time to the deadline: whoever fails tries again.
 */
export function wavesByPrivilege(
  profiles: readonly Pick<Profile, 'signerName' | 'ring' | 'approval'>[],
  { ring, authority, since, deadline }: Emergency,
): readonly WaveDraft[] {
  const half = Math.max(0, deadline - since) / 2;
  const stepMs = Math.min(longestStepMs, half / (2 * (lastTier + 1)));
  const wave = (tier: number): WaveDraft => ({
    ...{ ring, authority, reason: 'compromise', until: since + half, afterMs: Math.round(tier * stepMs) },
  });
  const own = profiles
    .filter((profile) => profile.ring === ring)
    .map(({ signerName, approval }) => ({ ...wave(tiers[approval]), profile: signerName }));
  return [...own.sort((a, b) => (a.afterMs ?? 0) - (b.afterMs ?? 0)), wave(lastTier)];
}
