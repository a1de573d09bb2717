import { forbidden } from '../../../csr/causes.js';
import { labelMessages } from '../../../csr/syntax.js';
import { rfc3339 } from '../../../csr/time.js';
import type { ConfigMap, ConfigMapContent } from '../../../config-maps/types.js';
import { configMapOf, initialNamespaces } from '../../../config-maps/records.js';
import { type FieldCause, invalid } from '../../../errors.js';
import type { Identity } from '../../../identity/types.js';
import { configMapChanges, type ConfigMapRow } from '../../../store/queries/config-maps.js';
import type { Change } from '../../../store/types.js';
import type { Api } from '../call.js';
import { configMap } from '../codec/schema.js';
import { ageOf } from '../human-duration.js';
import type {
  ObjectKey,
  Page,
  PageQuery,
  PlainDraft,
  PlainObject,
  ResourceBackend,
  ResourceKind,
  WatchEvent,
} from '../resources/types.js';
import { stableUid } from '../stable-uid.js';
import { column } from '../table.js';

/** What joining nodes read: cluster-info, kubeadm-config, kubelet-config and kube-root-ca.crt. */
export const configMaps: ResourceKind = {
  group: '',
  version: 'v1',
  resource: 'configmaps',
  singular: 'configmap',
  kind: 'ConfigMap',
  shortNames: ['cm'],
  namespaced: true,
  verbs: ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'],
  shape: configMap,
  package: 'io.k8s.api.core.v1',
  description:
    'What joining nodes read. kube-public/cluster-info and kube-root-ca.crt follow from tokens and bundles; kubeadm-config and kubelet-config of kube-system are configured, or put here by an administrator. There are no others.',
  descriptions: {
    data: 'ClusterConfiguration in kubeadm-config, kubelet in kubelet-config.',
    binaryData: 'Not supported.',
    immutable: 'Not supported.',
  },
  columns: [
    column('Name', 'Which ConfigMap it is.', 'name'),
    column('Data', 'How many keys its data has.'),
    column('Age', 'Time since it was first published, or put here.'),
  ],
  cells: ({ metadata, data }, now) => [
    metadata.name,
    Object.keys(data ?? {}).length,
    ageOf(metadata.creationTimestamp, now),
  ],
  fields: {},
  open: backendOf,
};

function backendOf({ configMaps: room }: Api, identity: Identity): ResourceBackend {
  return {
    get: async (key) => {
      const found = isNamespace(key.namespace) ? await room.get(key) : undefined;
      return found === undefined ? undefined : objectOf(found);
    },
    list: (query) => list(room, query),
    create: async (draft, how) => {
      const { name, namespace = '' } = draft.metadata;
      return objectOf(await room.create({ namespace, name, ...contentOf(draft) }, identity, how));
    },
    update: async (key, change, how) => {
      const decide = (current: ConfigMap): ConfigMapContent => contentOf(change(objectOf(current)));
      return objectOf(await room.change(key, decide, identity, how));
    },
    delete: async (key, check, how) => {
      const seen = (current: ConfigMap): void => {
        check(objectOf(current));
      };
      return objectOf(await room.remove(key, seen, identity, how));
    },
    changes: { resource: configMapChanges, nameOf: changeName, eventsOf },
  };
}

/** One of all namespaces is kept under none; in each it has a uid of its own. */
const everywhere = 'kube-root-ca.crt';

function objectOf({ namespace, name, uid, revision, createdAt, labels, annotations, data }: ConfigMap): PlainObject {
  const metadata = {
    name,
    namespace,
    uid: name === everywhere ? stableUid(uid, namespace) : uid,
    resourceVersion: String(revision),
    creationTimestamp: rfc3339(createdAt),
    ...(Object.keys(labels).length === 0 ? {} : { labels }),
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
  };
  return { metadata, data };
}

/** Throws 'invalid' for what is not kept. */
function contentOf(draft: PlainDraft): ConfigMapContent {
  const { labels = {}, annotations = {}, name } = draft.metadata;
  const causes: FieldCause[] = [];
  if (draft['binaryData'] !== undefined) causes.push(forbidden('binaryData', 'not kept; put text into data'));
  if (draft['immutable'] === true) causes.push(forbidden('immutable', 'not kept; it can always be changed'));
  if (causes.length > 0) throw invalid(causes, { resource: 'configmaps', kind: 'ConfigMap', name });
  return { labels, annotations, data: (draft['data'] ?? {}) as Readonly<Record<string, string>> };
}

function isNamespace(text: string): boolean {
  return labelMessages(text).length === 0;
}

async function list(room: Api['configMaps'], { namespace, after, limit }: PageQuery): Promise<Page> {
  const { items, revision } = await room.list(
    namespace === undefined || isNamespace(namespace) ? namespace : initialNamespaces[0],
  );
  const objects = items.filter((item) => after === undefined || isBehind(item, after)).map(objectOf);
  return { items: objects.slice(0, limit), revision };
}

function isBehind({ namespace, name }: ConfigMap, after: ObjectKey): boolean {
  return namespace === after.namespace ? name > after.name : namespace > after.namespace;
}

function changeName({ namespace, name }: ObjectKey): string {
  return name === everywhere ? `/${name}` : `${namespace}/${name}`;
}

function eventsOf({ type, object, previous }: Change, namespace: string | undefined): Promise<WatchEvent[]> {
  const row = JSON.parse(object) as ConfigMapRow;
  const before = previous === undefined ? undefined : (JSON.parse(previous) as ConfigMapRow);
  const places = row.name !== everywhere ? [row.namespace] : namespace === undefined ? initialNamespaces : [namespace];
  const events = places
    .filter((place) => namespace === undefined || place === namespace)
    .map((place): WatchEvent => {
      const shown = (one: ConfigMapRow): PlainObject => objectOf({ ...configMapOf(one), namespace: place });
      return { type, object: shown(row), ...(before === undefined ? {} : { previous: shown(before) }) };
    });
  return Promise.resolve(events);
}
