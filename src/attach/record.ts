import { z } from 'zod';

import type { Audit } from '../audit/types.js';
import type { Clock } from '../clock.js';
import { deleteSetting, findSetting, putSetting } from '../store/queries/settings.js';
import type { Store } from '../store/types.js';
import { servingNameOf } from './manifests.js';

const key = 'attachment';

const recordSchema = z.object({
  service: z.object({ name: z.string(), namespace: z.string(), port: z.number() }),
  cluster: z.object({ server: z.string(), ca: z.string() }).optional(),
  /** Milliseconds. */
  since: z.number(),
  by: z.string(),
});

/** That this service stands behind an API server, by which Service, and where that API server is. */
export type AttachmentRecord = z.output<typeof recordSchema>;
export type AttachmentDraft = Pick<AttachmentRecord, 'service' | 'cluster'>;

/** The stored record, and its copy in memory. */
export type AttachmentStore = {
  /** As of the last look. */
  current(): AttachmentRecord | undefined;
  /** Looks again: another replica may have changed it. */
  refresh(): Promise<AttachmentRecord | undefined>;
  set(draft: AttachmentDraft, actor: string): Promise<AttachmentRecord>;
  /** Whether there was one. */
  clear(actor: string): Promise<boolean>;
  /** DNS names that the serving certificate needs for it. */
  servingNames(): readonly string[];
};

export function createAttachmentStore(parts: {
  readonly store: Store;
  readonly audit: Audit;
  readonly clock: Clock;
}): AttachmentStore {
  const { store, audit, clock } = parts;
  let known: AttachmentRecord | undefined;
  const event = { resource: 'attachment', outcome: 'ok' } as const;
  return {
    current: () => known,
    refresh: async () => {
      const text = await findSetting(store.db, key);
      // Written by this program only; a later version's record may say more.
      known = text === undefined ? undefined : recordSchema.parse(JSON.parse(text));
      return known;
    },
    set: async (draft, actor) => {
      const at = clock.now().getTime();
      const { service, cluster } = draft;
      const record = { service, ...(cluster === undefined ? {} : { cluster }), since: at, by: actor };
      await store.write(async (tx) => {
        await putSetting(tx.db, key, JSON.stringify(record));
        const detail = { service, server: cluster?.server };
        await audit.record(tx, { ...event, action: 'attachment.set', actor, name: servingNameOf(service), detail, at });
      });
      known = record;
      return record;
    },
    clear: async (actor) => {
      const at = clock.now().getTime();
      const removed = await store.write(async (tx) => {
        const found = await deleteSetting(tx.db, key);
        if (found) await audit.record(tx, { ...event, action: 'attachment.cleared', actor, name: key, detail: {}, at });
        return found;
      });
      known = undefined;
      return removed;
    },
    servingNames: () => (known === undefined ? [] : [servingNameOf(known.service)]),
  };
}
