import { type Kysely, type Selectable, sql, type Transaction } from 'kysely';

import { insertRow, prepared } from '../precompiled.js';
import type { Schema } from '../schema.js';

export type RenewalBucketRow = Schema['renewal_buckets'];
export type RenewalRuleRow = Selectable<Schema['renewal_rules']>;

/** What is planned from `from` on, milliseconds. */
export function listBuckets(db: Kysely<Schema>, from: number): Promise<RenewalBucketRow[]> {
  return db.selectFrom('renewal_buckets').selectAll().where('start', '>=', from).orderBy('start').execute();
}

/** Rows of one statement: far below the parameters that SQLite and PostgreSQL take. */
const rowsAtOnce = 500;

/** Adds to what is planned, by start. */
export async function addToBuckets(db: Transaction<Schema>, rows: readonly RenewalBucketRow[]): Promise<void> {
  for (let at = 0; at < rows.length; at += rowsAtOnce) {
    await db
      .insertInto('renewal_buckets')
      .values(rows.slice(at, at + rowsAtOnce))
      .onConflict((conflict) =>
        conflict.column('start').doUpdateSet({ planned: sql`renewal_buckets.planned + excluded.planned` }),
      )
      .execute();
  }
}

/** Forgets what lies before `before`, milliseconds. */
export async function dropBuckets(db: Transaction<Schema>, before: number): Promise<void> {
  await db.deleteFrom('renewal_buckets').where('start', '<', before).execute();
}

/** Every rule. There are a few: one for each wave that goes on. */
export function listRules(db: Kysely<Schema>): Promise<RenewalRuleRow[]> {
  return db.selectFrom('renewal_rules').selectAll().orderBy('created_at').orderBy('id').execute();
}

const insert = insertRow('renewal_rules', [
  'id',
  'ring',
  'authority',
  'profile',
  'not_before',
  'width',
  'reason',
  'created_at',
]);

export async function insertRule(db: Transaction<Schema>, row: RenewalRuleRow): Promise<void> {
  await insert(db, row);
}

/** Answers whether there was such a rule. */
export async function deleteRule(db: Transaction<Schema>, id: string): Promise<boolean> {
  const { numDeletedRows } = await db.deleteFrom('renewal_rules').where('id', '=', id).executeTakeFirst();
  return numDeletedRows > 0n;
}

export type RenewalRow = Pick<
  Selectable<Schema['certificates']>,
  | 'serial'
  | 'ring'
  | 'ski'
  | 'profile'
  | 'not_before'
  | 'not_after'
  | 'issued_at'
  | 'revoked_at'
  | 'renew_from'
  | 'renew_until'
>;

const bySerial = prepared((db, parameters: { serial: string }) =>
  db
    .selectFrom('certificates')
    .select([
      ...(['serial', 'ring', 'ski', 'profile', 'not_before', 'not_after'] as const),
      ...(['issued_at', 'revoked_at', 'renew_from', 'renew_until'] as const),
    ])
    .where('serial', '=', parameters.serial),
);

/** What decides when a certificate is to be renewed. */
export function findRenewal(db: Kysely<Schema>, serial: string): Promise<RenewalRow | undefined> {
  return bySerial.first(db, { serial });
}

export type Cohort = {
  readonly ring: string;
  readonly authority: string | undefined;
  readonly profile: string | undefined;
};

/** How many certificates of a cohort are good, and the longest of their lives, milliseconds. Reads all of them. */
export async function measureCohort(
  db: Kysely<Schema>,
  { ring, authority, profile }: Cohort,
  now: number,
): Promise<{ readonly count: number; readonly lifeMs: number }> {
  let query = db
    .selectFrom('certificates')
    .select((e) => [e.fn.countAll<number>().as('count'), sql<number | null>`max(not_after - not_before)`.as('life')])
    .where('ring', '=', ring)
    .where('not_after', '>', now)
    .where('superseded_at', 'is', null)
    .where('revoked_at', 'is', null);
  if (authority !== undefined) query = query.where('ski', '=', authority);
  if (profile !== undefined) query = query.where('profile', '=', profile);
  const row = await query.executeTakeFirst();
  return { count: row?.count ?? 0, lifeMs: row?.life ?? 0 };
}
