import { createHash } from 'node:crypto';

import { createAudit } from '../../../src/audit/audit.js';
import type { Topology } from '../../../src/config/types.js';
import { createConsumers } from '../../../src/fleet/consumers/consumers.js';
import type { Acknowledgement, Heartbeat, RingReport } from '../../../src/fleet/consumers/report-types.js';
import type { Consumers } from '../../../src/fleet/consumers/types.js';
import type { Identity } from '../../../src/identity/types.js';
import type { Store } from '../../../src/store/types.js';
import { logger, random } from '../../ca/support.js';
import { type Rooms, startRooms, topology } from '../../identity/rooms.js';

export type ConsumerRooms = Rooms & {
  readonly consumers: Consumers;
  /** Another replica's view of the same database. */
  readonly replica: () => Promise<Consumers>;
  /** Publishes another generation of a ring's bundle; its number. */
  readonly publish: (ring: string) => Promise<number>;
  /** What is to be claimed of a generation. */
  readonly claim: (ring: string, generation: number) => Promise<{ generation: number; digest: string }>;
};

export async function startConsumers(
  store: Store,
  options: { readonly topology?: Topology; readonly minimums?: Readonly<Record<string, 'self-report'>> } = {},
): Promise<ConsumerRooms> {
  const rooms = await startRooms(store, options);
  const make = (): Promise<Consumers> =>
    createConsumers({
      ...{ store, clock: rooms.clock, random, audit: createAudit({ logger }) },
      topology: options.topology ?? topology,
      ...(options.minimums !== undefined && { minimums: options.minimums }),
    });
  return {
    ...rooms,
    consumers: await make(),
    replica: make,
    publish: (ring) => publish(store, ring),
    claim: async (ring, generation) => {
      const row = await store.db
        .selectFrom('bundles')
        .select('digest')
        .where('ring', '=', ring)
        .where('generation', '=', generation)
        .executeTakeFirstOrThrow();
      return { generation, digest: row.digest };
    },
  };
}

/** Only generations and digests matter here, so the anchors stay. */
function publish(store: Store, ring: string): Promise<number> {
  return store.write(async ({ db }) => {
    const before = await db.selectFrom('rings').selectAll().where('name', '=', ring).executeTakeFirstOrThrow();
    const bundle = await db
      .selectFrom('bundles')
      .selectAll()
      .where('ring', '=', ring)
      .where('generation', '=', before.generation)
      .executeTakeFirstOrThrow();
    const generation = before.generation + 1;
    const digest = `sha256:${createHash('sha256')
      .update(`${ring}/${String(generation)}`)
      .digest('hex')}`;
    await db
      .insertInto('bundles')
      .values({ ...bundle, generation, digest })
      .execute();
    await db.updateTable('rings').set({ generation }).where('name', '=', ring).execute();
    return generation;
  });
}

/** A kubelet's or its agent's certificate. */
export function nodeIdentity(node: string): Identity {
  return {
    kind: 'certificate',
    username: `system:node:${node}`,
    uid: '',
    groups: ['system:nodes', 'system:authenticated'],
    extra: {},
    ring: 'kubernetes',
    node,
    roles: ['node', 'authenticated'],
  };
}

export function memberIdentity(cluster: string, name: string): Identity {
  return {
    kind: 'certificate',
    username: `rotunda:etcd-member:${cluster}:${name}`,
    uid: '',
    groups: ['system:authenticated'],
    extra: {},
    ring: 'etcd',
    member: { cluster, name },
    roles: ['member', 'authenticated'],
  };
}

/** A report of a process that began an hour before `at`, at `at`. */
export function report(at: number, rings: readonly RingReport[], change: Partial<Heartbeat> = {}): Heartbeat {
  return { process: { id: 'p1', startedAt: at - 3_600_000 }, reportedAt: at, rings, ...change };
}

export function acknowledgement(
  consumer: string,
  ring: string,
  claim: { generation: number; digest: string },
  change: Partial<Acknowledgement> = {},
): Acknowledgement {
  return { consumer, ring, ...claim, evidence: 'self-report', ...change };
}

export const code = (value: string, ...more: readonly string[]): unknown => ({
  asymmetricMatch: (error: unknown) => {
    const { code: found, message } = error as { code?: string; message?: string };
    return found === value && more.every((part) => message?.includes(part) === true);
  },
});
