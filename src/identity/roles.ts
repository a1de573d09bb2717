import type { Identity, Role } from './types.js';

const nodePrefix = 'system:node:';

/** The node that a Kubernetes user is: `system:node:<name>` in group `system:nodes`, as the node authorizer identifies it. */
export function nodeOfUser(username: string, groups: readonly string[]): string | undefined {
  if (!username.startsWith(nodePrefix) || !groups.includes('system:nodes')) return undefined;
  return username.length === nodePrefix.length ? undefined : username.slice(nodePrefix.length);
}

/** What a user that the kubernetes ring vouches for may be here. Never more than power over certificates.k8s.io. */
export function kubernetesRoles(username: string, groups: readonly string[]): Role[] {
  const roles: Role[] = [];
  if (groups.includes('system:masters')) roles.push('cluster-admin');
  if (nodeOfUser(username, groups) !== undefined) roles.push('node');
  return roles;
}

const rotundaGroups: Readonly<Record<string, Role>> = {
  'rotunda:admins': 'admin',
  'rotunda:operators': 'operator',
  'rotunda:viewers': 'viewer',
};

/** What a certificate of the service's own ring gives. */
export function rotundaRoles(groups: readonly string[]): Role[] {
  return groups.flatMap((group) => (Object.hasOwn(rotundaGroups, group) ? (rotundaGroups[group] ?? []) : []));
}

/** Groups that a ring may not vouch for are dropped: `rotunda:*` is the service's own, `system:*` is Kubernetes'. */
export function vouchedGroups(
  groups: readonly string[],
  ring: { readonly isRotunda: boolean; readonly isKubernetes: boolean },
): string[] {
  return groups.filter((group) => {
    if (group.startsWith('rotunda:')) return ring.isRotunda;
    if (group.startsWith('system:')) return ring.isKubernetes;
    return true;
  });
}

/**
 * Why a common name is no user name, undefined when it is one. A certificate must not name whom Rotunda names by other
 * means: the service itself, nobody, a token's user, an etcd member; nor may a ring other than kubernetes name a
 * Kubernetes user.
 */
export function reservedNameProblem(name: string, isKubernetes: boolean): string | undefined {
  if (name === '') return 'the certificate has no common name';
  const reserved =
    name === 'system:rotunda' ||
    name === 'system:anonymous' ||
    name.startsWith('system:bootstrap:') ||
    name.startsWith('rotunda:');
  if (reserved) return `no certificate gives the name ${JSON.stringify(name)}`;
  return !isKubernetes && name.startsWith('system:')
    ? `this ring does not vouch for ${JSON.stringify(name)}`
    : undefined;
}

/**
 * A user as somebody else describes it, for access reviews: as if the kubernetes ring vouched for it. Certificates and
 * tokens say more than a name and groups can, so a review never finds the roles of the service's own ring.
 */
export function reviewedIdentity(subject: {
  readonly username: string;
  readonly groups: readonly string[];
  readonly uid?: string;
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}): Identity {
  const { username, groups, uid = '', extra = {} } = subject;
  const node = nodeOfUser(username, groups);
  const base = { username, groups, uid, extra, ...(node !== undefined && { node }) };
  if (username === 'system:anonymous') return { ...base, kind: 'anonymous', roles: ['anonymous'] };
  const roles = kubernetesRoles(username, groups);
  if (groups.includes('system:bootstrappers')) roles.push('bootstrapper');
  if (groups.includes('system:authenticated')) roles.push('authenticated');
  return { ...base, kind: 'certificate', roles };
}
