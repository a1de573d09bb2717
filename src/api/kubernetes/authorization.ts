import { RotundaError } from '../../errors.js';
import type { Identity } from '../../identity/types.js';
import type { Api } from './call.js';
import type { Target } from './target.js';

/** The 403 that upstream would answer, or nothing when the caller may go on. */
export function authorizeCall(api: Pick<Api, 'authorize'>, identity: Identity, target: Target): RotundaError | undefined {
  if (!target.isResource) {
    const verdict = api.authorize(identity, { verb: target.verb, path: target.path });
    if (verdict.allowed) return undefined;
    return new RotundaError('forbidden', `forbidden: User ${JSON.stringify(identity.username)} cannot ${target.verb} path ${JSON.stringify(target.path)}`, { object: {} });
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

function resourceForbidden(identity: Identity, target: Target): RotundaError {
  const { verb, group, resource, subresource, namespace } = target;
  const name = target.name ?? target.selectedName;
  const qualified = subresource === undefined ? resource : `${resource}/${subresource}`;
  const where = namespace === undefined ? 'at the cluster scope' : `in the namespace ${JSON.stringify(namespace)}`;
  const message = `User ${JSON.stringify(identity.username)} cannot ${verb} resource ${JSON.stringify(qualified)} in API group ${JSON.stringify(group)} ${where}`;
  return new RotundaError('forbidden', message, { object: { group, resource, ...(name === undefined ? {} : { name }) } });
}
