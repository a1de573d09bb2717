import type { Node, NodeEdit } from '../../../fleet/types.js';
import type { PlainDraft, PlainObject } from '../resources/types.js';

/** What of a Node's spec is the client's to say. */
type NodeSpec = {
  readonly addresses?: readonly string[];
  readonly dnsNames?: readonly string[];
  readonly disabled?: boolean;
};

/** An enrolled machine as a Kubernetes object. */
export function nodeObject(node: Node): PlainObject {
  const { name, uid, revision, createdAt, labels, annotations, addresses, dnsNames, state } = node;
  return {
    metadata: {
      name,
      uid,
      resourceVersion: String(revision),
      creationTimestamp: timeText(createdAt),
      ...(isEmpty(labels) ? {} : { labels }),
      ...(isEmpty(annotations) ? {} : { annotations }),
    },
    spec: {
      ...(addresses.length === 0 ? {} : { addresses }),
      ...(dnsNames.length === 0 ? {} : { dnsNames }),
      ...(state === 'disabled' ? { disabled: true } : {}),
    },
    status: {
      state,
      createdBy: node.createdBy,
      ...(node.joinedAt === undefined ? {} : { joinedAt: timeText(node.joinedAt) }),
      ...(node.disabledAt === undefined ? {} : { disabledAt: timeText(node.disabledAt) }),
    },
  };
}

/** What a client wants of a node; its status is the service's. */
export function editOf(draft: PlainDraft): NodeEdit {
  const { labels, annotations } = draft.metadata;
  // Decoded by the shape of the kind.
  const spec = (draft['spec'] ?? {}) as NodeSpec;
  return {
    addresses: spec.addresses ?? [],
    dnsNames: spec.dnsNames ?? [],
    labels: labels ?? {},
    annotations: annotations ?? {},
    disabled: spec.disabled === true,
  };
}

/** The node of a change in the change log. */
export function nodeIn(text: string): Node {
  // Written by this program only; members that are undefined are not in it.
  return JSON.parse(text) as Node;
}

function isEmpty(map: Readonly<Record<string, string>>): boolean {
  return Object.keys(map).length === 0;
}

/** RFC 3339 with seconds. */
function timeText(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
