import type { IncomingHttpHeaders } from 'node:http';

import { RotundaError } from '../../errors.js';
import type { Identity } from '../../identity/types.js';
import type { Api } from './call.js';
import type { Target } from './target.js';

/** The 403 that upstream would answer, or nothing when the caller may go on. */
export function authorizeCall(
  api: Pick<Api, 'authorize'>,
  identity: Identity,
  target: Target,
): RotundaError | undefined {
  if (!target.isResource) {
    const verdict = api.authorize(identity, { verb: target.verb, path: target.path });
    if (verdict.allowed) return undefined;
    return new RotundaError(
      'forbidden',
      `forbidden: User ${JSON.stringify(identity.username)} cannot ${target.verb} path ${JSON.stringify(target.path)}`,
      { object: {} },
    );
  }
  const { verb, group, resource, subresource, namespace } = target;
  const name = target.name ?? target.selectedName;
  const verdict = api.authorize(identity, {
    verb,
    group,
    resource,
    ...(subresource === undefined ? {} : { subresource }),
    ...(name === undefined ? {} : { name }),
    ...(namespace === undefined ? {} : { namespace }),
  });
  return verdict.allowed ? undefined : resourceForbidden(identity, target);
}

/**
 * Nobody here may act as somebody else, and whoever asks to is told: passed over, `kubectl --as` would show what the
 * caller may do as what the other may. Upstream's words for a caller without the right.
 */
export function impersonationRefused(identity: Identity, headers: IncomingHttpHeaders): RotundaError | undefined {
  const user = headers['impersonate-user'];
  if (user === undefined) {
    if (headers['impersonate-group'] === undefined && headers['impersonate-uid'] === undefined) return undefined;
    return new RotundaError('bad-request', 'groups and uids cannot be impersonated without a user');
  }
  const message = `User ${JSON.stringify(identity.username)} cannot impersonate resource "users" in API group "" at the cluster scope`;
  return new RotundaError('forbidden', message, { object: { resource: 'users', name: String(user) } });
}

function resourceForbidden(identity: Identity, target: Target): RotundaError {
  const { verb, group, resource, subresource, namespace } = target;
  const name = target.name ?? target.selectedName;
  const qualified = subresource === undefined ? resource : `${resource}/${subresource}`;
  const where = namespace === undefined ? 'at the cluster scope' : `in the namespace ${JSON.stringify(namespace)}`;
  const message = `User ${JSON.stringify(identity.username)} cannot ${verb} resource ${JSON.stringify(qualified)} in API group ${JSON.stringify(group)} ${where}`;
  const why = nodeReason(identity, target);
  return new RotundaError('forbidden', why === undefined ? message : `${message}: ${why}`, {
    object: { group, resource, ...(name === undefined ? {} : { name }) },
  });
}

/** What upstream's node authorizer says of things that a node may read only where a pod of it needs them. */
const ofPods = new Set(['secrets', 'configmaps', 'persistentvolumeclaims']);

function nodeReason({ node }: Identity, target: Target): string | undefined {
  if (node === undefined || target.group !== '' || !ofPods.has(target.resource)) return undefined;
  if (!['get', 'list', 'watch'].includes(target.verb)) return 'can only read resources of this type';
  if (target.subresource !== undefined) return 'cannot read subresource';
  if (target.namespace === undefined) return 'can only read namespaced object of this type';
  if (target.name === undefined && target.selectedName === undefined) return 'No Object name found';
  return `no relationship found between node '${node}' and this object`;
}
