import type { CertificateRequest } from '../../../csr/types.js';
import { type Range, readRange } from '../../../store/queries/snapshot.js';
import type { Store } from '../../../store/types.js';
import { resource } from '../kinds.js';
import { matchesSelection, type Selection } from '../selectors.js';

/** Rows per query. */
const pageSize = 500;

export type SnapshotQuery = {
  /** The state at this revision; the newest one when left out. */
  readonly revision?: number;
  /** Begins behind this name. */
  readonly after?: string;
  readonly limit?: number;
  /** Throws rather than show an object as it is now, where the log no longer has how it was. */
  readonly exact?: boolean;
  readonly selection: Selection;
};

/** Stored texts in name order. `next` is the last name shown, where there is more behind it. */
export type Snapshot = { readonly items: readonly string[]; readonly revision: number; readonly next?: string };

/**
 * The requests as they were at one revision, however many queries that takes and whatever is written meanwhile. Throws
 * 'expired' when the change log does not reach back.
 */
export async function snapshot(store: Store, query: SnapshotQuery): Promise<Snapshot> {
  const { limit = Infinity } = query;
  const items: string[] = [];
  let last = query.after ?? '';
  let revision = 0;
  for await (const page of snapshotPages(store, query)) {
    ({ revision } = page);
    for (const { name, object } of page.items) {
      if (items.length === limit) return { items, revision, next: last };
      items.push(object);
      last = name;
    }
  }
  return { items, revision };
}

/** The same, page by page. */
export async function* snapshotPages(store: Store, query: SnapshotQuery): AsyncGenerator<Omit<Range, 'end'>> {
  const { selection, limit = Infinity, exact = false } = query;
  const signerName = selection.signerName;
  let { revision, after } = query;
  for (;;) {
    const range: Range = await readRange(store.db, {
      resource,
      revision,
      after,
      exact,
      limit: Math.min(pageSize, limit + 1),
      ...(signerName === undefined ? {} : { signerName }),
    });
    revision = range.revision;
    const items = selection.everything ? range.items : range.items.filter((item) => isSelected(selection, item.object));
    yield { items, revision };
    if (range.end === undefined) return;
    after = range.end;
  }
}

/** Whether a stored text is of what is selected. */
export function isSelected(selection: Selection, object: string): boolean {
  return matchesSelection(selection, JSON.parse(object) as CertificateRequest);
}
