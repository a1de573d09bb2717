import { RotundaError } from '../../errors.js';
import type { Handler } from './call.js';
import { discovery } from './discovery/routes.js';
import { group, resource } from './kinds.js';
import { create } from './requests/create.js';
import { get, list } from './requests/read.js';
import type { Target } from './target.js';
import { watch } from './watch/watch.js';

type Verbs = Readonly<Record<string, Handler>>;

const collection: Verbs = { create, list, watch };
const item: Verbs = { get };
const subresource: Verbs = { get };

/** The handler of a path; undefined where upstream has no such path at all. Throws 'not-found' and 'method-not-allowed'. */
export function route(target: Target, method: string): Handler | undefined {
  if (!target.isResource) return discovery(target, method);
  if (target.group === group && target.version === 'v1') return one(requestVerbs(target), target);
  return undefined;
}

function requestVerbs(target: Target): Verbs | undefined {
  if (target.resource !== resource || target.tooDeep || target.namespace !== undefined) return undefined;
  if (target.subresource === undefined) return target.name === undefined ? collection : item;
  return target.subresource === 'approval' || target.subresource === 'status' ? subresource : undefined;
}

function one(verbs: Verbs | undefined, target: Target): Handler {
  if (verbs === undefined) throw new RotundaError('not-found', 'the server could not find the requested resource', { object: {} });
  const handler = verbs[target.verb];
  if (handler === undefined) throw new RotundaError('method-not-allowed', 'the server does not allow this method on the requested resource', { object: {} });
  return handler;
}
