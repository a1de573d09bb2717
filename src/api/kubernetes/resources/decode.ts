import { invalidValue, required } from '../../../csr/causes.js';
import { metadataCauses } from '../../../csr/metadata.js';
import { subdomainMessages } from '../../../csr/syntax.js';
import { invalid, RotundaError } from '../../../errors.js';
import type { Expected } from '../codec/decode.js';
import { refOf } from './errors.js';
import { type DraftMetadata, groupVersionOf, type PlainDraft, type PlainObject, type ResourceKind } from './types.js';

/** Metadata as clients send it, decoded. */
export type SentMetadata = Partial<DraftMetadata> & {
  readonly generateName?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly finalizers?: readonly string[];
  readonly ownerReferences?: readonly Readonly<Record<string, unknown>>[];
  readonly managedFields?: unknown;
};

export function expectedOf(kind: ResourceKind): Expected {
  return { kind: kind.kind, apiVersions: [groupVersionOf(kind)], shape: kind.shape };
}

export function sentMetadata(value: Readonly<Record<string, unknown>>): SentMetadata {
  return value['metadata'] ?? {};
}

/** Decoded data as a draft under a name, or throws 'invalid' with what upstream would say of its metadata. */
export function draftOf(
  kind: ResourceKind,
  value: Readonly<Record<string, unknown>>,
  key: { readonly namespace: string; readonly name: string },
): PlainDraft {
  const { kind: _kind, apiVersion: _apiVersion, metadata: _metadata, ...rest } = value;
  const { labels, annotations } = sentMetadata(value);
  const metadata: DraftMetadata = {
    name: key.name,
    ...(kind.namespaced ? { namespace: key.namespace } : {}),
    ...(labels === undefined ? {} : { labels }),
    ...(annotations === undefined ? {} : { annotations }),
  };
  const causes = metadataCauses(metadata);
  if (metadata.name !== '')
    causes.unshift(...subdomainMessages(metadata.name).map((text) => invalidValue('metadata.name', key.name, text)));
  if (kind.namespaced && key.namespace === '') causes.push(required('metadata.namespace'));
  if (causes.length > 0) throw invalid(causes, refOf(kind, key.name));
  return { ...rest, metadata };
}

/** Fields of metadata that upstream keeps and this service does not: the client is told. */
export function metadataWarnings({ finalizers, ownerReferences }: SentMetadata): string[] {
  return [
    ...(finalizers === undefined ? [] : ['metadata.finalizers: not kept; objects of this kind are deleted at once']),
    ...(ownerReferences === undefined ? [] : ['metadata.ownerReferences: not kept; nothing is deleted with its owner']),
  ];
}

/** Throws 'conflict' when what the client sent is of another object, or of an older state of it. */
export function checkVersion(kind: ResourceKind, current: PlainObject, sent: SentMetadata): void {
  const { uid, resourceVersion, name } = current.metadata;
  if (sent.uid !== undefined && sent.uid !== uid)
    throw new RotundaError(
      'conflict',
      `Precondition failed: UID in precondition: ${sent.uid}, UID in object meta: ${uid}`,
      { object: refOf(kind, name) },
    );
  if (sent.resourceVersion === undefined || sent.resourceVersion === '0' || sent.resourceVersion === resourceVersion)
    return;
  if (!/^\d{1,19}$/.test(sent.resourceVersion))
    throw invalid([invalidValue('metadata.resourceVersion', sent.resourceVersion, 'must be a decimal number')], {
      ...refOf(kind, name),
    });
  throw new RotundaError(
    'conflict',
    'the object has been modified; please apply your changes to the latest version and try again',
    { object: refOf(kind, name) },
  );
}
