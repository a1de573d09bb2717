import { invalid, RotundaError } from '../errors.js';
import type { Identity } from '../identity/types.js';
import {
  deleteEtcdCluster,
  type EtcdClusterRow,
  findEtcdCluster,
  findEtcdMember,
  insertEtcdCluster,
  listEtcdClusters,
  listEtcdMembers,
  updateEtcdCluster,
} from '../store/queries/etcd.js';
import type { WriteTx } from '../store/types.js';
import { createEtcdMembers, type EtcdOptions } from './etcd-members.js';
import { clusterOf, memberOf, noSuchCluster, noSuchMember, readClientNames } from './etcd-records.js';
import { cause, checkClusterName } from './names.js';
import type { EtcdCluster, EtcdClusters } from './types.js';

/** The enrolled etcd clusters, their members, and the client names that each cluster knows. */
export function createEtcdClusters(options: EtcdOptions): EtcdClusters {
  const { store } = options;
  const mustFind = async (name: string): Promise<EtcdClusterRow> => {
    const row = await findEtcdCluster(store.db, name);
    if (row === undefined) throw noSuchCluster(name);
    return row;
  };
  return {
    create: (draft, actor) => store.write((tx) => create(options, tx, draft, actor)),
    update: (name, change, actor) => store.write((tx) => update(options, tx, { name, ...change }, actor)),
    list: async () => (await listEtcdClusters(store.db)).map(clusterOf),
    get: async (name) => clusterOf(await mustFind(name)),
    delete: (name, actor) => store.write((tx) => remove(options, tx, name, actor)),
    members: async (cluster) => {
      await mustFind(cluster);
      return (await listEtcdMembers(store.db, cluster)).map(memberOf);
    },
    member: async (cluster, name) => {
      const row = await findEtcdMember(store.db, cluster, name);
      if (row === undefined) throw noSuchMember(cluster, name);
      return memberOf(row);
    },
    ...createEtcdMembers(options),
  };
}

/** etcd gives its user `root` every right, so who may enrol that name is the administrator. */
function readNames(names: readonly string[], before: readonly string[], actor: Identity): readonly string[] {
  const read = readClientNames(names);
  const administers = actor.kind === 'internal' || actor.roles.includes('admin');
  if (read.includes('root') && !before.includes('root') && !administers) {
    throw new RotundaError(
      'forbidden',
      `User ${JSON.stringify(actor.username)} cannot enrol the etcd client name "root": only administrators can`,
    );
  }
  return read;
}

async function create(
  options: EtcdOptions,
  tx: WriteTx,
  draft: { name: string; clientNames?: readonly string[] },
  actor: Identity,
): Promise<EtcdCluster> {
  const { name } = draft;
  const object = { resource: 'etcdclusters', kind: 'EtcdCluster', name };
  const checked = checkClusterName(name);
  if ('problem' in checked) throw invalid([cause('name', name, checked.problem)], object);
  const clientNames = readNames(draft.clientNames ?? [], [], actor);
  if ((await findEtcdCluster(tx.db, name)) !== undefined) {
    throw new RotundaError('already-exists', `etcd cluster ${JSON.stringify(name)} exists already`, { object });
  }
  const row = {
    name,
    client_names: JSON.stringify(clientNames),
    created_at: options.clock.now().getTime(),
    created_by: actor.username,
    revision: tx.nextRevision(),
  };
  await insertEtcdCluster(tx.db, row);
  await record(options, tx, { action: 'etcd-cluster.created', name, actor, detail: { clientNames } });
  return clusterOf(row);
}

async function update(
  options: EtcdOptions,
  tx: WriteTx,
  change: { name: string; clientNames: readonly string[] },
  actor: Identity,
): Promise<EtcdCluster> {
  const { name } = change;
  const row = await findEtcdCluster(tx.db, name);
  if (row === undefined) throw noSuchCluster(name);
  const clientNames = readNames(change.clientNames, clusterOf(row).clientNames, actor);
  const set = { client_names: JSON.stringify(clientNames), revision: tx.nextRevision() };
  await updateEtcdCluster(tx.db, name, set);
  await record(options, tx, { action: 'etcd-cluster.updated', name, actor, detail: { clientNames } });
  return clusterOf({ ...row, ...set });
}

async function remove(options: EtcdOptions, tx: WriteTx, name: string, actor: Identity): Promise<void> {
  if ((await findEtcdCluster(tx.db, name)) === undefined) throw noSuchCluster(name);
  const members = await listEtcdMembers(tx.db, name);
  if (members.length > 0) {
    throw new RotundaError('conflict', `etcd cluster ${JSON.stringify(name)} has ${members.length} members`, {
      object: { resource: 'etcdclusters', kind: 'EtcdCluster', name },
      hint: 'remove its members first',
    });
  }
  await deleteEtcdCluster(tx.db, name);
  await record(options, tx, { action: 'etcd-cluster.deleted', name, actor, detail: {} });
}

async function record(
  { audit, clock, factsChanged }: EtcdOptions,
  tx: WriteTx,
  event: { action: string; name: string; actor: Identity; detail: Readonly<Record<string, unknown>> },
): Promise<void> {
  const { action, name, actor, detail } = event;
  const at = clock.now().getTime();
  await audit.record(tx, { action, actor: actor.username, resource: 'etcdclusters', name, outcome: 'ok', detail, at });
  tx.onCommit(() => {
    factsChanged({});
  });
}
