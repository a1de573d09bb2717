import { type CreateTableBuilder, type Kysely, sql } from 'kysely';

import { columnTypes, type ColumnTypes } from './column-types.js';

type Columns = Readonly<Record<string, 'integer' | 'text' | 'binary'>>;
type Keys = { readonly primary: readonly string[]; readonly nullable?: readonly string[] };

/**
 * Table, name of the index behind the table's, columns. Each serves a search or a clean-up that there is: an index over
 * values in random order costs a page per row and commit, which is more than the row itself.
 */
const indexes: readonly (readonly [table: string, name: string, columns: readonly string[], where?: string])[] = [
  ['authorities', 'ring', ['ring', 'state']],
  ['authority_certificates', 'ski', ['ski']],
  // The rows that recovery looks for are few; a whole index over state would be written twice per certificate.
  ['ledger', 'intended', ['created_at'], "state = 'intended'"],
  ['certificates', 'common_name', ['common_name']],
  ['certificates', 'node', ['node', 'not_after', 'serial'], 'node is not null'],
  ['certificates', 'member', ['cluster', 'member', 'not_after', 'serial'], 'cluster is not null'],
  // Wider than the search needs, so that counting what expires reads the index alone.
  ['certificates', 'ring_expiry', ['ring', 'not_after', 'serial', 'revoked_at']],
  ['certificates', 'expiry', ['not_after', 'serial']],
  ['certificate_names', 'serial', ['serial']],
  ['requests', 'state', ['state', 'held', 'retry_at']],
  ['requests', 'signer_name', ['signer_name']],
  ['requests', 'node', ['node'], 'node is not null'],
  ['tokens', 'state', ['state', 'expires_at']],
  ['tokens', 'node', ['node'], 'node is not null'],
  ['tokens', 'member', ['cluster', 'member'], 'cluster is not null'],
  ['nodes', 'state', ['state', 'name']],
  ['idempotency_keys', 'created_at', ['created_at']],
];

export async function up(db: Kysely<unknown>): Promise<void> {
  const types = columnTypes(db);
  await createService(db, types);
  await createAuthorities(db, types);
  await createInventory(db, types);
  await createRequests(db, types);
  await createIdentity(db, types);
  await createFleet(db, types);
  await createLogs(db, types);
  for (const [table, name, columns, where] of indexes) {
    const index = db.schema
      .createIndex(`${table}_by_${name}`)
      .on(table)
      .columns([...columns]);
    await (where === undefined ? index : index.where(sql.raw<boolean>(where))).execute();
  }
}

export async function down(db: Kysely<unknown>): Promise<void> {
  const tables = [
    ...['idempotency_keys', 'audit_events', 'changes', 'etcd_members', 'etcd_clusters', 'nodes', 'bans', 'tokens'],
    ...['requests', 'certificate_names', 'certificates', 'ledger', 'bundles', 'authority_certificates', 'authorities'],
    ...['rings', 'settings', 'revisions'],
  ];
  for (const table of tables) await db.schema.dropTable(table).execute();
}

/** A table of plain columns, all `not null` but those listed as nullable. */
function table(
  db: Kysely<unknown>,
  types: ColumnTypes,
  name: string,
  columns: Columns,
  keys: Keys,
): CreateTableBuilder<string, string> {
  const names = { integer: types.integer, text: 'text', binary: types.binary } as const;
  let builder: CreateTableBuilder<string, string> = db.schema.createTable(name);
  for (const [column, type] of Object.entries(columns)) {
    builder = builder.addColumn(column, names[type], (c) =>
      keys.nullable?.includes(column) === true ? c : c.notNull(),
    );
  }
  return builder.addPrimaryKeyConstraint(`${name}_key`, [...keys.primary]);
}

async function createService(db: Kysely<unknown>, types: ColumnTypes): Promise<void> {
  await table(db, types, 'revisions', { id: 'integer', value: 'integer' }, { primary: ['id'] }).execute();
  await sql`insert into revisions (id, value) values (1, 0)`.execute(db);
  await table(db, types, 'settings', { key: 'text', value: 'text' }, { primary: ['key'] }).execute();
}

async function createAuthorities(db: Kysely<unknown>, types: ColumnTypes): Promise<void> {
  const ring: Columns = {
    ...{ name: 'text', epoch: 'integer', generation: 'integer', active_ski: 'text', created_at: 'integer' },
  };
  await table(db, types, 'rings', ring, { primary: ['name'] }).execute();
  const authority: Columns = {
    ...{ ski: 'text', ring: 'text', subject: 'text', state: 'text', tainted: 'integer', key_type: 'text' },
    ...{ wrapped_key: 'binary', created_at: 'integer' },
  };
  await table(db, types, 'authorities', authority, { primary: ['ski'], nullable: ['wrapped_key'] })
    // One key, one Subject: two authorities of the same Subject would make chains ambiguous.
    .addUniqueConstraint('authorities_subject', ['subject'])
    .execute();
  const certificate: Columns = {
    ...{ fingerprint: 'text', ski: 'text', kind: 'text', der: 'binary' },
    ...{ not_before: 'integer', not_after: 'integer', created_at: 'integer' },
  };
  await table(db, types, 'authority_certificates', certificate, { primary: ['fingerprint'] })
    .addForeignKeyConstraint('authority_certificates_ski', ['ski'], 'authorities', ['ski'])
    .execute();
  const bundle: Columns = {
    ...{ ring: 'text', generation: 'integer', digest: 'text', anchors: 'text', created_at: 'integer' },
  };
  await table(db, types, 'bundles', bundle, { primary: ['ring', 'generation'] }).execute();
}

async function createInventory(db: Kysely<unknown>, types: ColumnTypes): Promise<void> {
  const ledger: Columns = {
    ...{ serial: 'text', ring: 'text', ski: 'text', epoch: 'integer', profile: 'text', subject: 'text', names: 'text' },
    ...{ key_id: 'text', not_before: 'integer', not_after: 'integer', requester: 'text', request_name: 'text' },
    ...{ request_uid: 'text', state: 'text', created_at: 'integer' },
  };
  await table(db, types, 'ledger', ledger, {
    primary: ['serial'],
    nullable: ['request_name', 'request_uid'],
  }).execute();
  const certificate: Columns = {
    ...{ serial: 'text', ring: 'text', ski: 'text', profile: 'text', subject: 'text', common_name: 'text' },
    ...{ node: 'text', cluster: 'text', member: 'text', key_id: 'text', fingerprint: 'text' },
    ...{ not_before: 'integer', not_after: 'integer', der: 'binary', requester: 'text', request_name: 'text' },
    ...{ token_id: 'text', issued_at: 'integer', first_used_at: 'integer', revoked_at: 'integer' },
    ...{ revocation_reason: 'text' },
  };
  const nullable = [
    ...['node', 'cluster', 'member', 'request_name', 'token_id'],
    ...['first_used_at', 'revoked_at', 'revocation_reason'],
  ];
  await table(db, types, 'certificates', certificate, { primary: ['serial'], nullable }).execute();
  const name = table(
    db,
    types,
    'certificate_names',
    { serial: 'text', kind: 'text', value: 'text' },
    { primary: ['kind', 'value', 'serial'] },
  );
  await (types.clustered === undefined ? name : name.modifyEnd(types.clustered)).execute();
}

async function createRequests(db: Kysely<unknown>, types: ColumnTypes): Promise<void> {
  const request: Columns = {
    ...{ name: 'text', uid: 'text', revision: 'integer', signer_name: 'text', username: 'text', state: 'text' },
    ...{ held: 'integer', retry_at: 'integer', node: 'text', key_id: 'text', serial: 'text', token_id: 'text' },
    ...{ requester: 'text', created_at: 'integer', updated_at: 'integer', object: 'text' },
  };
  const nullable = ['retry_at', 'node', 'key_id', 'serial', 'token_id'];
  await table(db, types, 'requests', request, { primary: ['name'], nullable }).execute();
}

async function createIdentity(db: Kysely<unknown>, types: ColumnTypes): Promise<void> {
  const token: Columns = {
    ...{ id: 'text', kind: 'text', node: 'text', cluster: 'text', member: 'text', secret_hash: 'text' },
    ...{ wrapped_secret: 'binary', groups: 'text', description: 'text', usages: 'text', reusable: 'integer' },
    ...{ state: 'text', expires_at: 'integer', created_at: 'integer', created_by: 'text', used_at: 'integer' },
    claims: 'text',
  };
  const nullable = ['node', 'cluster', 'member', 'wrapped_secret', 'expires_at', 'used_at'];
  await table(db, types, 'tokens', token, { primary: ['id'], nullable }).execute();
  const ban: Columns = {
    ...{ kind: 'text', ring: 'text', value: 'text', reason: 'text', created_at: 'integer', created_by: 'text' },
  };
  await table(db, types, 'bans', ban, { primary: ['kind', 'ring', 'value'] }).execute();
}

async function createFleet(db: Kysely<unknown>, types: ColumnTypes): Promise<void> {
  const node: Columns = {
    ...{ name: 'text', uid: 'text', state: 'text', addresses: 'text', dns_names: 'text', labels: 'text' },
    ...{ created_at: 'integer', created_by: 'text', joined_at: 'integer', disabled_at: 'integer' },
    ...{ claims: 'text', revision: 'integer' },
  };
  await table(db, types, 'nodes', node, { primary: ['name'], nullable: ['joined_at', 'disabled_at'] }).execute();
  const cluster: Columns = {
    ...{ name: 'text', client_names: 'text', created_at: 'integer', created_by: 'text', revision: 'integer' },
  };
  await table(db, types, 'etcd_clusters', cluster, { primary: ['name'] }).execute();
  const member: Columns = {
    ...{ cluster: 'text', name: 'text', uid: 'text', peer_urls: 'text', client_urls: 'text', addresses: 'text' },
    ...{ dns_names: 'text', state: 'text', created_at: 'integer', created_by: 'text', revision: 'integer' },
  };
  await table(db, types, 'etcd_members', member, { primary: ['cluster', 'name'] })
    .addForeignKeyConstraint('etcd_members_cluster', ['cluster'], 'etcd_clusters', ['name'])
    .execute();
}

async function createLogs(db: Kysely<unknown>, types: ColumnTypes): Promise<void> {
  const change: Columns = {
    ...{ revision: 'integer', resource: 'text', name: 'text', type: 'text', object: 'text', previous: 'text' },
    created_at: 'integer',
  };
  await table(db, types, 'changes', change, { primary: ['revision'], nullable: ['previous'] }).execute();
  await sql`create table audit_events (
    sequence ${types.sequence},
    at ${sql.raw(types.integer)} not null,
    action text not null,
    actor text not null,
    resource text not null,
    name text not null,
    outcome text not null,
    detail text not null
  )`.execute(db);
  const key: Columns = {
    ...{ key: 'text', identity: 'text', digest: 'text', status: 'integer', body: 'text', created_at: 'integer' },
  };
  await table(db, types, 'idempotency_keys', key, { primary: ['identity', 'key'] }).execute();
}
