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

type Group = { profile: string; ski: string; count: number | string; latest: number | string };

/** Leaves of a ring that neither expired nor were replaced or revoked, by profile and authority; canaries are nobody's. */
export async function groupLiveLeaves(db: Kysely<Schema>, query: LiveLeavesQuery): Promise<LiveLeaves[]> {
  const live = liveOf(query);
  const { rows } = await sql<Group>`
    select profile, ski, count(*) as count, max(not_after) as latest
    from (select profile, ski, not_after from certificates where ${live} limit ${mostLeavesRead}) as live
    group by profile, ski
    order by profile, ski`.execute(db);
  return Promise.all(
    rows.map(async ({ profile, ski, count, latest }) => ({
      ...{ profile, ski, count: Number(count), latestNotAfter: Number(latest) },
      names: await namesOf(db, { ...query, ski }, profile),
    })),
  );
}

function liveOf({ ring, now, ski }: LiveLeavesQuery) {
  const of = ski === undefined ? sql`` : sql` and ski = ${ski}`;
  return sql`ring = ${ring} and not_after > ${now} and superseded_at is null and revoked_at is null
    and profile <> 'rotunda.dev/canary'${of}`;
}

/** Of those that last longest; in any order where all of the profile end earlier than many others. */
async function namesOf(db: Kysely<Schema>, query: LiveLeavesQuery, profile: string): Promise<string[]> {
  const name = sql`coalesce(node, cluster || '/' || member, common_name)`;
  const live = liveOf(query);
  const { rows } = await sql<{ name: string }>`
    select name from (
      select profile, ${name} as name, not_after from certificates where ${live} order by not_after desc limit 5000
    ) as last
    where profile = ${profile}
    order by not_after desc, name
    limit ${query.names}`.execute(db);
  if (rows.length > 0) return rows.map((row) => row.name);
  const others = await sql<{ name: string }>`
    select ${name} as name from certificates where ${live} and profile = ${profile} limit ${query.names}`.execute(db);
  return others.rows.map((row) => row.name);
}
