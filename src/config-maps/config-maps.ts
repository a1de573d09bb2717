import type { Kysely } from 'kysely';

import type { Clock, Random } from '../clock.js';
import type { Audit } from '../audit/types.js';
import { newUid } from '../csr/names.js';
import { invalid, RotundaError } from '../errors.js';
import type { Identity } from '../identity/types.js';
import {
  type ConfigMapRow,
  deleteConfigMap,
  findConfigMap,
  insertConfigMap,
  listImportedConfigMaps,
  updateConfigMap,
} from '../store/queries/config-maps.js';
import type { Schema } from '../store/schema.js';
import type { WriteTx } from '../store/types.js';
import { isJoinConfig, joinConfigCauses } from './join-config.js';
import { clusterInfoKey, type Published, publishedConfigMaps, type PublishedOptions, rootCaKey } from './published.js';
import { configMapOf, contentText, initialNamespaces } from './records.js';
import type { ConfigMap, ConfigMapContent, ConfigMapDraft, ConfigMapKey, ConfigMaps } from './types.js';

export type ConfigMapsOptions = PublishedOptions & {
  readonly clock: Clock;
  readonly random: Random;
  readonly audit: Audit;
};

type Room = ConfigMapsOptions & {
  readonly published: readonly Published[];
  /** What this process wrote last, and when: replicas that are configured differently must not write in turns. */
  readonly written: Map<Published, { readonly text: string; readonly at: number }>;
  /** What was read since the start. */
  readonly read: Set<Published>;
};

type Reader = { readonly db: Kysely<Schema> };

/** Between two writes of the same text by one process, milliseconds. */
const rewriteMs = 10_000;

export function createConfigMaps(options: ConfigMapsOptions): ConfigMaps {
  const room: Room = { ...options, published: publishedConfigMaps(options), written: new Map(), read: new Set() };
  return {
    get: (key) => get(room, key),
    list: (namespace) => list(room, namespace),
    create: (draft, actor, how) => create(room, draft, actor, how.dryRun),
    change: async (key, decide, actor, { dryRun }) => {
      requireOpen(room, key);
      const work = (tx: Reader): Promise<Edit> => edit(tx, key, decide);
      if (dryRun) return (await work(room.store)).shown;
      return room.store.write(async (tx) => applyEdit(room, tx, await work(tx), actor));
    },
    remove: async (key, check, actor, { dryRun }) => {
      requireOpen(room, key);
      const find = async (tx: Reader): Promise<ConfigMapRow> => {
        const row = mustBe(await findConfigMap(tx.db, { ...key, origin: 'imported' }), key);
        check(configMapOf(row));
        return row;
      };
      if (dryRun) return configMapOf(await find(room.store));
      return room.store.write(async (tx) => {
        const last = await deleteConfigMap(tx, await find(tx));
        await record(room, tx, 'config-map.deleted', key, actor);
        return configMapOf(last);
      });
    },
    refresh: async () => {
      for (const one of room.published) if (await isFollowed(room, one)) await current(room, one);
    },
  };
}

async function get(room: Room, key: ConfigMapKey): Promise<ConfigMap | undefined> {
  const stored = key.name === rootCaKey.name ? rootCaKey : key;
  const published = room.published.find(
    ({ namespace, name }) => namespace === stored.namespace && name === stored.name,
  );
  if (published !== undefined) return inNamespace(await current(room, published), key.namespace);
  const row = await findConfigMap(room.store.db, { ...key, origin: 'imported' });
  return row === undefined ? undefined : configMapOf(row);
}

async function list(room: Room, namespace: string | undefined): ReturnType<ConfigMaps['list']> {
  const { store, published, config } = room;
  // Published first: what that writes must not be newer than the version of the list.
  const items: ConfigMap[] = [];
  for (const one of published) {
    if (isRefused(config, one)) continue;
    const found = await current(room, one);
    const everywhere = one.namespace === rootCaKey.namespace;
    for (const place of everywhere ? initialNamespaces : [one.namespace]) {
      if (namespace === undefined || (namespace === place && !everywhere)) items.push(inNamespace(found, place));
    }
    if (namespace !== undefined && everywhere) items.push(inNamespace(found, namespace));
  }
  const revision = await store.revision();
  for (const row of await listImportedConfigMaps(store.db)) {
    if (!isHidden(room, row) && (namespace === undefined || namespace === row.namespace)) items.push(configMapOf(row));
  }
  return { items: items.sort(byKey), revision };
}

/** cluster-info where one bundle cannot serve both sides. */
function isRefused({ topology }: Room['config'], { name }: ConfigMapKey): boolean {
  return name === clusterInfoKey.name && topology.kubernetesClient !== topology.kubernetesServer;
}

/** Whether somebody may be watching: nobody watches what was never read, here or by way of another replica. */
async function isFollowed({ store, config, read }: Room, published: Published): Promise<boolean> {
  if (isRefused(config, published)) return false;
  const { namespace, name } = published;
  return read.has(published) || (await findConfigMap(store.db, { namespace, name, origin: 'published' })) !== undefined;
}

function byKey(a: ConfigMapKey, b: ConfigMapKey): number {
  const [left, right] = a.namespace === b.namespace ? [a.name, b.name] : [a.namespace, b.namespace];
  return left < right ? -1 : 1;
}

function inNamespace(found: ConfigMap, namespace: string): ConfigMap {
  return { ...found, namespace };
}

function isHidden({ published }: Room, { namespace, name }: ConfigMapKey): boolean {
  return published.some((one) => one.namespace === namespace && one.name === name);
}

/** What is published now. Where that is not what is stored, it is stored first, so that its version stands for it. */
async function current(room: Room, published: Published): Promise<ConfigMap> {
  const { store, clock, written, read } = room;
  const { namespace, name } = published;
  const key = { namespace, name, origin: 'published' } as const;
  const content = await published.compute(store.db);
  read.add(published);
  const text = contentText(content);
  // Before the row is read, which then is as new as this at least.
  const last = written.get(published);
  const row = await findConfigMap(store.db, key);
  const now = clock.now().getTime();
  const fresh = row?.content === text || (last?.text === text && now - last.at < rewriteMs);
  if (row !== undefined && fresh) return { ...configMapOf(row), ...content };
  const stored = await store.write(async (tx) => {
    // Again, where no other writer is under way: what was computed outside may be older than what is stored.
    const newest = contentText(await published.compute(tx.db));
    const before = await findConfigMap(tx.db, key);
    if (before === undefined) return insertConfigMap(tx, newRow(room, key, newest));
    return before.content === newest ? before : updateConfigMap(tx, before, newest);
  });
  // Only now: whoever asks while it is being stored has to wait for its version too.
  written.set(published, { text, at: now });
  return configMapOf(stored);
}

function newRow(
  { clock, random }: Room,
  key: ConfigMapKey & { readonly origin: ConfigMapRow['origin'] },
  content: string,
): Omit<ConfigMapRow, 'revision'> {
  return { ...key, content, uid: newUid(random), created_at: clock.now().getTime() };
}

/** Throws 'forbidden' for a ConfigMap that nobody may write. */
function requireOpen(room: Room, key: ConfigMapKey): void {
  if (!isJoinConfig(key)) {
    const derived = key.name === rootCaKey.name || (key.name === clusterInfoKey.name && isHidden(room, key));
    throw new RotundaError(
      'forbidden',
      derived
        ? 'it follows from the bundle and the tokens and is not written by hand'
        : 'the only ConfigMaps that can be put here are kubeadm-config and kubelet-config in kube-system',
    );
  }
  if (isHidden(room, key))
    throw new RotundaError('forbidden', 'it comes from the files of kubernetes.configMaps in the configuration');
}

async function create(room: Room, draft: ConfigMapDraft, actor: Identity, dryRun: boolean): Promise<ConfigMap> {
  const { namespace, name, ...content } = draft;
  requireOpen(room, draft);
  requireSound(name, content);
  const key = { namespace, name, origin: 'imported' } as const;
  const row = newRow(room, key, contentText(content));
  const requireNew = async ({ db }: Reader): Promise<void> => {
    if ((await findConfigMap(db, key)) !== undefined)
      throw new RotundaError('already-exists', `${name} exists already`);
  };
  if (dryRun) {
    await requireNew(room.store);
    return configMapOf({ ...row, revision: 0 });
  }
  return room.store.write(async (tx) => {
    await requireNew(tx);
    const added = await insertConfigMap(tx, row);
    await record(room, tx, 'config-map.created', draft, actor);
    return configMapOf(added);
  });
}

function requireSound(name: string, { data }: ConfigMapContent): void {
  const causes = joinConfigCauses({ name, data });
  if (causes.length > 0) throw invalid(causes, { resource: 'configmaps', kind: 'ConfigMap', name });
}

type Edit = { readonly row: ConfigMapRow; readonly text: string; readonly shown: ConfigMap };

async function edit(
  { db }: Reader,
  key: ConfigMapKey,
  decide: (current: ConfigMap) => ConfigMapContent,
): Promise<Edit> {
  const row = mustBe(await findConfigMap(db, { ...key, origin: 'imported' }), key);
  const content = decide(configMapOf(row));
  requireSound(key.name, content);
  const text = contentText(content);
  return { row, text, shown: configMapOf({ ...row, content: text }) };
}

async function applyEdit(room: Room, tx: WriteTx, { row, text, shown }: Edit, actor: Identity): Promise<ConfigMap> {
  if (text === row.content) return shown;
  const changed = await updateConfigMap(tx, row, text);
  await record(room, tx, 'config-map.changed', row, actor);
  return configMapOf(changed);
}

function mustBe(row: ConfigMapRow | undefined, { name }: ConfigMapKey): ConfigMapRow {
  if (row !== undefined) return row;
  throw new RotundaError('not-found', `there is no ConfigMap ${JSON.stringify(name)}`);
}

async function record(
  { audit, clock }: Room,
  tx: WriteTx,
  action: string,
  { namespace, name }: ConfigMapKey,
  actor: Identity,
): Promise<void> {
  await audit.record(tx, {
    action,
    actor: actor.username,
    resource: 'configmaps',
    name: `${namespace}/${name}`,
    outcome: 'ok',
    detail: {},
    at: clock.now().getTime(),
  });
}
