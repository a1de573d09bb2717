import { type Kysely, sql } from 'kysely';

import type { Schema } from '../schema.js';

/** Leaves of one authority and profile that may still be presented. */
export type LiveLeaves = {
  readonly profile: string;
  readonly ski: string;
  readonly count: number;
  readonly latestNotAfter: number;
  /** Common names of those that last longest, or what is known of who holds them. */
  readonly names: readonly string[];
};

export type LiveLeavesQuery = {
  readonly ring: string;
  /** Milliseconds. */
  readonly now: number;
  /** Names of each group. */
  readonly names: number;
  /** Of one authority alone. */
  readonly ski?: string;
};

/** Read no further: who plans wants to know how many there are about, and a million rows would keep everybody waiting. */
export const mostLeavesRead = 100_000;

type Row = { profile: string; ski: string; name: string; count: number | string; latest: number | string };

/** Leaves of a ring that neither expired nor were replaced or revoked, by profile and authority; canaries are nobody's. */
export async function groupLiveLeaves(db: Kysely<Schema>, query: LiveLeavesQuery): Promise<LiveLeaves[]> {
  const { ring, now, names, ski } = query;
  const of = ski === undefined ? sql`` : sql` and ski = ${ski}`;
  const { rows } = await sql<Row>`
    select profile, ski, name, count, latest from (
      select profile, ski, name,
        count(*) over (partition by profile, ski) as count,
        max(not_after) over (partition by profile, ski) as latest,
        row_number() over (partition by profile, ski order by not_after desc, name) as place
      from (
        select profile, ski, not_after, coalesce(node, cluster || '/' || member, common_name) as name
        from certificates
        where ring = ${ring} and not_after > ${now} and superseded_at is null and revoked_at is null
          and profile <> 'rotunda.dev/canary'${of}
        limit ${mostLeavesRead}
      ) as live
    ) as placed
    where place <= ${names}
    order by profile, ski, place`.execute(db);
  const groups = new Map<string, LiveLeaves & { readonly names: string[] }>();
  for (const { profile, ski: authority, name, count, latest } of rows) {
    const key = `${profile}|${authority}`;
    const group = groups.get(key);
    if (group !== undefined) group.names.push(name);
    else
      groups.set(key, { profile, ski: authority, count: Number(count), latestNotAfter: Number(latest), names: [name] });
  }
  return [...groups.values()];
}
