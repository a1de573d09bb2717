import { rfc3339 } from '../../../csr/time.js';
import type { Token } from '../../../identity/types.js';
import type { PlainObject } from '../resources/types.js';
import { stableUid } from '../stable-uid.js';

/** Where bootstrap tokens are Secrets, and of which type (cluster-bootstrap's token/api). */
export const secretNamespace = 'kube-system';
export const secretType = 'bootstrap.kubernetes.io/token';
const namePrefix = 'bootstrap-token-';

/** The annotations that bind a token, or say how it is bound. They are set when it is made and do not change. */
export const binding = {
  node: 'rotunda.dev/node',
  addresses: 'rotunda.dev/addresses',
  dnsNames: 'rotunda.dev/dns-names',
  etcdMember: 'rotunda.dev/etcd-member',
  controlPlane: 'rotunda.dev/control-plane',
  reusable: 'rotunda.dev/reusable',
} as const;

/** What kubectl remembers of what was applied; it holds the whole Secret. */
export const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration';

export function secretNameOf(id: string): string {
  return `${namePrefix}${id}`;
}

/** The id of the token that a Secret of this name is; undefined when it is none's. */
export function tokenIdOf(name: string): string | undefined {
  const id = name.startsWith(namePrefix) ? name.slice(namePrefix.length) : '';
  return /^[a-z0-9]{6}$/.test(id) ? id : undefined;
}

/** A live token as kubeadm and kubectl know it. Without a secret where that is not kept, or not for the caller to see. */
export function secretOf(token: Token, secret: string | undefined): PlainObject {
  const annotations = { ...token.annotations, ...bindingOf(token) };
  const metadata = {
    name: secretNameOf(token.id),
    namespace: secretNamespace,
    uid: stableUid('token', token.id, String(token.createdAt)),
    resourceVersion: String(token.revision),
    creationTimestamp: rfc3339(token.createdAt),
    ...(Object.keys(token.labels).length === 0 ? {} : { labels: token.labels }),
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
  };
  const entries = Object.entries(textsOf(token, secret)).map(([key, text]) => [key, encode(text)] as const);
  return { metadata, data: Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1))), type: secretType };
}

function encode(text: string): string {
  return Buffer.from(text).toString('base64');
}

function textsOf(token: Token, secret: string | undefined): Record<string, string> {
  const { id, groups, usages, description, expiresAt } = token;
  return {
    'token-id': id,
    ...(secret === undefined ? {} : { 'token-secret': secret }),
    ...(expiresAt === undefined ? {} : { expiration: rfc3339(expiresAt) }),
    ...(description === '' ? {} : { description }),
    ...(usages.includes('authentication') ? { 'usage-bootstrap-authentication': 'true' } : {}),
    ...(usages.includes('signing') ? { 'usage-bootstrap-signing': 'true' } : {}),
    ...(groups.length === 0 ? {} : { 'auth-extra-groups': groups.join(',') }),
  };
}

function bindingOf({ kind, node, cluster, member, reusable }: Token): Record<string, string> {
  return {
    ...(kind === 'node' && node !== undefined ? { [binding.node]: node } : {}),
    ...(kind === 'control-plane' && node !== undefined ? { [binding.controlPlane]: node } : {}),
    ...(cluster === undefined || member === undefined ? {} : { [binding.etcdMember]: `${cluster}/${member}` }),
    ...(reusable ? { [binding.reusable]: 'true' } : {}),
  };
}
