import { isRotundaSigner } from '../../identity/rules.js';
import type { Identity } from '../../identity/types.js';
import type { Profile } from '../types.js';
import { missing, passed, type Rule } from './rule.js';

/**
 * Whether an identity may have certificates of this profile at all. What an API server has authenticated may have those of
 * the cluster's own users and nodes: etcd, front proxies, the control plane and this service are not the API server's.
 */
export function mayReach({ proxied }: Identity, { ring, signerName }: Pick<Profile, 'ring' | 'signerName'>): boolean {
  return proxied === undefined || (proxied.rings.includes(ring) && !isRotundaSigner({ name: signerName }));
}

/** For what an API server has authenticated, beside the rules of the profile. */
export const vouchedForRule: Rule = {
  name: 'vouched-for-by-the-api-server',
  kind: 'fact',
  check: ({ profile, facts }) =>
    mayReach(facts.identity, profile)
      ? passed(`an API server vouches for who asks, and may for ${profile.signerName}`)
      : missing(
          `certificates with signerName ${JSON.stringify(profile.signerName)} are not given through the API server: ask this service directly, or have its administrator approve`,
        ),
};
