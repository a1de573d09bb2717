/** Shapes of the messages that clients send: enough to check types, to find unknown fields and to say so as Go does. */
export type Shape =
  | {
      readonly kind: 'string';
      readonly go?: string;
      readonly keepEmpty?: boolean;
      /** Always there, as a Go field without omitempty. */ readonly always?: boolean;
    }
  | { readonly kind: 'int32' | 'int64' }
  | { readonly kind: 'boolean'; readonly pointer?: boolean }
  /** base64 text of bytes. */
  | { readonly kind: 'bytes' }
  | { readonly kind: 'time' }
  /** Taken as it is. */
  | { readonly kind: 'any' }
  | { readonly kind: 'list'; readonly go: string; readonly of: Shape; readonly keepEmpty?: boolean }
  | { readonly kind: 'map'; readonly go: string; readonly of: Shape }
  | {
      readonly kind: 'struct';
      readonly name: string;
      readonly go: string;
      readonly fields: Readonly<Record<string, Shape>>;
      readonly always: readonly string[];
    };

export type StructShape = Extract<Shape, { kind: 'struct' }>;

const string: Shape = { kind: 'string' };
const strings: Shape = { kind: 'list', go: '[]string', of: string };
const stringMap: Shape = { kind: 'map', go: 'map[string]string', of: string };
const boolean: Shape = { kind: 'boolean' };
const time: Shape = { kind: 'time' };
const any: Shape = { kind: 'any' };

export function struct(name: string, fields: Readonly<Record<string, Shape>>, go = `v1.${name}`): StructShape {
  const always = Object.keys(fields).filter(
    (field) => fields[field]?.kind === 'string' && fields[field].always === true,
  );
  return { kind: 'struct', name, go, fields, always };
}

function listOf(of: StructShape): Shape {
  return { kind: 'list', go: `[]${of.go}`, of };
}

const ownerReference = struct('OwnerReference', {
  apiVersion: { kind: 'string', always: true },
  kind: { kind: 'string', always: true },
  name: { kind: 'string', always: true },
  uid: { kind: 'string', go: 'types.UID', always: true },
  controller: { kind: 'boolean', pointer: true },
  blockOwnerDeletion: { kind: 'boolean', pointer: true },
});

const managedFieldsEntry = struct('ManagedFieldsEntry', {
  manager: string,
  operation: { kind: 'string', go: 'v1.ManagedFieldsOperationType' },
  apiVersion: string,
  time,
  fieldsType: string,
  fieldsV1: any,
  subresource: string,
});

export const objectMeta = struct('ObjectMeta', {
  name: string,
  generateName: string,
  namespace: string,
  selfLink: string,
  uid: { kind: 'string', go: 'types.UID' },
  resourceVersion: string,
  generation: { kind: 'int64' },
  creationTimestamp: time,
  deletionTimestamp: time,
  deletionGracePeriodSeconds: { kind: 'int64' },
  labels: stringMap,
  annotations: stringMap,
  ownerReferences: listOf(ownerReference),
  finalizers: strings,
  managedFields: listOf(managedFieldsEntry),
});

const condition = struct('CertificateSigningRequestCondition', {
  type: { kind: 'string', go: 'v1.RequestConditionType', always: true },
  status: { kind: 'string', go: 'v1.ConditionStatus', always: true },
  reason: string,
  message: string,
  lastUpdateTime: time,
  lastTransitionTime: time,
});

const extra: Shape = {
  kind: 'map',
  go: 'map[string]v1.ExtraValue',
  of: { kind: 'list', go: 'v1.ExtraValue', of: string, keepEmpty: true },
};

const typeMeta = { kind: string, apiVersion: string };

/** certificates.k8s.io/v1. */
export const certificateSigningRequest = struct('CertificateSigningRequest', {
  ...typeMeta,
  metadata: objectMeta,
  spec: struct('CertificateSigningRequestSpec', {
    request: { kind: 'bytes' },
    signerName: string,
    expirationSeconds: { kind: 'int32' },
    usages: { kind: 'list', go: '[]v1.KeyUsage', of: { kind: 'string', go: 'v1.KeyUsage', keepEmpty: true } },
    username: string,
    uid: string,
    groups: strings,
    extra,
  }),
  status: struct('CertificateSigningRequestStatus', { conditions: listOf(condition), certificate: { kind: 'bytes' } }),
});

const bytesMap: Shape = { kind: 'map', go: 'map[string][]uint8', of: { kind: 'bytes' } };

/** core/v1. */
export const secret = struct('Secret', {
  ...typeMeta,
  metadata: objectMeta,
  immutable: { kind: 'boolean', pointer: true },
  data: bytesMap,
  stringData: stringMap,
  type: { kind: 'string', go: 'v1.SecretType' },
});
export const configMap = struct('ConfigMap', {
  ...typeMeta,
  metadata: objectMeta,
  immutable: { kind: 'boolean', pointer: true },
  data: stringMap,
  binaryData: bytesMap,
});

/** meta/v1. */
export const deleteOptions = struct('DeleteOptions', {
  ...typeMeta,
  gracePeriodSeconds: { kind: 'int64' },
  preconditions: struct('Preconditions', {
    uid: { kind: 'string', go: 'types.UID', keepEmpty: true },
    resourceVersion: { kind: 'string', keepEmpty: true },
  }),
  orphanDependents: { kind: 'boolean', pointer: true },
  propagationPolicy: { kind: 'string', go: 'v1.DeletionPropagation', keepEmpty: true },
  dryRun: strings,
  ignoreStoreReadErrorWithClusterBreakingPotential: boolean,
});

const resourceAttributes = struct('ResourceAttributes', {
  namespace: string,
  verb: string,
  group: string,
  version: string,
  resource: string,
  subresource: string,
  name: string,
  fieldSelector: any,
  labelSelector: any,
});
const nonResourceAttributes = struct('NonResourceAttributes', { path: string, verb: string });
const accessAttributes = { resourceAttributes, nonResourceAttributes };

function review(name: string, spec: Readonly<Record<string, Shape>>): StructShape {
  return struct(name, { ...typeMeta, metadata: objectMeta, spec: struct(`${name}Spec`, spec), status: any });
}

/** authentication.k8s.io/v1. */
export const selfSubjectReview = struct('SelfSubjectReview', { ...typeMeta, metadata: objectMeta, status: any });
/** authorization.k8s.io/v1. */
export const selfSubjectAccessReview = review('SelfSubjectAccessReview', accessAttributes);
export const subjectAccessReview = review('SubjectAccessReview', {
  ...accessAttributes,
  user: string,
  groups: strings,
  extra,
  uid: string,
});
export const selfSubjectRulesReview = review('SelfSubjectRulesReview', { namespace: string });
