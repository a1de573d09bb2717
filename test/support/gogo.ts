/**
 * Requests as generated Go clients encode them: `k8s\0` and an Unknown message around the object, written by
 * gogo-protobuf, which writes empty strings and messages out. Kept apart from the service's decoder on purpose.
 */
type Rule =
  /** Always written: Go values that are no pointers. */
  | 'string'
  | 'int64'
  | 'bool'
  | 'time'
  /** Written when there. */
  | 'string?'
  | 'int32?'
  | 'int64?'
  | 'bool?'
  | 'time?'
  | 'bytes'
  | 'string*'
  | 'map'
  | 'extra'
  | 'fields'
  | { readonly always: string }
  | { readonly optional: string }
  | { readonly repeated: string };

type Message = Readonly<Record<string, readonly [number, Rule]>>;

const reviewAttributes: Message = {
  resourceAttributes: [1, { optional: 'ResourceAttributes' }],
  nonResourceAttributes: [2, { optional: 'NonResourceAttributes' }],
};

const messages: Readonly<Record<string, Message>> = {
  OwnerReference: {
    kind: [1, 'string'],
    name: [3, 'string'],
    uid: [4, 'string'],
    apiVersion: [5, 'string'],
    controller: [6, 'bool?'],
    blockOwnerDeletion: [7, 'bool?'],
  },
  ManagedFieldsEntry: {
    manager: [1, 'string'],
    operation: [2, 'string'],
    apiVersion: [3, 'string'],
    time: [4, 'time?'],
    fieldsType: [6, 'string'],
    fieldsV1: [7, 'fields'],
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
    creationTimestamp: [8, 'time'],
    deletionTimestamp: [9, 'time?'],
    deletionGracePeriodSeconds: [10, 'int64?'],
    labels: [11, 'map'],
    annotations: [12, 'map'],
    ownerReferences: [13, { repeated: 'OwnerReference' }],
    finalizers: [14, 'string*'],
    managedFields: [17, { repeated: 'ManagedFieldsEntry' }],
  },
  CertificateSigningRequest: {
    metadata: [1, { always: 'ObjectMeta' }],
    spec: [2, { always: 'CertificateSigningRequestSpec' }],
    status: [3, { always: 'CertificateSigningRequestStatus' }],
  },
  CertificateSigningRequestSpec: {
    request: [1, 'bytes'],
    username: [2, 'string'],
    uid: [3, 'string'],
    groups: [4, 'string*'],
    usages: [5, 'string*'],
    extra: [6, 'extra'],
    signerName: [7, 'string'],
    expirationSeconds: [8, 'int32?'],
  },
  CertificateSigningRequestStatus: {
    conditions: [1, { repeated: 'CertificateSigningRequestCondition' }],
    certificate: [2, 'bytes'],
  },
  CertificateSigningRequestCondition: {
    type: [1, 'string'],
    reason: [2, 'string'],
    message: [3, 'string'],
    lastUpdateTime: [4, 'time'],
    lastTransitionTime: [5, 'time'],
    status: [6, 'string'],
  },
  DeleteOptions: {
    gracePeriodSeconds: [1, 'int64?'],
    preconditions: [2, { optional: 'Preconditions' }],
    orphanDependents: [3, 'bool?'],
    propagationPolicy: [4, 'string?'],
    dryRun: [5, 'string*'],
  },
  Preconditions: { uid: [1, 'string?'], resourceVersion: [2, 'string?'] },
  SelfSubjectReview: {
    metadata: [1, { always: 'ObjectMeta' }],
    status: [2, { always: 'SelfSubjectReviewStatus' }],
  },
  SelfSubjectReviewStatus: { userInfo: [1, { always: 'UserInfo' }] },
  UserInfo: { username: [1, 'string'], uid: [2, 'string'], groups: [3, 'string*'], extra: [4, 'extra'] },
  SelfSubjectAccessReview: {
    metadata: [1, { always: 'ObjectMeta' }],
    spec: [2, { always: 'SelfSubjectAccessReviewSpec' }],
    status: [3, { always: 'SubjectAccessReviewStatus' }],
  },
  SelfSubjectAccessReviewSpec: reviewAttributes,
  SubjectAccessReview: {
    metadata: [1, { always: 'ObjectMeta' }],
    spec: [2, { always: 'SubjectAccessReviewSpec' }],
    status: [3, { always: 'SubjectAccessReviewStatus' }],
  },
  SubjectAccessReviewSpec: {
    ...reviewAttributes,
    user: [3, 'string'],
    groups: [4, 'string*'],
    extra: [5, 'extra'],
    uid: [6, 'string'],
  },
  SubjectAccessReviewStatus: {
    allowed: [1, 'bool'],
    reason: [2, 'string'],
    evaluationError: [3, 'string'],
    denied: [4, 'bool'],
  },
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
  SelfSubjectRulesReview: {
    metadata: [1, { always: 'ObjectMeta' }],
    spec: [2, { always: 'SelfSubjectRulesReviewSpec' }],
    status: [3, { always: 'SubjectRulesReviewStatus' }],
  },
  SelfSubjectRulesReviewSpec: { namespace: [1, 'string'] },
  SubjectRulesReviewStatus: { incomplete: [3, 'bool'], evaluationError: [4, 'string'] },
};

/** The body of a typed client's request. `value` is the object as JSON shows it, with or without kind and apiVersion. */
export function gogoBody(apiVersion: string, kind: string, value: unknown): Buffer {
  return Buffer.concat([
    Buffer.from('k8s\0'),
    bytes(1, Buffer.concat([bytes(1, apiVersion), bytes(2, kind)])),
    bytes(2, encode(kind, value)),
    bytes(3, ''),
    bytes(4, ''),
  ]);
}

function encode(name: string, value: unknown): Buffer {
  const message = messages[name];
  if (message === undefined) throw new Error(`no message ${name}`);
  const fields = (value ?? {}) as Readonly<Record<string, unknown>>;
  return Buffer.concat(
    Object.entries(message).flatMap(([field, [number, rule]]) => fieldOf(number, rule, fields[field])),
  );
}

function fieldOf(number: number, rule: Rule, value: unknown): Buffer[] {
  if (typeof rule === 'object') {
    if ('always' in rule) return [bytes(number, encode(rule.always, value))];
    if ('optional' in rule) return value === undefined ? [] : [bytes(number, encode(rule.optional, value))];
    return listOf(value).map((item) => bytes(number, encode(rule.repeated, item)));
  }
  if (rule.endsWith('?') && value === undefined) return [];
  switch (rule) {
    case 'string':
    case 'string?':
      return [bytes(number, (value as string | undefined) ?? '')];
    case 'string*':
      return listOf(value).map((item) => bytes(number, item as string));
    case 'int64':
    case 'int64?':
    case 'int32?':
      return [Buffer.concat([varint(number << 3), varint((value as number | undefined) ?? 0)])];
    case 'bool':
    case 'bool?':
      return [Buffer.concat([varint(number << 3), varint(value === true ? 1 : 0)])];
    case 'time':
    case 'time?':
      return [bytes(number, value === undefined ? '' : time(value as string))];
    case 'bytes':
      return value === undefined ? [] : [bytes(number, Buffer.from(value as string, 'base64'))];
    case 'map':
      return entriesOf(value).map(([key, item]) =>
        bytes(number, Buffer.concat([bytes(1, key), bytes(2, item as string)])),
      );
    case 'extra':
      return entriesOf(value).map(([key, items]) =>
        bytes(number, Buffer.concat([bytes(1, key), bytes(2, repeatedText(items))])),
      );
    case 'fields':
      return value === undefined ? [] : [bytes(number, bytes(1, JSON.stringify(value)))];
  }
}

const listOf = (value: unknown): readonly unknown[] => (value ?? []) as readonly unknown[];
/** gogo writes maps sorted by key. */
const entriesOf = (value: unknown): [string, unknown][] =>
  Object.entries(value ?? {}).sort(([a], [b]) => (a < b ? -1 : 1)) as [string, unknown][];
const repeatedText = (items: unknown): Buffer => Buffer.concat(listOf(items).map((item) => bytes(1, item as string)));
const time = (text: string): Buffer =>
  Buffer.concat([varint(1 << 3), varint(Date.parse(text) / 1000), varint(2 << 3), varint(0)]);

function bytes(field: number, content: Buffer | string): Buffer {
  const data = typeof content === 'string' ? Buffer.from(content) : content;
  return Buffer.concat([varint((field << 3) | 2), varint(data.length), data]);
}

function varint(value: number): Buffer {
  const out: number[] = [];
  // Negative numbers are ten bytes of two's complement.
  let left = value < 0 ? (1n << 64n) + BigInt(value) : BigInt(value);
  while (left > 0x7fn) {
    out.push(Number(left & 0x7fn) | 0x80);
    left >>= 7n;
  }
  return Buffer.from([...out, Number(left)]);
}
