import { isIP } from 'node:net';

import { rfc3339 } from '../../../csr/time.js';
import type { Node } from '../../../fleet/types.js';
import type { Change } from '../../../store/types.js';
import type { Api } from '../call.js';
import { humanDuration } from '../human-duration.js';
import type { PlainObject, ResourceBackend, ResourceChanges, ResourceKind } from '../resources/types.js';
import { column } from '../table.js';

/**
 * core/v1 Nodes, to read: what is enrolled, in the shape in which a kubelet looks for its own. A kubelet learns its
 * addresses from this object and asks for no serving certificate before (kubelet 1.36 `getLastObservedNodeAddresses`
 * reads `status.addresses` from its informer); so it asks for exactly what its node is enrolled with, and again when
 * that changes. There are no conditions: whether a node is ready is for an API server to say, and `kubeadm join` stops
 * at a node of its name only where that says Ready.
 *
 * Not among the kinds that discovery lists: `kubectl get nodes` means the nodes of an API server.
 */
export const coreNodes: ResourceKind = {
  group: '',
  version: 'v1',
  resource: 'nodes',
  singular: 'node',
  kind: 'Node',
  shortNames: ['no'],
  namespaced: false,
  verbs: ['get', 'list', 'watch'],
  shape: { kind: 'struct', name: 'Node', go: 'v1.Node', fields: {}, always: [] },
  package: 'io.k8s.api.core.v1',
  description: 'An enrolled machine as its kubelet looks for it.',
  descriptions: {},
  columns: [
    column('Name', 'Name of the node.', 'name'),
    column('Addresses', 'Addresses that it is enrolled with.'),
    column('Age', 'Time since it was enrolled.'),
  ],
  cells: ({ metadata, ...rest }, now) => [
    metadata.name,
    addressTexts(rest).join(','),
    humanDuration(now - Date.parse(metadata.creationTimestamp)),
  ],
  fields: {},
  open: (api, identity) => {
    // A join asks whether there is a node of its name already, and goes on where there is none.
    if (identity.roles.includes('bootstrapper')) return { get: () => Promise.resolve(undefined) };
    return identity.node === undefined ? everyNode(api) : ownNode(api, identity.node);
  },
};

function everyNode({ nodes }: Api): ResourceBackend {
  return {
    get: async ({ name }) => shown(await nodes.find(name)),
    list: async ({ limit, after }) => {
      const { items, revision } = await nodes.snapshot({ limit, ...(after !== undefined && { after: after.name }) });
      return { items: items.map(objectOf), revision };
    },
    changes,
  };
}

/** A node sees itself. That it asks for nobody else is decided before, by name. */
function ownNode({ nodes, store }: Api, own: string): ResourceBackend {
  return {
    get: async ({ name }) => (name === own ? shown(await nodes.find(own)) : undefined),
    list: async ({ after }) => {
      // The revision first: what changes in between is then seen twice rather than never.
      const revision = await store.revision();
      const found = after === undefined ? shown(await nodes.find(own)) : undefined;
      return { items: found === undefined ? [] : [found], revision };
    },
    changes: {
      ...changes,
      eventsOf: (change, namespace) =>
        change.name === own ? changes.eventsOf(change, namespace) : Promise.resolve([]),
    },
  };
}

const changes: ResourceChanges = {
  resource: 'nodes',
  nameOf: ({ name }) => name,
  eventsOf: (change: Change) => {
    const { type, revision, previous } = change;
    const object = objectOf({ ...(JSON.parse(change.object) as Node), revision });
    const before = previous === undefined ? {} : { previous: objectOf(JSON.parse(previous) as Node) };
    return Promise.resolve([{ type, object, ...before }]);
  },
};

function shown(node: Node | undefined): PlainObject | undefined {
  return node === undefined ? undefined : objectOf(node);
}

function objectOf(node: Node): PlainObject {
  const { name, uid, revision, createdAt, labels } = node;
  const noted = Object.keys(labels).length === 0 ? {} : { labels };
  return {
    metadata: { name, uid, resourceVersion: String(revision), creationTimestamp: rfc3339(createdAt), ...noted },
    spec: {},
    status: { addresses: addressesOf(node) },
  };
}

type Address = { readonly type: 'Hostname' | 'InternalIP' | 'InternalDNS'; readonly address: string };

/** The node's own name first: kubelets expect a Hostname. */
function addressesOf({ name, addresses, dnsNames }: Node): Address[] {
  return [
    { type: 'Hostname', address: name },
    ...addresses.filter((address) => isIP(address) !== 0).map((address): Address => ({ type: 'InternalIP', address })),
    ...dnsNames.filter((dns) => dns !== name).map((address): Address => ({ type: 'InternalDNS', address })),
  ];
}

function addressTexts(object: Readonly<Record<string, unknown>>): string[] {
  const { addresses } = object['status'] as { addresses: readonly Address[] };
  return addresses.flatMap(({ type, address }) => (type === 'InternalIP' ? [address] : []));
}
