import type { Identity } from '../../../identity/types.js';
import type { Change, ChangeType } from '../../../store/types.js';
import type { Api } from '../call.js';
import type { StructShape } from '../codec/schema.js';
import type { Column } from '../table.js';

/** Metadata as it is stored and shown. Times are RFC 3339 with seconds; `resourceVersion` is a decimal number. */
export type PlainMetadata = {
  readonly name: string;
  /** Only of kinds that are in namespaces. */
  readonly namespace?: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly creationTimestamp: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
};

/** A Kubernetes object as JSON data, without kind and apiVersion: those are its kind's. */
export type PlainObject = { readonly metadata: PlainMetadata } & Readonly<Record<string, unknown>>;

/** What a client wants stored: decoded, of the kind's shape, its metadata checked; nothing in it is the server's yet. */
export type PlainDraft = { readonly metadata: DraftMetadata } & Readonly<Record<string, unknown>>;

export type DraftMetadata = Pick<PlainMetadata, 'name' | 'namespace' | 'labels' | 'annotations'>;

/** `namespace` is empty for kinds that are in none. */
export type ObjectKey = { readonly namespace: string; readonly name: string };

/** One page of a list in the order of namespace and name, beginning behind `after`. */
export type PageQuery = {
  /** Undefined: of all namespaces. */
  readonly namespace?: string | undefined;
  readonly after?: ObjectKey | undefined;
  readonly limit: number;
};

export type Page = {
  /** Fewer than `limit` only at the end. */
  readonly items: readonly PlainObject[];
  /** The version that the list is of: a watch from there misses nothing. */
  readonly revision: number;
};

/** With `dryRun` everything is checked and nothing written. */
export type WriteHow = { readonly dryRun: boolean };

/**
 * What a client wants of the current object; runs where the write is decided, perhaps more than once, and must have no
 * effect. Throws what the client is to be told: a conflict, a patch that does not fit.
 */
export type ObjectChange = (current: PlainObject) => PlainDraft;

export type WatchEvent = {
  readonly type: ChangeType;
  readonly object: PlainObject;
  /** The state before, where labels or other selectable fields may have changed. */
  readonly previous?: PlainObject;
};

/** A kind's entries in the change log. */
export type ResourceChanges = {
  /** As in Change.resource. */
  readonly resource: string;
  /** Change.name of one object, where all its changes have that name: a watch by name then sees no others. */
  readonly nameOf?: (key: ObjectKey) => string;
  /** What a change is to a watch over `namespace` (undefined: all of them). Called in the order of the changes, one at a time. */
  readonly eventsOf: (change: Change, namespace: string | undefined) => Promise<readonly WatchEvent[]>;
};

/**
 * The objects of one kind as one caller sees them. Methods that a kind does not have are left out. Errors are RotundaErrors:
 * 'not-found', 'already-exists', 'invalid' with field paths of the object, 'forbidden', 'conflict'. They need not
 * name the object; whoever calls adds its kind and name.
 */
export type ResourceBackend = {
  get(key: ObjectKey): Promise<PlainObject | undefined>;
  readonly list?: (page: PageQuery) => Promise<Page>;
  readonly create?: (draft: PlainDraft, how: WriteHow) => Promise<PlainObject>;
  /** An update that changes nothing returns the current object as it is. */
  readonly update?: (key: ObjectKey, change: ObjectChange, how: WriteHow) => Promise<PlainObject>;
  /** `check` throws when the current object is not the one that the client means. Returns the last state. */
  readonly delete?: (key: ObjectKey, check: (current: PlainObject) => void, how: WriteHow) => Promise<PlainObject>;
  readonly changes?: ResourceChanges;
};

/** One kind of plain objects: what discovery, OpenAPI, decoding, selectors and tables need, and where its objects are. */
export type ResourceKind = {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  /** Plural, as in URLs. */
  readonly resource: string;
  readonly singular: string;
  readonly kind: string;
  readonly shortNames?: readonly string[];
  readonly namespaced: boolean;
  /** Sorted, as discovery lists them. A verb that is not here is answered with 405. */
  readonly verbs: readonly string[];
  /** Of the whole object: kind, apiVersion, metadata and the rest. */
  readonly shape: StructShape;
  /** Where its OpenAPI models are: `io.k8s.api.core.v1`, `dev.rotunda.v1`. */
  readonly package: string;
  /** What `kubectl explain` says of the kind. */
  readonly description: string;
  /** What `kubectl explain` says of fields, by path: `data`, `spec.addresses`. */
  readonly descriptions: Readonly<Record<string, string>>;
  readonly columns: readonly Column[];
  readonly cells: (object: PlainObject, now: number) => readonly unknown[];
  /** Field selectors beside metadata.name and metadata.namespace. */
  readonly fields: Readonly<Record<string, (object: PlainObject) => string>>;
  /** Not to be called for more than one request: it sees what the caller may see. */
  readonly open: (api: Api, identity: Identity) => ResourceBackend;
};

/** `v1`, or `group/v1`. */
export function groupVersionOf({ group, version }: Pick<ResourceKind, 'group' | 'version'>): string {
  return group === '' ? version : `${group}/${version}`;
}
