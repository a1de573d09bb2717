import type { Handler } from '../call.js';
import type { Target } from '../target.js';
import { patchObject } from './patch.js';
import { getObject, listObjects } from './read.js';
import type { ResourceKind } from './types.js';
import { watchObjects } from './watch.js';
import { createObject, deleteObject, deleteObjects, updateObject } from './write.js';

type Verbs = Readonly<Record<string, Handler>>;

const every: Readonly<Record<string, (call: Parameters<Handler>[0], kind: ResourceKind) => ReturnType<Handler>>> = {
  get: getObject,
  list: listObjects,
  watch: watchObjects,
  create: createObject,
  update: updateObject,
  patch: patchObject,
  delete: deleteObject,
  deletecollection: deleteObjects,
};
const ofItem = ['get', 'update', 'patch', 'delete'];
/** Over all namespaces one can only look. */
const acrossNamespaces = ['list', 'watch'];

/** The handlers of a kind's path by verb; undefined where the kind has no such path. */
export function plainVerbs(kind: ResourceKind, target: Target): Verbs | undefined {
  if (target.subresource !== undefined || (target.namespace !== undefined && !kind.namespaced)) return undefined;
  const item = target.name !== undefined;
  const across = kind.namespaced && target.namespace === undefined;
  if (item && across) return undefined;
  const verbs = kind.verbs.filter(
    (verb) => ofItem.includes(verb) === item && (!across || acrossNamespaces.includes(verb)),
  );
  return Object.fromEntries(
    verbs.flatMap((verb): [string, Handler][] => {
      const handle = every[verb];
      return handle === undefined ? [] : [[verb, (call) => handle(call, kind)]];
    }),
  );
}
