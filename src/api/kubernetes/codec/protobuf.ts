import protobuf from 'protobufjs';

import { isTooDeep } from './json-scan.js';

/** Four bytes before every Kubernetes protobuf body: `k8s` and NUL. */
export const protobufMagic = Buffer.from([0x6b, 0x38, 0x73, 0x00]);

type FieldSpec = readonly [id: number, type: string, rule?: 'repeated' | 'map'];

/** Field numbers of the generated.proto files of k8s.io/api and apimachinery (wire contract, never renumbered). */
const messages: Readonly<Record<string, Readonly<Record<string, FieldSpec>>>> = {
  TypeMeta: { apiVersion: [1, 'string'], kind: [2, 'string'] },
  Unknown: { typeMeta: [1, 'TypeMeta'], raw: [2, 'bytes'], contentEncoding: [3, 'string'], contentType: [4, 'string'] },
  Time: { seconds: [1, 'int64'], nanos: [2, 'int32'] },
  OwnerReference: {
    kind: [1, 'string'],
    name: [3, 'string'],
    uid: [4, 'string'],
    apiVersion: [5, 'string'],
    controller: [6, 'bool'],
    blockOwnerDeletion: [7, 'bool'],
  },
  FieldsV1: { Raw: [1, 'bytes'] },
  ManagedFieldsEntry: {
    manager: [1, 'string'],
    operation: [2, 'string'],
    apiVersion: [3, 'string'],
    time: [4, 'Time'],
    fieldsType: [6, 'string'],
    fieldsV1: [7, 'FieldsV1'],
    subresource: [8, 'string'],
  },
  ObjectMeta: {
    name: [1, 'string'],
    generateName: [2, 'string'],
    namespace: [3, 'string'],
    selfLink: [4, 'string'],
    uid: [5, 'string'],
    resourceVersion: [6, 'string'],
    generation: [7, 'int64'],
    creationTimestamp: [8, 'Time'],
    deletionTimestamp: [9, 'Time'],
    deletionGracePeriodSeconds: [10, 'int64'],
    labels: [11, 'string', 'map'],
    annotations: [12, 'string', 'map'],
    ownerReferences: [13, 'OwnerReference', 'repeated'],
    finalizers: [14, 'string', 'repeated'],
    managedFields: [17, 'ManagedFieldsEntry', 'repeated'],
  },
  ListMeta: {
    selfLink: [1, 'string'],
    resourceVersion: [2, 'string'],
    continue: [3, 'string'],
    remainingItemCount: [4, 'int64'],
  },
  ExtraValue: { items: [1, 'string', 'repeated'] },
  CertificateSigningRequestSpec: {
    request: [1, 'bytes'],
    username: [2, 'string'],
    uid: [3, 'string'],
    groups: [4, 'string', 'repeated'],
    usages: [5, 'string', 'repeated'],
    extra: [6, 'ExtraValue', 'map'],
    signerName: [7, 'string'],
    expirationSeconds: [8, 'int32'],
  },
  CertificateSigningRequestCondition: {
    type: [1, 'string'],
    reason: [2, 'string'],
    message: [3, 'string'],
    lastUpdateTime: [4, 'Time'],
    lastTransitionTime: [5, 'Time'],
    status: [6, 'string'],
  },
  CertificateSigningRequestStatus: {
    conditions: [1, 'CertificateSigningRequestCondition', 'repeated'],
    certificate: [2, 'bytes'],
  },
  CertificateSigningRequest: {
    metadata: [1, 'ObjectMeta'],
    spec: [2, 'CertificateSigningRequestSpec'],
    status: [3, 'CertificateSigningRequestStatus'],
  },
  CertificateSigningRequestList: { metadata: [1, 'ListMeta'], items: [2, 'CertificateSigningRequest', 'repeated'] },
  Secret: {
    metadata: [1, 'ObjectMeta'],
    data: [2, 'bytes', 'map'],
    type: [3, 'string'],
    stringData: [4, 'string', 'map'],
    immutable: [5, 'bool'],
  },
  SecretList: { metadata: [1, 'ListMeta'], items: [2, 'Secret', 'repeated'] },
  ConfigMap: {
    metadata: [1, 'ObjectMeta'],
    data: [2, 'string', 'map'],
    binaryData: [3, 'bytes', 'map'],
    immutable: [4, 'bool'],
  },
  ConfigMapList: { metadata: [1, 'ListMeta'], items: [2, 'ConfigMap', 'repeated'] },
  Preconditions: { uid: [1, 'string'], resourceVersion: [2, 'string'] },
  DeleteOptions: {
    gracePeriodSeconds: [1, 'int64'],
    preconditions: [2, 'Preconditions'],
    orphanDependents: [3, 'bool'],
    propagationPolicy: [4, 'string'],
    dryRun: [5, 'string', 'repeated'],
  },
  UserInfo: {
    username: [1, 'string'],
    uid: [2, 'string'],
    groups: [3, 'string', 'repeated'],
    extra: [4, 'ExtraValue', 'map'],
  },
  SelfSubjectReviewStatus: { userInfo: [1, 'UserInfo'] },
  SelfSubjectReview: { metadata: [1, 'ObjectMeta'], status: [2, 'SelfSubjectReviewStatus'] },
  ResourceAttributes: {
    namespace: [1, 'string'],
    verb: [2, 'string'],
    group: [3, 'string'],
    version: [4, 'string'],
    resource: [5, 'string'],
    subresource: [6, 'string'],
    name: [7, 'string'],
  },
  NonResourceAttributes: { path: [1, 'string'], verb: [2, 'string'] },
  SelfSubjectAccessReviewSpec: {
    resourceAttributes: [1, 'ResourceAttributes'],
    nonResourceAttributes: [2, 'NonResourceAttributes'],
  },
  SelfSubjectAccessReview: { metadata: [1, 'ObjectMeta'], spec: [2, 'SelfSubjectAccessReviewSpec'] },
  SubjectAccessReviewSpec: {
    resourceAttributes: [1, 'ResourceAttributes'],
    nonResourceAttributes: [2, 'NonResourceAttributes'],
    user: [3, 'string'],
    groups: [4, 'string', 'repeated'],
    extra: [5, 'ExtraValue', 'map'],
    uid: [6, 'string'],
  },
  SubjectAccessReview: { metadata: [1, 'ObjectMeta'], spec: [2, 'SubjectAccessReviewSpec'] },
  SelfSubjectRulesReviewSpec: { namespace: [1, 'string'] },
  SelfSubjectRulesReview: { metadata: [1, 'ObjectMeta'], spec: [2, 'SelfSubjectRulesReviewSpec'] },
};

const root = protobuf.Root.fromJSON({
  nested: Object.fromEntries(
    Object.entries(messages).map(([name, fields]) => [
      name,
      {
        fields: Object.fromEntries(
          Object.entries(fields).map(([field, [id, type, rule]]) => [
            field,
            rule === 'map' ? { id, type, keyType: 'string' } : rule === 'repeated' ? { id, type, rule } : { id, type },
          ]),
        ),
      },
    ]),
  ),
});
const types = new Map(Object.keys(messages).map((name) => [name, root.lookupType(name)]));
const unknown = root.lookupType('Unknown');

export type Envelope = { readonly apiVersion: string; readonly kind: string; readonly raw: Uint8Array };

/** Opens the envelope. Throws whatever the decoder throws on a damaged one. */
export function openEnvelope(body: Buffer): Envelope {
  const message = unknown.decode(body.subarray(protobufMagic.length)) as unknown as {
    typeMeta?: { apiVersion?: string; kind?: string };
    raw?: Uint8Array;
  };
  return {
    apiVersion: message.typeMeta?.apiVersion ?? '',
    kind: message.typeMeta?.kind ?? '',
    raw: message.raw ?? new Uint8Array(),
  };
}

/** Whether messages of this kind are known. */
export function hasMessage(kind: string): boolean {
  return types.has(kind);
}

/** Decodes a message into the JSON data that would say the same. Throws whatever the decoder throws on a damaged one. */
export function decodeMessage(kind: string, raw: Uint8Array): unknown {
  const type = types.get(kind);
  if (type === undefined) throw new RangeError(`no message of kind ${kind}`);
  return toJson(type, type.decode(raw));
}

/** Encodes JSON data of a known kind with its envelope. */
export function encodeMessage(kind: string, apiVersion: string, value: unknown): Buffer {
  const type = types.get(kind);
  if (type === undefined) throw new RangeError(`no message of kind ${kind}`);
  const raw = type.encode(type.fromObject(fromJson(type, value))).finish();
  return Buffer.concat([
    protobufMagic,
    unknown.encode(unknown.fromObject({ typeMeta: { apiVersion, kind }, raw })).finish(),
  ]);
}

type Fields = Record<string, unknown>;

/** Only fields that were sent are own properties of a decoded message; the rest are defaults of its prototype. */
function toJson(type: protobuf.Type, value: Fields): unknown {
  if (type.name === 'Time') return timeText(value);
  if (type.name === 'ExtraValue') return value['items'] ?? [];
  if (type.name === 'FieldsV1') return fieldsText(value['Raw']);
  return mapFields(type, value, (resolved, field, item) => {
    if (resolved !== undefined) return toJson(resolved, item as Fields);
    if (field.type === 'bytes') return Buffer.from(item as Uint8Array).toString('base64');
    // 64-bit integers are objects where a library for them is installed.
    return field.type === 'int64' ? Number(String(item)) : item;
  });
}

function fromJson(type: protobuf.Type, value: unknown): Fields {
  if (type.name === 'Time') return { seconds: Math.floor(Date.parse(String(value)) / 1000), nanos: 0 };
  if (type.name === 'ExtraValue') return { items: value };
  if (type.name === 'FieldsV1') return { Raw: Buffer.from(JSON.stringify(value)) };
  return mapFields(type, value as Fields, (resolved, field, item) => {
    if (resolved !== undefined) return fromJson(resolved, item);
    return field.type === 'bytes' ? Buffer.from(String(item), 'base64') : item;
  });
}

function mapFields(
  type: protobuf.Type,
  value: Fields,
  convert: (resolved: protobuf.Type | undefined, field: protobuf.Field, item: unknown) => unknown,
): Fields {
  const result: Fields = {};
  for (const name of Object.keys(value)) {
    const field = Object.hasOwn(type.fields, name) ? type.fields[name] : undefined;
    const given = value[name];
    if (field === undefined || given === undefined || given === null) continue;
    const resolved = types.get(field.type);
    const one = (item: unknown): unknown => convert(resolved, field, item);
    const converted =
      field instanceof protobuf.MapField
        ? Object.fromEntries(Object.entries(given as Fields).map(([key, item]) => [key, one(item)]))
        : field.repeated
          ? (given as unknown[]).map(one)
          : one(given);
    if (converted !== undefined) result[field.name] = converted;
  }
  return result;
}

/** An unset time is sent as an empty message. */
function timeText(value: Fields): string | undefined {
  const seconds = Number(value['seconds'] ?? 0);
  if (seconds === 0 && Number(value['nanos'] ?? 0) === 0) return undefined;
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? 'out of range' : `${date.toISOString().slice(0, 19)}Z`;
}

function fieldsText(raw: unknown): unknown {
  if (raw === undefined) return undefined;
  const text = Buffer.from(raw as Uint8Array).toString('utf8');
  if (isTooDeep(text)) throw new Error('exceeded max depth');
  return JSON.parse(text) as unknown;
}
