import type { Store } from './types.js';

/**
 * Takes the first revision of an empty database, so that no list is ever of version 0: to Kubernetes clients `0` means
 * any version, and a watch from there would begin with what the list has shown already. etcd begins at 1 as well.
 */
export async function takeFirstRevision(store: Store): Promise<void> {
  if ((await store.revision()) > 0) return;
  // Where another replica was first, this takes one more, which hurts nobody.
  await store.write((tx) => Promise.resolve(tx.nextRevision()));
}
