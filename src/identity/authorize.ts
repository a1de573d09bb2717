import { type ResourceAttributes, type Rule, rules } from './rules.js';
import type { AccessVerdict, Attributes, Authorize, Identity } from './types.js';

/**
 * Role rules, Kubernetes-style: what no rule allows is refused. The reason of a refusal is what upstream's authorizers
 * say: nothing, but for a node that reads secrets or ConfigMaps, where the node authorizer explains itself.
 */
export const authorize: Authorize = (identity, attributes) => {
  if (identity.kind === 'internal' || identity.roles.includes('admin')) return allowedByAdmin;
  for (const role of identity.roles) {
    if (rules[role].some((rule) => allows(rule, attributes, identity)))
      return { allowed: true, reason: `allowed by the role ${role}` };
  }
  return refusal(identity, attributes);
};

const allowedByAdmin: AccessVerdict = Object.freeze({ allowed: true, reason: 'allowed by the role admin' });

function allows(rule: Rule, attributes: Attributes, identity: Identity): boolean {
  if (rule.verbs !== undefined && !rule.verbs.includes(attributes.verb)) return false;
  if ('paths' in rule) return 'path' in attributes && rule.paths.some((path) => covers(path, attributes.path));
  if ('path' in attributes || rule.group !== attributes.group) return false;
  if (rule.resources !== undefined && !rule.resources.includes(resourceOf(attributes))) return false;
  return rule.when?.(attributes, identity) ?? true;
}

function covers(pattern: string, path: string): boolean {
  return pattern.endsWith('*') ? path.startsWith(pattern.slice(0, -1)) : pattern === path;
}

function resourceOf({ resource, subresource }: ResourceAttributes): string {
  return subresource === undefined || subresource === '' ? resource : `${resource}/${subresource}`;
}

const graphResources: readonly string[] = ['secrets', 'configmaps'];

function refusal(identity: Identity, attributes: Attributes): AccessVerdict {
  const node = identity.node;
  if (
    node === undefined ||
    'path' in attributes ||
    attributes.group !== '' ||
    !graphResources.includes(attributes.resource)
  ) {
    return { allowed: false, reason: '' };
  }
  return { allowed: false, reason: nodeReason(node, attributes) };
}

/** The node authorizer's words, in its order. */
function nodeReason(node: string, { verb, name = '', namespace = '', subresource = '' }: ResourceAttributes): string {
  if (!['get', 'list', 'watch'].includes(verb)) return 'can only read resources of this type';
  if (subresource !== '') return 'cannot read subresource';
  if (namespace === '') return 'can only read namespaced object of this type';
  return name === '' ? 'No Object name found' : `no relationship found between node '${node}' and this object`;
}
