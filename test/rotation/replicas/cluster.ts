import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import pg from 'pg';
import { Agent, request } from 'undici';

import { createDatabase, postgresVariable } from '../../support/postgres.js';
import { type ServiceProcess, startServiceProcess } from '../../support/service-process.js';

export type Answer = { readonly status: number; readonly body: Record<string, unknown>; readonly text: string };
export type Replica = {
  readonly name: string;
  readonly process: ServiceProcess;
  /** With the administrator's certificate. */
  readonly agent: Agent;
  /** As the administrator, or with a token instead. */
  ask(method: 'GET' | 'POST' | 'DELETE', where: string, body?: unknown, token?: string): Promise<Answer>;
};

/** Service processes on one database, each of which can be killed, and what that database has seen. */
export type Cluster = {
  start(): Promise<Replica>;
  rows<T extends pg.QueryResultRow>(sql: string, values?: readonly unknown[]): Promise<T[]>;
  /** Of these, the one that took the lease of the rotations last; waits until it is one of them. */
  leader(live: readonly Replica[]): Promise<Replica>;
  /** The end of what the replicas have logged, for a test that failed. */
  logs(): string;
  stop(): Promise<void>;
};

/**
 * Who takes the lease is known by the name of its connections. A certificate's intent is compared with its ring once more
 * as its transaction commits, with what the others have committed by then. One transaction holds many writes of a
 * replica: an intent may be followed there by the ring's change, and is none the worse for it.
 */
const witnesses = `
  create table test_leaders (turn bigserial, replica text, epoch bigint);
  create function test_lead() returns trigger language plpgsql as $$ begin
    if new.name = 'rotation' and new.expires_at > 0 then
      insert into test_leaders (replica, epoch) values (current_setting('application_name'), new.epoch);
    end if;
    return null;
  end $$;
  create trigger test_lead after insert or update on leases for each row execute function test_lead();
  create sequence test_turns;
  create table test_changes (turn bigint, ring text, epoch bigint, ski text, frozen bigint, xid bigint);
  create table test_intents (turn bigint, serial text, ring text, ski text, epoch bigint, replica text, xid bigint, fits boolean);
  create function test_change() returns trigger language plpgsql as $$ begin
    insert into test_changes
      values (nextval('test_turns'), new.name, new.epoch, new.active_ski, new.frozen, txid_current());
    return null;
  end $$;
  create trigger test_change after update on rings for each row execute function test_change();
  create function test_intend() returns trigger language plpgsql as $$ begin
    if new.profile <> 'rotunda.dev/canary' then
      insert into test_intents values (nextval('test_turns'), new.serial, new.ring, new.ski, new.epoch,
        current_setting('application_name'), txid_current());
    end if;
    return null;
  end $$;
  create trigger test_intend after insert on ledger for each row execute function test_intend();
  create function test_commit() returns trigger language plpgsql as $$ begin
    update test_intents i set fits = exists (
        select 1 from rings r where r.name = i.ring and r.epoch = i.epoch and r.active_ski = i.ski and r.frozen = 0)
      or exists (select 1 from test_changes c
        where c.xid = i.xid and c.ring = i.ring and c.turn > i.turn and c.epoch = i.epoch + 1)
      where i.serial = new.serial;
    return null;
  end $$;
  create constraint trigger test_commit after insert on ledger deferrable initially deferred
    for each row execute function test_commit();`;

// All have one clock: who was killed is waited for no longer than that.
const rotation =
  '{ automatic: false, trustSoak: 1s, canarySoak: 1s, drainSoak: 1s, cooling: 1s, longestSkew: 1s, destroyKeys: automatic }';

export async function startCluster(): Promise<Cluster> {
  const home = mkdtempSync(path.join(tmpdir(), 'rotunda-cluster-'));
  const key = path.join(home, 'shared.key');
  writeFileSync(key, Buffer.alloc(32, 5).toString('base64'), { mode: 0o600 });
  const database = await createDatabase(process.env[postgresVariable] ?? '');
  const db = new pg.Client({ connectionString: database.url });
  await db.connect();
  const started: Replica[] = [];
  let logged = '';
  const rows: Cluster['rows'] = async <T extends pg.QueryResultRow>(sql: string, values: readonly unknown[] = []) =>
    (await db.query<T>(sql, [...values])).rows;
  return {
    rows,
    start: async () => {
      const name = `replica-${String(started.length)}`;
      const dataDir = path.join(home, name);
      const file = path.join(home, `${name}.yaml`);
      const store = JSON.stringify(`${database.url}?application_name=${name}`);
      writeFileSync(
        file,
        `apiVersion: rotunda.dev/v1alpha1\nstore: { url: ${store} }\nkeyEncryptionKey: { file: ${key} }\nrotation: ${rotation}\nlog: { level: warn }\n`,
      );
      const args = ['--config', file, '--listen', '127.0.0.1:0'];
      const child = await startServiceProcess({ dataDir, args, startTimeoutMs: 90_000 });
      child.child.stderr?.on('data', (chunk: Buffer) => (logged += `${name}: ${chunk.toString()}`));
      const replica = replicaOf(name, child);
      if (started.length === 0) await db.query(witnesses);
      started.push(replica);
      return replica;
    },
    leader: async (live) => {
      for (const deadline = Date.now() + 60_000; Date.now() < deadline;) {
        const [last] = await rows<{ replica: string }>('select replica from test_leaders order by turn desc limit 1');
        const found = live.find(({ name }) => name === last?.replica);
        if (found !== undefined) return found;
        await sleep(20);
      }
      throw new Error('nobody leads');
    },
    logs: () => logged.slice(-4000),
    stop: async () => {
      await Promise.all(
        started.map(async ({ process: child, agent }) => {
          child.child.kill('SIGCONT');
          await child.stop('SIGKILL');
          await agent.destroy();
        }),
      );
      await db.end();
      await database.drop();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

function replicaOf(name: string, child: ServiceProcess): Replica {
  const agent = new Agent({ connect: { ca: child.ca, ...child.admin }, bodyTimeout: 0 });
  const anonymous = new Agent({ connect: { ca: child.ca } });
  return {
    ...{ name, process: child, agent },
    ask: async (method, where, body, token) => {
      const answer = await request(child.url + where, {
        method,
        dispatcher: token === undefined ? agent : anonymous,
        headers: {
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await answer.body.text();
      return { status: answer.statusCode, text, body: text === '' ? {} : (JSON.parse(text) as Answer['body']) };
    },
  };
}
