import { invalid, type FieldCause, RotundaError } from '../errors.js';
import type { EtcdClusterRow, EtcdMemberRow } from '../store/queries/etcd.js';
import { readEtcdUrls } from './etcd-urls.js';
import { cause, checkAddress, checkDnsName, checkList, checkMemberName } from './names.js';
import { union } from './node-records.js';
import type { EtcdCluster, EtcdMember, EtcdMemberDraft } from './types.js';

/** kubeadm puts these into every member's certificates: health checks and the local etcdctl come over loopback. */
const loopbackAddresses = ['127.0.0.1', '::1'] as const;
const loopbackName = 'localhost';

export function clusterOf(row: EtcdClusterRow): EtcdCluster {
  return {
    name: row.name,
    clientNames: JSON.parse(row.client_names) as string[],
    createdAt: row.created_at,
    createdBy: row.created_by,
  };
}

/**
 * A member with every name that its certificates may carry: what was enrolled, the hosts of its URLs, loopback, and its
 * own name where that is a DNS name (kubeadm names members after their hosts).
 */
export function memberOf(row: EtcdMemberRow): EtcdMember {
  const peerUrls = JSON.parse(row.peer_urls) as string[];
  const clientUrls = JSON.parse(row.client_urls) as string[];
  const hosts = readEtcdUrls('urls', [...new Set([...peerUrls, ...clientUrls])]);
  const own = checkDnsName(row.name);
  const names = [...hosts.dnsNames, loopbackName, ...('value' in own ? [own.value] : [])];
  return {
    cluster: row.cluster,
    name: row.name,
    uid: row.uid,
    peerUrls,
    clientUrls,
    addresses: union(JSON.parse(row.addresses) as string[], [...hosts.addresses, ...loopbackAddresses]),
    dnsNames: union(JSON.parse(row.dns_names) as string[], names),
    state: row.state,
    createdAt: row.created_at,
    createdBy: row.created_by,
  };
}

export type MemberFields = {
  readonly [K in 'peerUrls' | 'clientUrls' | 'addresses' | 'dnsNames']: readonly string[] | undefined;
};

/** Checks what a draft or a change says; fields that it leaves out stay undefined. Throws 'invalid' with every broken rule. */
export function readMemberFields(name: string, draft: Partial<EtcdMemberDraft>): MemberFields {
  const causes: FieldCause[] = [];
  const checked = checkMemberName(name);
  if ('problem' in checked) causes.push(cause('name', name, checked.problem));
  const peer = draft.peerUrls && readEtcdUrls('peerUrls', draft.peerUrls);
  const client = draft.clientUrls && readEtcdUrls('clientUrls', draft.clientUrls);
  const addresses = draft.addresses && checkList('addresses', draft.addresses, checkAddress);
  const dnsNames = draft.dnsNames && checkList('dnsNames', draft.dnsNames, checkDnsName);
  for (const part of [peer, client, addresses, dnsNames]) causes.push(...(part?.causes ?? []));
  if (draft.peerUrls?.length === 0)
    causes.push({
      field: 'peerUrls',
      reason: 'FieldValueRequired',
      message: 'Required value: a member is reached by at least one peer URL',
    });
  if (causes.length > 0) throw invalid(causes, { resource: 'etcdmembers', kind: 'EtcdMember', name });
  return { peerUrls: peer?.urls, clientUrls: client?.urls, addresses: addresses?.values, dnsNames: dnsNames?.values };
}

/** etcd takes a client's common name as its user name when authentication is on: any printable text, bounded as X.509 bounds it. */
export function readClientNames(names: readonly string[]): readonly string[] {
  const read = checkList('clientNames', names, (text) =>
    /^[\x21-\x7e]{1,64}$/.test(text)
      ? { value: text }
      : { problem: 'must be 1 to 64 printable ASCII characters without spaces' },
  );
  if (read.causes.length > 0) throw invalid(read.causes, { resource: 'etcdclusters', kind: 'EtcdCluster' });
  return read.values;
}

export function noSuchCluster(name: string): RotundaError {
  const object = { resource: 'etcdclusters', kind: 'EtcdCluster', name };
  return new RotundaError('not-found', `there is no etcd cluster ${JSON.stringify(name)}`, { object });
}

export function noSuchMember(cluster: string, name: string): RotundaError {
  const object = { resource: 'etcdmembers', kind: 'EtcdMember', name };
  return new RotundaError(
    'not-found',
    `etcd cluster ${JSON.stringify(cluster)} has no member ${JSON.stringify(name)}`,
    { object },
  );
}
