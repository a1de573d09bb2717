import { type Insertable, type Kysely, type Selectable, sql } from 'kysely';

import { prepared } from '../precompiled.js';
import type { Schema } from '../schema.js';

export type PastRequestRow = Selectable<Schema['past_requests']>;
export type NewPastRequestRow = Insertable<Schema['past_requests']>;

/** Where a page of past requests begins: behind this one. */
export type PastRequestKey = Pick<PastRequestRow, 'day' | 'digest'>;

const upsert = prepared(
  (_db, p: NewPastRequestRow) => sql<never>`
    insert into past_requests (day, digest, count, name, uid, spec, csr, requester, state, reason, message, created_at)
    values (${p.day}, ${p.digest}, ${p.count}, ${p.name}, ${p.uid}, ${p.spec}, ${p.csr}, ${p.requester}, ${p.state},
      ${p.reason}, ${p.message}, ${p.created_at})
    on conflict (day, digest) do update set count = past_requests.count + excluded.count, name = excluded.name,
      uid = excluded.uid, spec = excluded.spec, csr = excluded.csr, requester = excluded.requester,
      message = excluded.message, created_at = excluded.created_at`,
);

/** Adds the row, or counts it with those of its day that asked the same. */
export async function addPastRequest(db: Kysely<Schema>, row: NewPastRequestRow): Promise<void> {
  await upsert.run(db, row);
}

/** A page in order of day and digest, of requests created at `since` (milliseconds) or later. */
export function pastRequestsSince(
  db: Kysely<Schema>,
  page: { readonly since: number; readonly after: PastRequestKey; readonly limit: number },
): Promise<PastRequestRow[]> {
  const { since, after, limit } = page;
  return db
    .selectFrom('past_requests')
    .selectAll()
    .where((e) => e.or([e('day', '>', after.day), e.and([e('day', '=', after.day), e('digest', '>', after.digest)])]))
    .where('created_at', '>=', since)
    .orderBy('day')
    .orderBy('digest')
    .limit(limit)
    .execute();
}

/** Deletes at most `step` rows of days before `before` (milliseconds); answers how many. */
export async function prunePastRequests(
  db: Kysely<Schema>,
  { before, step }: { readonly before: number; readonly step: number },
): Promise<number> {
  const old = await db
    .selectFrom('past_requests')
    .select(['day', 'digest'])
    .where('day', '<', before)
    .orderBy('day')
    .limit(step)
    .execute();
  return remove(db, old);
}

/** Deletes the oldest rows beyond the newest `keep`, at most `step`; answers how many. */
export async function capPastRequests(
  db: Kysely<Schema>,
  { keep, step }: { readonly keep: number; readonly step: number },
): Promise<number> {
  const { count } = await db
    .selectFrom('past_requests')
    .select((e) => e.fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow();
  const excess = Math.min(count - keep, step);
  if (excess <= 0) return 0;
  const oldest = await db
    .selectFrom('past_requests')
    .select(['day', 'digest'])
    .orderBy('day')
    .orderBy('digest')
    .limit(excess)
    .execute();
  return remove(db, oldest);
}

async function remove(db: Kysely<Schema>, rows: readonly PastRequestKey[]): Promise<number> {
  for (const { day, digest } of rows)
    await db.deleteFrom('past_requests').where('day', '=', day).where('digest', '=', digest).execute();
  return rows.length;
}
