import { findAttestation, listAttestations } from '../../store/queries/attestations.js';
import { type ConsumerRingRow, listConsumerRings } from '../../store/queries/consumer-rings.js';
import { endConsumer, findConsumer, listConsumers } from '../../store/queries/consumers.js';
import { listEndedReplicas } from '../../store/queries/replicas.js';
import { attest, attestationOf, noSuchAttestation, revoke } from './attesting.js';
import { syncConfigured } from './configured.js';
import { readHolders, registerEnrolled } from './enrolled.js';
import { readVerifiers } from './facts.js';
import { acknowledge, heartbeat, prove } from './heartbeats.js';
import { registerIssued, registerJoiner } from './joining.js';
import { createMemory } from './memory.js';
import { decodeCursor, encodeCursor } from './pages.js';
import { blastRadius, checkIsLeavable, checkReason, quarantine, unquarantine } from './quarantine.js';
import { consumerOfRow } from './records.js';
import { readDraft } from './drafts.js';
import { register, removeConsumer, unregister } from './registering.js';
import { type ConsumersOptions, type ConsumersRoom, mustFind, nowOf, viewingOf, viewOf } from './room.js';
import type { Consumers } from './types.js';

/**
 * Who presents and verifies certificates of which ring, and what each is known to have loaded. Every change is one
 * transaction with its audit event.
 */
export async function createConsumers(options: ConsumersOptions): Promise<Consumers> {
  const { store, minimums = {} } = options;
  const room: ConsumersRoom = { ...options, minimums, memory: await createMemory(store) };
  return { ...declared(room), ...reported(room), ...attested(room), ...joined(room) };
}

function declared(
  room: ConsumersRoom,
): Pick<
  Consumers,
  'register' | 'list' | 'get' | 'delete' | 'quarantine' | 'unquarantine' | 'isQuarantined' | 'syncConfigured'
> {
  const { store, memory } = room;
  return {
    register: async (draft, actor) => {
      const registration = readDraft(draft);
      const by = { actor: actor.username, source: 'api' } as const;
      const created = await store.write((tx) => register(room, tx, registration, by));
      return { consumer: await viewOf(room, store.db, registration.name), created };
    },
    list: ({ continue: cursor, limit, ...filter }) =>
      listPage(room, { ...filter, limit, ...(cursor !== undefined && { after: decodeCursor(cursor) }) }),
    get: (name) => viewOf(room, store.db, name),
    delete: (name, actor) => store.write((tx) => unregister(room, tx, name, actor)),
    quarantine: async (name, { reason, dryRun, actor }) => {
      if (!dryRun) return store.write((tx) => quarantine(room, tx, { name, reason, actor }));
      checkReason(reason, name);
      const found = await mustFind(store.db, name);
      checkIsLeavable(found);
      return blastRadius(room, store.db, found);
    },
    unquarantine: (name, actor) => store.write((tx) => unquarantine(room, tx, name, actor)),
    isQuarantined: (name) => memory.isQuarantined(name),
    syncConfigured: (configured) => store.write((tx) => syncConfigured(room, tx, configured)),
  };
}

async function listPage(
  room: ConsumersRoom,
  page: Omit<Parameters<typeof listConsumers>[1], 'now'>,
): ReturnType<Consumers['list']> {
  const { db } = room.store;
  const rows = await listConsumers(db, { ...page, limit: page.limit + 1, now: nowOf(room) });
  const shown = rows.slice(0, page.limit);
  const last = shown.at(-1);
  const names = shown.map(({ name }) => name);
  const byName = new Map<string, ConsumerRingRow[]>(names.map((name) => [name, []]));
  for (const ring of await listConsumerRings(db, names)) byName.get(ring.consumer)?.push(ring);
  const viewing = await viewingOf(room, db);
  return {
    items: shown.map((row) => consumerOfRow(row, byName.get(row.name) ?? [], viewing)),
    continue: rows.length > shown.length && last !== undefined ? encodeCursor(last.name) : undefined,
  };
}

function reported(room: ConsumersRoom): Pick<Consumers, 'heartbeat' | 'acknowledge' | 'prove' | 'verifiers'> {
  const { store, topology, minimums: minimumByClass } = room;
  return {
    heartbeat: (name, report, actor) => store.write((tx) => heartbeat(room, tx, { name, report, actor })),
    acknowledge: (said, actor) => store.write((tx) => acknowledge(room, tx, said, actor)),
    prove: (tx, proof) => (tx === undefined ? store.write((own) => prove(room, own, proof)) : prove(room, tx, proof)),
    verifiers: (ring) => readVerifiers(store.db, { ring, topology, now: nowOf(room), minimumByClass }),
  };
}

function attested(
  room: ConsumersRoom,
): Pick<Consumers, 'attest' | 'attestations' | 'attestation' | 'revokeAttestation'> {
  const { store } = room;
  return {
    attest: (draft, actor) => store.write((tx) => attest(room, tx, draft, actor)),
    attestations: async ({ ring } = {}) => {
      const now = nowOf(room);
      return (await listAttestations(store.db, ring)).map((row) => attestationOf(row, now));
    },
    attestation: async (id) => {
      const row = await findAttestation(store.db, id);
      if (row === undefined) throw noSuchAttestation(id);
      return attestationOf(row, nowOf(room));
    },
    revokeAttestation: (id, actor) => store.write((tx) => revoke(room, tx, id, actor)),
  };
}

function joined(
  room: ConsumersRoom,
): Pick<
  Consumers,
  'registerIssued' | 'registerJoiner' | 'leave' | 'holders' | 'registerEnrolled' | 'forget' | 'pruneReplicas'
> {
  return {
    registerIssued: (tx, order, facts) => registerIssued(room, tx, order, facts),
    registerJoiner: (tx, draft) => registerJoiner(room, tx, draft),
    leave: async (tx, name, at) => {
      await endConsumer(tx.db, name, at);
      tx.onCommit(() => {
        room.memory.forget(name);
      });
    },
    holders: () => readHolders(room),
    registerEnrolled: (tx, holders) => registerEnrolled(room, tx, holders),
    forget: async (tx, holder, actor) => {
      const name = 'node' in holder ? `kubelet/${holder.node}` : `etcd-member/${holder.cluster}/${holder.member}`;
      const row = await findConsumer(tx.db, name);
      if (row !== undefined) await removeConsumer(room, tx, row, actor.username);
    },
    pruneReplicas: async (tx, ended) => {
      const rows = await listEndedReplicas(tx.db, ended);
      for (const row of rows) await removeConsumer(room, tx, row, 'system:rotunda');
      return rows.length;
    },
  };
}
