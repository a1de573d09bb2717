import { RotundaError } from '../errors.js';
import { kubernetesRoles, reviewedIdentity } from '../identity/roles.js';
import { bootstrappersGroup } from '../identity/token-format.js';
import type { Identity } from '../identity/types.js';
import type { Parts } from './parts.js';

/** Somebody to think of as the requester: exactly one. */
export type AskedAs =
  | { readonly node: string }
  | { readonly token: string }
  | { readonly etcdMember: { readonly cluster: string; readonly name: string } }
  | { readonly user: string; readonly groups: readonly string[] };

/**
 * The identity that this requester would authenticate as. Gives no right: it is for explaining, and nothing else takes
 * it. Throws 'not-found' for a token or member that is not there, 'invalid' for one that no longer authenticates.
 */
export async function identityAs(parts: Parts, as: AskedAs): Promise<Identity> {
  if ('node' in as) return nodeIdentity(parts, as.node);
  if ('token' in as) return tokenIdentity(parts, as.token);
  if ('user' in as) return reviewedIdentity({ username: as.user, groups: withAuthenticated(as.groups) });
  const { cluster, name } = await parts.etcd.member(as.etcdMember.cluster, as.etcdMember.name);
  return {
    ...{ kind: 'certificate', uid: '', extra: {}, roles: ['member', 'authenticated'] },
    username: `rotunda:etcd-member:${cluster}:${name}`,
    groups: ['system:authenticated'],
    ring: parts.topology.etcdPeer,
    member: { cluster, name },
  };
}

function nodeIdentity({ topology }: Parts, node: string): Identity {
  const username = `system:node:${node}`;
  const groups = ['system:nodes', 'system:authenticated'];
  const roles = [...kubernetesRoles(username, groups), 'authenticated' as const];
  return { kind: 'certificate', username, uid: '', groups, extra: {}, ring: topology.kubernetesClient, node, roles };
}

async function tokenIdentity({ tokens }: Parts, id: string): Promise<Identity> {
  const { groups, state } = await tokens.get(id);
  const facts = await tokens.facts(id);
  if (facts === undefined || state !== 'active') {
    const message = `the bootstrap token ${id} is ${state} and authenticates nobody`;
    throw new RotundaError('invalid', message, { hint: 'rotunda token list shows those that do' });
  }
  return {
    ...{ kind: 'token', uid: '', extra: {}, roles: ['bootstrapper', 'authenticated'] },
    username: `system:bootstrap:${id}`,
    groups: withAuthenticated([...new Set([bootstrappersGroup, ...groups])].sort()),
    token: facts,
  };
}

function withAuthenticated(groups: readonly string[]): string[] {
  return groups.includes('system:authenticated') ? [...groups] : [...groups, 'system:authenticated'];
}
