import type { Kysely } from 'kysely';

import type { Schema } from '../schema.js';

/** What a ring has published since a generation, that one first: the ids of anchors as they are stored. */
export async function listPublished(
  db: Kysely<Schema>,
  of: { readonly ring: string; readonly from: number },
): Promise<{ generation: number; anchors: readonly string[] }[]> {
  const rows = await db
    .selectFrom('bundles')
    .select(['generation', 'anchors'])
    .where('ring', '=', of.ring)
    .where('generation', '>=', of.from)
    .orderBy('generation')
    .execute();
  return rows.map(({ generation, anchors }) => ({ generation, anchors: JSON.parse(anchors) as string[] }));
}

/** What the verifiers of a ring say that they are, such as `kubelet 1.36.3`, by name. */
export async function softwareOfVerifiers(db: Kysely<Schema>, ring: string): Promise<ReadonlyMap<string, string>> {
  const rows = await db
    .selectFrom('consumer_rings')
    .innerJoin('consumers', 'consumers.name', 'consumer_rings.consumer')
    .select(['consumers.name', 'consumers.software'])
    .where('consumer_rings.ring', '=', ring)
    .where('consumer_rings.verifies', '=', 1)
    .where('consumers.software', '<>', '')
    .execute();
  return new Map(rows.map(({ name, software }) => [name, software]));
}
