import type { Insertable, Kysely, Selectable } from 'kysely';

import { prepared } from '../precompiled.js';
import type { Schema } from '../schema.js';
import type { ChangeType, WriteTx } from '../types.js';

export type ConfigMapRow = Selectable<Schema['config_maps']>;

type Key = Pick<ConfigMapRow, 'namespace' | 'name' | 'origin'>;

const byKey = prepared<Key, ConfigMapRow>((db, key) =>
  db
    .selectFrom('config_maps')
    .selectAll()
    .where('namespace', '=', key.namespace)
    .where('name', '=', key.name)
    .where('origin', '=', key.origin),
);

export function findConfigMap(db: Kysely<Schema>, key: Key): Promise<ConfigMapRow | undefined> {
  return byKey.first(db, key);
}

/** Those that administrators put there; they are few. */
export function listImportedConfigMaps(db: Kysely<Schema>): Promise<ConfigMapRow[]> {
  return db.selectFrom('config_maps').selectAll().where('origin', '=', 'imported').execute();
}

/** Change.resource of ConfigMaps. */
export const configMapChanges = 'configmaps';

export async function insertConfigMap(
  tx: WriteTx,
  row: Omit<Insertable<Schema['config_maps']>, 'revision'>,
): Promise<ConfigMapRow> {
  const added = { ...row, revision: tx.nextRevision() };
  await tx.db.insertInto('config_maps').values(added).execute();
  await publish(tx, 'ADDED', added);
  return added;
}

export async function updateConfigMap(tx: WriteTx, row: ConfigMapRow, content: string): Promise<ConfigMapRow> {
  const changed = { ...row, content, revision: tx.nextRevision() };
  await tx.db
    .updateTable('config_maps')
    .set({ content, revision: changed.revision })
    .where('namespace', '=', row.namespace)
    .where('name', '=', row.name)
    .where('origin', '=', row.origin)
    .execute();
  await publish(tx, 'MODIFIED', changed, row);
  return changed;
}

export async function deleteConfigMap(tx: WriteTx, row: ConfigMapRow): Promise<ConfigMapRow> {
  const last = { ...row, revision: tx.nextRevision() };
  await tx.db
    .deleteFrom('config_maps')
    .where('namespace', '=', row.namespace)
    .where('name', '=', row.name)
    .where('origin', '=', row.origin)
    .execute();
  await publish(tx, 'DELETED', last);
  return last;
}

async function publish(tx: WriteTx, type: ChangeType, row: ConfigMapRow, before?: ConfigMapRow): Promise<void> {
  await tx.publish({
    revision: row.revision,
    resource: configMapChanges,
    name: `${row.namespace}/${row.name}`,
    type,
    object: JSON.stringify(row),
    previous: before === undefined ? undefined : JSON.stringify(before),
  });
}
