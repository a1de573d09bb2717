import type { Clock, Random } from '../clock.js';
import { findAuthority } from '../store/queries/ring-changes.js';
import type { Store } from '../store/types.js';
import { issuingCertificate } from './authorities.js';
import type { AuthorityKey, KeyStore } from './keys/types.js';
import type { Authority, Ca, RingConfig } from './types.js';

/** What changing rings needs. */
export type TrustDomainOptions = {
  readonly ca: Pick<Ca, 'ring' | 'bundle' | 'authorities' | 'reload'>;
  readonly store: Store;
  readonly keys: KeyStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly rings: readonly RingConfig[];
};

/** Opens an authority's key. Throws 'unavailable' where it is not there any more. */
export async function openKey(
  { store, keys }: Pick<TrustDomainOptions, 'store' | 'keys'>,
  authority: Authority,
): Promise<AuthorityKey> {
  const row = await findAuthority(store.db, authority.ski);
  const { keyId } = issuingCertificate(authority).key;
  return keys.load({ keyId, keyType: authority.keyType, wrappedKey: row?.wrapped_key ?? null });
}
