import { type CreateTableBuilder, type Kysely, sql } from 'kysely';

import { columnTypes } from './column-types.js';

type Columns = Readonly<Record<string, 'integer' | 'text' | 'integer?' | 'text?' | 'binary?'>>;

const tables: readonly (readonly [name: string, columns: Columns, key: readonly string[]])[] = [
  [
    'rotations',
    {
      ...{ id: 'text', ring: 'text', kind: 'text', state: 'text', version: 'integer', epoch: 'integer' },
      ...{ paused: 'integer', back: 'integer', policy: 'text', cross_signed: 'integer', old_key: 'text?' },
      ...{ new_key: 'text?', advanced: 'text?', disagreement: 'text?', marks: 'text', options: 'text' },
      ...{ started_by: 'text', reason: 'text', started_at: 'integer', state_since: 'integer' },
      ...{ finished_at: 'integer?' },
    },
    ['id'],
  ],
  [
    'rotation_events',
    {
      ...{ rotation: 'text', sequence: 'integer', at: 'integer', kind: 'text', actor: 'text' },
      ...{ from_state: 'text', to_state: 'text', detail: 'text' },
    },
    ['rotation', 'sequence'],
  ],
  [
    'effects',
    {
      ...{ id: 'text', rotation: 'text', ring: 'text', kind: 'text', payload: 'text', state: 'text' },
      ...{ attempts: 'integer', next_at: 'integer', problem: 'text?', created_at: 'integer', done_at: 'integer?' },
    },
    ['id'],
  ],
  [
    'consumers',
    {
      ...{ name: 'text', class: 'text', node: 'text?', source: 'text', state: 'text', process: 'text?' },
      ...{ process_started_at: 'integer?', last_seen_at: 'integer?', lease_ms: 'integer?', expires_at: 'integer?' },
      ...{ software: 'text', endpoints: 'text', algorithms: 'text', clock_skew_ms: 'integer?' },
      ...{ quarantined_at: 'integer?', quarantined_by: 'text?', quarantine_reason: 'text?' },
      ...{ created_at: 'integer', created_by: 'text', revision: 'integer' },
    },
    ['name'],
  ],
  [
    'consumer_rings',
    {
      ...{ ring: 'text', consumer: 'text', verifies: 'integer', presents: 'integer', joiner: 'integer' },
      ...{ delivered: 'integer', delivered_at: 'integer?', loaded: 'integer', evidence: 'text?', clean: 'integer' },
      ...{ process: 'text?', acknowledged_at: 'integer?', streams_since: 'integer?', detail: 'text' },
    },
    ['ring', 'consumer'],
  ],
  [
    'attestations',
    {
      ...{ id: 'text', ring: 'text', class: 'text?', consumer: 'text?', statement: 'text', generation: 'integer?' },
      ...{ by: 'text', reason: 'text', created_at: 'integer', expires_at: 'integer', revoked_at: 'integer?' },
    },
    ['id'],
  ],
  [
    'probes',
    {
      ...{ ring: 'text', consumer: 'text', endpoint: 'text', kind: 'text', key: 'text', outcome: 'text' },
      ...{ at: 'integer', process: 'text?', detail: 'text' },
    },
    ['ring', 'consumer', 'endpoint', 'kind', 'key'],
  ],
  [
    'key_sets',
    { ring: 'text', generation: 'integer', epoch: 'integer', active_key: 'text', created_at: 'integer' },
    ['ring'],
  ],
  [
    'signing_keys',
    {
      ...{ kid: 'text', ring: 'text', algorithm: 'text', jwk: 'text', state: 'text', tainted: 'integer' },
      ...{ created_at: 'integer', activated_at: 'integer?', deactivated_at: 'integer?' },
    },
    ['kid'],
  ],
  ['renewal_buckets', { start: 'integer', planned: 'integer' }, ['start']],
  [
    'renewal_rules',
    {
      ...{ id: 'text', ring: 'text', authority: 'text?', profile: 'text?', not_before: 'integer', width: 'integer' },
      ...{ reason: 'text', created_at: 'integer' },
    },
    ['id'],
  ],
];

const indexes: readonly (readonly [table: string, name: string, columns: readonly string[], where?: string])[] = [
  ['effects', 'due', ['next_at'], "state = 'pending'"],
  ['consumers', 'node', ['node'], 'node is not null'],
  ['consumer_rings', 'consumer', ['consumer']],
  ['certificates', 'successor', ['superseded_by'], 'superseded_by is not null'],
  // What keeps an authority in use: read at every look at a rotation, so it holds nothing else.
  ['certificates', 'authority', ['ski', 'not_after', 'serial'], 'superseded_at is null and revoked_at is null'],
];

/** CA rotation: rings that can be frozen and have a join floor, signed bundles, who trusts what, and how far each rotation is. */
export async function up(db: Kysely<unknown>): Promise<void> {
  const types = columnTypes(db);
  for (const [name, columns, key] of tables) {
    let builder: CreateTableBuilder<string, string> = db.schema.createTable(name);
    for (const [column, type] of Object.entries(columns)) {
      const base = type.replace('?', '') as 'integer' | 'text' | 'binary';
      const of = base === 'text' ? 'text' : types[base];
      builder = builder.addColumn(column, of, (c) => (type.endsWith('?') ? c : c.notNull()));
    }
    await builder.addPrimaryKeyConstraint(`${name}_key`, [...key]).execute();
  }
  const { integer } = types;
  for (const [table, column, type, standard] of added(integer)) {
    await db.schema
      .alterTable(table)
      .addColumn(column, type, (c) => (standard === undefined ? c : c.notNull().defaultTo(standard)))
      .execute();
  }
  for (const [table, name, columns, where] of indexes) {
    const index = db.schema
      .createIndex(`${table}_by_${name}`)
      .on(table)
      .columns([...columns]);
    await (where === undefined ? index : index.where(sql.raw<boolean>(where))).execute();
  }
  // One rotation of a ring at a time, whoever starts it.
  await sql`create unique index rotations_running on rotations (ring) where finished_at is null`.execute(db);
}

type Added = readonly (readonly [
  table: string,
  column: string,
  type: 'bigint' | 'integer' | 'text',
  standard?: number,
])[];

function added(integer: 'bigint' | 'integer'): Added {
  return [
    ['rings', 'frozen', integer, 0],
    ['rings', 'join_floor', integer, 0],
    ['rings', 'joins_held', integer, 0],
    ['rings', 'cross_certificate', 'text'],
    ['authorities', 'sealed', integer, 0],
    ['bundles', 'manifest', 'text'],
    ['bundles', 'signature', 'text'],
    ['bundles', 'signed_by', 'text'],
    ['certificates', 'superseded_at', integer],
    ['certificates', 'superseded_by', 'text'],
    ['certificates', 'renew_from', integer],
    ['certificates', 'renew_until', integer],
  ];
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop index rotations_running`.execute(db);
  for (const [table, name] of [...indexes].reverse()) await db.schema.dropIndex(`${table}_by_${name}`).execute();
  for (const [table, column] of [...added('integer')].reverse())
    await db.schema.alterTable(table).dropColumn(column).execute();
  for (const [name] of [...tables].reverse()) await db.schema.dropTable(name).execute();
}
