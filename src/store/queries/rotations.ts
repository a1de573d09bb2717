import type { Insertable, Kysely, Selectable, Transaction } from 'kysely';

import type { Schema } from '../schema.js';

export type RotationRow = Selectable<Schema['rotations']>;
export type RotationEventRow = Selectable<Schema['rotation_events']>;
export type EffectRow = Selectable<Schema['effects']>;

/** The name of rotations in the change log. */
export const rotationChanges = 'rotations';

/** Those that are not over, by ring. */
export function listRunningRotations(db: Kysely<Schema>): Promise<RotationRow[]> {
  return db.selectFrom('rotations').selectAll().where('finished_at', 'is', null).orderBy('ring').execute();
}

/** All of them, newest first; of one ring where named. */
export function listRotations(
  db: Kysely<Schema>,
  options: { readonly ring?: string | undefined; readonly limit: number },
): Promise<RotationRow[]> {
  const all = db.selectFrom('rotations').selectAll().orderBy('started_at', 'desc').orderBy('id', 'desc');
  const some = options.ring === undefined ? all : all.where('ring', '=', options.ring);
  return some.limit(options.limit).execute();
}

export function findRotation(db: Kysely<Schema>, id: string): Promise<RotationRow | undefined> {
  return db.selectFrom('rotations').selectAll().where('id', '=', id).executeTakeFirst();
}

/** How many rotations a ring has had. */
export async function countRotations(db: Kysely<Schema>, ring: string): Promise<number> {
  const { count } = await db
    .selectFrom('rotations')
    .select((eb) => eb.fn.countAll().as('count'))
    .where('ring', '=', ring)
    .executeTakeFirstOrThrow();
  return Number(count);
}

export async function insertRotation(db: Transaction<Schema>, row: RotationRow): Promise<void> {
  await db.insertInto('rotations').values(row).execute();
}

/** Writes the row if it is still of `version`; answers whether it was. */
export async function changeRotation(db: Transaction<Schema>, row: RotationRow, version: number): Promise<boolean> {
  const { id, ...change } = row;
  const { numUpdatedRows } = await db
    .updateTable('rotations')
    .set(change)
    .where('id', '=', id)
    .where('version', '=', version)
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

/** Appends to the rotation's history. */
export async function appendRotationEvent(
  db: Transaction<Schema>,
  event: Omit<RotationEventRow, 'sequence'>,
): Promise<void> {
  const last = await db
    .selectFrom('rotation_events')
    .select((eb) => eb.fn.max('sequence').as('sequence'))
    .where('rotation', '=', event.rotation)
    .executeTakeFirst();
  await db
    .insertInto('rotation_events')
    .values({ ...event, sequence: (last?.sequence ?? 0) + 1 })
    .execute();
}

/** The history of a rotation, oldest first. */
export function listRotationEvents(db: Kysely<Schema>, rotation: string, limit: number): Promise<RotationEventRow[]> {
  return db
    .selectFrom('rotation_events')
    .selectAll()
    .where('rotation', '=', rotation)
    .orderBy('sequence')
    .limit(limit)
    .execute();
}

/** Inserts what is to be done; what is there already under that id is left alone. */
export async function insertEffects(
  db: Transaction<Schema>,
  rows: readonly Insertable<Schema['effects']>[],
): Promise<void> {
  if (rows.length === 0) return;
  await db
    .insertInto('effects')
    .values([...rows])
    .onConflict((conflict) => conflict.column('id').doNothing())
    .execute();
}

export function listDueEffects(db: Kysely<Schema>, now: number, limit: number): Promise<EffectRow[]> {
  return db
    .selectFrom('effects')
    .selectAll()
    .where('state', '=', 'pending')
    .where('next_at', '<=', now)
    .orderBy('next_at')
    .orderBy('id')
    .limit(limit)
    .execute();
}

export function listPendingEffects(db: Kysely<Schema>, rotation: string): Promise<EffectRow[]> {
  return db
    .selectFrom('effects')
    .selectAll()
    .where('rotation', '=', rotation)
    .where('state', '=', 'pending')
    .orderBy('created_at')
    .execute();
}

export async function settleEffect(
  db: Transaction<Schema>,
  id: string,
  change: Pick<EffectRow, 'state' | 'attempts' | 'next_at' | 'problem' | 'done_at'>,
): Promise<void> {
  await db.updateTable('effects').set(change).where('id', '=', id).execute();
}
