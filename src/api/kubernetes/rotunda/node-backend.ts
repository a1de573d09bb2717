import { type FieldCause, invalid, RotundaError } from '../../../errors.js';
import type { Node } from '../../../fleet/types.js';
import type { Identity } from '../../../identity/types.js';
import type { Api } from '../call.js';
import type { PlainObject, ResourceBackend } from '../resources/types.js';
import { editOf, nodeIn, nodeObject } from './node-object.js';

type Toggle = 'disable' | 'enable';

/** Enrolled machines, under the same rules as on /pki/v1: whoever may not disable a node there may not do so here. */
export function nodeBackend(api: Api, identity: Identity): ResourceBackend {
  const { nodes } = api;
  return {
    get: async ({ name }) => {
      const node = await nodes.find(name);
      return node === undefined ? undefined : nodeObject(node);
    },
    list: async ({ after, limit }) => {
      const { items, revision } = await nodes.snapshot({
        limit,
        ...(after === undefined ? {} : { after: after.name }),
      });
      return { items: items.map(nodeObject), revision };
    },
    create: (draft, { dryRun }) =>
      inObjectTerms(async () => {
        const edit = editOf(draft);
        if (edit.disabled === true) mayToggle(api, identity, draft.metadata.name, 'disable');
        const node = await nodes.add(draft.metadata.name, edit, { actor: identity, dryRun });
        return nodeObject(
          dryRun ? { ...node, createdAt: api.clock.now().getTime(), createdBy: identity.username } : node,
        );
      }),
    update: ({ name }, change, { dryRun }) =>
      inObjectTerms(async () => {
        const wanted = (current: Node): ReturnType<typeof editOf> => {
          const edit = editOf(change(nodeObject(current)));
          const was = current.state === 'disabled';
          if (was !== edit.disabled) mayToggle(api, identity, name, was ? 'enable' : 'disable');
          return edit;
        };
        return nodeObject(await nodes.edit(name, wanted, { actor: identity, dryRun }));
      }),
    delete: async ({ name }, check, { dryRun }) => {
      const options = {
        dryRun,
        check: (current: Node) => {
          check(nodeObject(current));
        },
      };
      return nodeObject(await nodes.delete(name, identity, options));
    },
    changes: {
      resource: 'nodes',
      nameOf: ({ name }) => name,
      eventsOf: ({ type, object, previous }) =>
        Promise.resolve([
          {
            type,
            object: nodeObject(nodeIn(object)),
            ...(previous === undefined ? {} : { previous: nodeObject(nodeIn(previous)) }),
          },
        ]),
    },
  };
}

function mayToggle({ authorize }: Api, identity: Identity, name: string, subresource: Toggle): void {
  const asked = { verb: 'update', group: 'rotunda.dev', resource: 'nodes', subresource, name };
  if (authorize(identity, asked).allowed) return;
  throw new RotundaError('forbidden', `User ${JSON.stringify(identity.username)} cannot ${subresource} nodes`);
}

/** Broken rules under the paths of the object: the room knows a node's fields by their own names. */
async function inObjectTerms(work: () => Promise<PlainObject>): Promise<PlainObject> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof RotundaError) || error.code !== 'invalid') throw error;
    throw invalid((error.details.causes ?? []).map(placed), error.details.object);
  }
}

function placed(cause: FieldCause): FieldCause {
  const { field } = cause;
  if (field === undefined || /^(metadata|spec|status)\b/.test(field)) return cause;
  return { ...cause, field: `${/^(name|labels|annotations)\b/.test(field) ? 'metadata' : 'spec'}.${field}` };
}
