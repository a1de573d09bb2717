import { type Insertable, type Kysely, type Selectable, sql } from 'kysely';

import { prepared } from '../precompiled.js';
import type { Schema } from '../schema.js';

export type LedgerRow = Selectable<Schema['ledger']>;
export type NewLedgerRow = Insertable<Schema['ledger']>;

/** PostgreSQL does not know the type of a bare parameter in a select list. */
const integer = (value: number) => sql`cast(${value} as bigint)`;
const text = (value: string | null | undefined) => sql`cast(${value} as text)`;

const intend = prepared(
  (_db, p: NewLedgerRow) => sql<never>`
    insert into ledger (serial, ring, ski, epoch, profile, subject, names, key_id, not_before, not_after, requester,
      request_name, request_uid, state, created_at)
    select ${text(p.serial)}, ${text(p.ring)}, ${text(p.ski)}, ${integer(p.epoch)}, ${text(p.profile)},
      ${text(p.subject)}, ${text(p.names)}, ${text(p.key_id)}, ${integer(p.not_before)}, ${integer(p.not_after)},
      ${text(p.requester)}, ${text(p.request_name)}, ${text(p.request_uid)}, ${text(p.state)}, ${integer(p.created_at)}
    from rings where name = ${p.ring} and epoch = ${p.epoch} and active_ski = ${p.ski} and frozen = 0`,
);

/** Inserts the row if `ring` still signs with `ski` in `epoch`; answers whether it did. Fails on a serial that is taken. */
export async function insertLedger(db: Kysely<Schema>, row: NewLedgerRow): Promise<boolean> {
  return (await intend.run(db, row)) === 1;
}

const intendCanary = prepared(
  (_db, p: NewLedgerRow) => sql<never>`
    insert into ledger (serial, ring, ski, epoch, profile, subject, names, key_id, not_before, not_after, requester,
      request_name, request_uid, state, created_at)
    select ${text(p.serial)}, ${text(p.ring)}, ${text(p.ski)}, ${integer(p.epoch)}, ${text(p.profile)},
      ${text(p.subject)}, ${text(p.names)}, ${text(p.key_id)}, ${integer(p.not_before)}, ${integer(p.not_after)},
      ${text(p.requester)}, ${text(p.request_name)}, ${text(p.request_uid)}, ${text(p.state)}, ${integer(p.created_at)}
    from authorities where ski = ${p.ski} and ring = ${p.ring} and tainted = 0 and sealed = 0 and state <> 'destroyed'`,
);

/** As insertLedger, for any authority whose key is there and was never anybody else's. */
export async function insertCanaryLedger(db: Kysely<Schema>, row: NewLedgerRow): Promise<boolean> {
  return (await intendCanary.run(db, row)) === 1;
}

const move = prepared((db, p: { serial: string; state: LedgerRow['state'] }) =>
  db.updateTable('ledger').set({ state: p.state }).where('serial', '=', p.serial).where('state', '=', 'intended'),
);

/** From `intended` to `issued` or `abandoned`; answers whether it was `intended`. */
export async function settleLedger(
  db: Kysely<Schema>,
  serial: string,
  state: 'issued' | 'abandoned',
): Promise<boolean> {
  return (await move.run(db, { serial, state })) === 1;
}

/** Rows still `intended` that were made before `createdBefore`, oldest first: a crash or an error came between. */
export function listIntended(
  db: Kysely<Schema>,
  options: { createdBefore: number; limit: number },
): Promise<LedgerRow[]> {
  return db
    .selectFrom('ledger')
    .selectAll()
    .where(sql<boolean>`state = 'intended'`)
    .where('created_at', '<', options.createdBefore)
    .orderBy('created_at')
    .limit(options.limit)
    .execute();
}
