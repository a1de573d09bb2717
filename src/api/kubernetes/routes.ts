import { RotundaError } from '../../errors.js';
import type { Handler } from './call.js';
import { listEvents } from './core/events.js';
import { coreNodes } from './core/nodes.js';
import { groups } from './discovery/documents.js';
import { discovery } from './discovery/routes.js';
import { group, resource } from './kinds.js';
import { create } from './requests/create.js';
import { remove, removeAll } from './requests/delete.js';
import { patch } from './requests/patch.js';
import { get, list } from './requests/read.js';
import { update } from './requests/update.js';
import { plainVerbs } from './resources/handlers.js';
import { findKind } from './resources/registry.js';
import { reviews } from './reviews/reviews.js';
import type { Target } from './target.js';
import { watch } from './watch/watch.js';

type Verbs = Readonly<Record<string, Handler>>;

const collection: Verbs = { create, list, watch, deletecollection: removeAll };
const item: Verbs = { get, update, patch, delete: remove };
const subresource: Verbs = { get, update, patch };

/** The handler of a path; undefined where upstream has no such path at all. Throws 'not-found' and 'method-not-allowed'. */
export function route(target: Target, method: string): Handler | undefined {
  if (!target.isResource) return discovery(target, method);
  const known = target.group === '' || groups.some((one) => one.name === target.group);
  return known ? handlerOf(target.version === 'v1' ? verbsOf(target) : undefined, target) : undefined;
}

function verbsOf(target: Target): Verbs | undefined {
  if (target.tooDeep) return undefined;
  const plain = findKind(target.group, target.resource);
  if (plain !== undefined) return plainVerbs(plain, target);
  if (target.group === group) return requestVerbs(target);
  if (target.group === '') return coreVerbs(target);
  const handler =
    target.subresource === undefined && target.name === undefined
      ? reviews[target.group]?.[target.resource]
      : undefined;
  return handler === undefined ? undefined : { create: handler };
}

function requestVerbs(target: Target): Verbs | undefined {
  if (target.resource !== resource || target.namespace !== undefined) return undefined;
  if (target.subresource === undefined) return target.name === undefined ? collection : item;
  return target.subresource === 'approval' || target.subresource === 'status' ? subresource : undefined;
}

function coreVerbs(target: Target): Verbs | undefined {
  if (target.resource === coreNodes.resource) return plainVerbs(coreNodes, target);
  if (target.subresource !== undefined) return undefined;
  if (target.resource === 'events' && target.name === undefined) return { list: listEvents };
  return undefined;
}

function handlerOf(verbs: Verbs | undefined, target: Target): Handler {
  if (verbs === undefined)
    throw new RotundaError('not-found', 'the server could not find the requested resource', { object: {} });
  const handler = verbs[target.verb];
  if (handler === undefined) {
    throw new RotundaError('method-not-allowed', 'the server does not allow this method on the requested resource', {
      object: {},
    });
  }
  return handler;
}
