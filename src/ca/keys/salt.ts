import type { Random } from '../../clock.js';
import type { KeyEncryptionKeySource } from '../../config/types.js';
import { settleSetting } from '../../store/queries/settings.js';
import type { Store } from '../../store/types.js';
import type { KeyEncryptionKey } from '../types.js';
import { loadKeyEncryptionKey, saltBytes } from './key-encryption-key.js';

const saltSetting = 'key-encryption-key.salt';

/**
 * Loads a key-encryption key from any source. A passphrase's salt is kept in the database, where every replica finds
 * the same one; it is no secret.
 */
export async function openKeyEncryptionKey(
  source: KeyEncryptionKeySource,
  { store, random }: { readonly store: Store; readonly random: Random },
): Promise<KeyEncryptionKey> {
  if (source.kind !== 'passphrase') return loadKeyEncryptionKey(source, random);
  const proposed = random.bytes(saltBytes).toString('hex');
  const salt = await store.write(({ db }) => settleSetting(db, saltSetting, proposed));
  return loadKeyEncryptionKey(source, random, Buffer.from(salt, 'hex'));
}
