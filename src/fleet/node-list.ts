import type { Kysely } from 'kysely';

import { listNodes } from '../store/queries/nodes.js';
import type { Schema } from '../store/schema.js';
import { nodeOf } from './node-records.js';
import type { Node, NodeFilter } from './types.js';

const mostPerPage = 500;

/** A page by name, with what `continue` takes for the next one; nodes that the filter leaves out do not count. */
export async function listPage(
  db: Kysely<Schema>,
  page: { readonly limit: number; readonly continue?: string } & NodeFilter,
): Promise<{ items: readonly Node[]; continue: string | undefined }> {
  const limit = Math.max(1, Math.min(page.limit, mostPerPage));
  const { state, matches = () => true } = page;
  const items: Node[] = [];
  let after = page.continue === undefined ? undefined : Buffer.from(page.continue, 'base64url').toString();
  for (;;) {
    // One more than is wanted tells whether there is another page.
    const size = page.matches === undefined ? limit + 1 : mostPerPage;
    const rows = await listNodes(db, { limit: size, after, state });
    items.push(...rows.map(nodeOf).filter(matches));
    after = rows.at(-1)?.name;
    if (items.length > limit || rows.length < size) break;
  }
  const last = items.length > limit ? items[limit - 1]?.name : undefined;
  return {
    items: items.slice(0, limit),
    continue: last === undefined ? undefined : Buffer.from(last).toString('base64url'),
  };
}
