import type { Audit } from '../audit/types.js';
import type { Clock, Random } from '../clock.js';
import { RotundaError } from '../errors.js';
import { banCertificatesOf } from '../identity/ban-certificates.js';
import type { Bans, Identity } from '../identity/types.js';
import {
  deleteEtcdMember,
  type EtcdMemberRow,
  findEtcdCluster,
  findEtcdMember,
  insertEtcdMember,
  updateEtcdMember,
} from '../store/queries/etcd.js';
import { revokeTokensOf } from '../store/queries/tokens.js';
import type { Store, WriteTx } from '../store/types.js';
import { memberOf, noSuchCluster, noSuchMember, readMemberFields } from './etcd-records.js';
import { makeUid } from './names.js';
import type { EtcdClusters, EtcdMember, EtcdMemberDraft, FactsChanged, HolderForgotten } from './types.js';

/** What enrolment of etcd clusters and members needs from the other rooms. */
export type EtcdOptions = {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly audit: Audit;
  readonly bans: Bans;
  readonly factsChanged: FactsChanged;
  readonly forgotten?: HolderForgotten;
};

/** Enrolling, changing and removing members. Every change is one transaction with its audit event. */
export function createEtcdMembers(
  options: EtcdOptions,
): Pick<EtcdClusters, 'addMember' | 'updateMember' | 'removeMember'> {
  const { store } = options;
  return {
    addMember: (cluster, draft, actor) => store.write((tx) => add(options, tx, { ...draft, cluster }, actor)),
    updateMember: (cluster, name, change, actor) =>
      store.write((tx) => update(options, tx, { ...change, cluster, name }, actor)),
    removeMember: (cluster, name, actor) => store.write((tx) => remove(options, tx, { cluster, name }, actor)),
  };
}

async function add(
  options: EtcdOptions,
  tx: WriteTx,
  draft: EtcdMemberDraft & { cluster: string },
  actor: Identity,
): Promise<EtcdMember> {
  const { cluster, name } = draft;
  const fields = readMemberFields(name, draft);
  if ((await findEtcdCluster(tx.db, cluster)) === undefined) throw noSuchCluster(cluster);
  if ((await findEtcdMember(tx.db, cluster, name)) !== undefined) {
    const object = { resource: 'etcdmembers', kind: 'EtcdMember', name };
    throw new RotundaError(
      'already-exists',
      `etcd cluster ${JSON.stringify(cluster)} has a member ${JSON.stringify(name)} already`,
      { object },
    );
  }
  const row: EtcdMemberRow = {
    cluster,
    name,
    uid: makeUid(options.random),
    peer_urls: JSON.stringify(fields.peerUrls ?? []),
    client_urls: JSON.stringify(fields.clientUrls ?? []),
    addresses: JSON.stringify(fields.addresses ?? []),
    dns_names: JSON.stringify(fields.dnsNames ?? []),
    state: 'expected',
    created_at: options.clock.now().getTime(),
    created_by: actor.username,
    revision: tx.nextRevision(),
  };
  await insertEtcdMember(tx.db, row);
  await record(options, tx, { action: 'etcd-member.enrolled', cluster, name, actor, detail: fields });
  return memberOf(row);
}

async function update(
  options: EtcdOptions,
  tx: WriteTx,
  change: Partial<Omit<EtcdMemberDraft, 'name'>> & { cluster: string; name: string },
  actor: Identity,
): Promise<EtcdMember> {
  const { cluster, name } = change;
  const fields = readMemberFields(name, change);
  const row = await findEtcdMember(tx.db, cluster, name);
  if (row === undefined) throw noSuchMember(cluster, name);
  const set = {
    ...(fields.peerUrls && { peer_urls: JSON.stringify(fields.peerUrls) }),
    ...(fields.clientUrls && { client_urls: JSON.stringify(fields.clientUrls) }),
    ...(fields.addresses && { addresses: JSON.stringify(fields.addresses) }),
    ...(fields.dnsNames && { dns_names: JSON.stringify(fields.dnsNames) }),
    revision: tx.nextRevision(),
  };
  await updateEtcdMember(tx.db, cluster, name, set);
  await record(options, tx, { action: 'etcd-member.updated', cluster, name, actor, detail: fields });
  return memberOf({ ...row, ...set });
}

/** Its live certificates of every etcd ring are banned here and its tokens revoked; etcd itself still has to remove it. */
async function remove(
  options: EtcdOptions,
  tx: WriteTx,
  { cluster, name }: { cluster: string; name: string },
  actor: Identity,
): Promise<void> {
  if ((await findEtcdMember(tx.db, cluster, name)) === undefined) throw noSuchMember(cluster, name);
  const owner = { cluster, member: name };
  const cause = { reason: 'cessationOfOperation', actor: actor.username, now: options.clock.now().getTime() };
  const certificates = await banCertificatesOf(tx, options.bans, owner, cause);
  await revokeTokensOf(tx, owner);
  await deleteEtcdMember(tx.db, cluster, name);
  await options.forgotten?.(tx, owner, actor);
  await record(options, tx, { action: 'etcd-member.removed', cluster, name, actor, detail: { certificates } });
}

async function record(
  { audit, clock, factsChanged }: EtcdOptions,
  tx: WriteTx,
  event: { action: string; cluster: string; name: string; actor: Identity; detail: Readonly<Record<string, unknown>> },
): Promise<void> {
  const { action, cluster, actor, detail } = event;
  const name = `${cluster}/${event.name}`;
  await audit.record(tx, {
    action,
    actor: actor.username,
    resource: 'etcdmembers',
    name,
    outcome: 'ok',
    detail,
    at: clock.now().getTime(),
  });
  tx.onCommit(() => {
    factsChanged({});
  });
}
