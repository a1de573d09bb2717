import type { Kysely, Selectable } from 'kysely';

import type { Schema } from '../schema.js';

export type ExpiredRow = Pick<
  Selectable<Schema['certificates']>,
  | 'serial'
  | 'fingerprint'
  | 'ring'
  | 'ski'
  | 'profile'
  | 'node'
  | 'key_id'
  | 'not_after'
  | 'issued_at'
  | 'revoked_at'
  | 'superseded_at'
>;

/** What decides whether an expired certificate renews itself. Rare: nobody presents one in the ordinary course of things. */
export function findExpired(db: Kysely<Schema>, serial: string): Promise<ExpiredRow | undefined> {
  return db
    .selectFrom('certificates')
    .select(['serial', 'fingerprint', 'ring', 'ski', 'profile', 'node', 'key_id', 'not_after', 'issued_at'])
    .select(['revoked_at', 'superseded_at'])
    .where('serial', '=', serial)
    .executeTakeFirst();
}

/** Whether its node was given another certificate of the same profile since, or at the same time. */
export async function hasSuccessor(
  db: Kysely<Schema>,
  { serial, node, profile, issued_at: issuedAt }: ExpiredRow,
): Promise<boolean> {
  const found = await db
    .selectFrom('certificates')
    .select('serial')
    .where('node', '=', node)
    .where('profile', '=', profile)
    .where('issued_at', '>=', issuedAt)
    .where('serial', '<>', serial)
    .limit(1)
    .executeTakeFirst();
  return found !== undefined;
}
