import type { Profile } from '../../csr/types.js';
import type { RenewalClient } from './types.js';

/** Who renews otherwise than the approval of its profile suggests. */
export type ConfiguredClients = readonly { readonly signerName: string; readonly client: RenewalClient }[];

/** How the holders of a profile's certificates renew them: nodes run kubelets, everybody else asks. */
export function renewalClientOf(
  profile: Pick<Profile, 'signerName' | 'approval'>,
  configured: ConfiguredClients,
): RenewalClient {
  const own = configured.find(({ signerName }) => signerName === profile.signerName);
  if (own !== undefined) return own.client;
  const isKubelet = profile.approval === 'node-client' || profile.approval === 'node-serving';
  return isKubelet ? { kind: 'kubelet' } : { kind: 'informed' };
}
