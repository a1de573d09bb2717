import { createHash } from 'node:crypto';

import type { Shape, StructShape } from '../codec/schema.js';
import { certificateSigningRequest, objectMeta } from '../codec/schema.js';
import { group, kind, resource } from '../kinds.js';
import { plainKinds } from '../resources/registry.js';

type Schemas = Record<string, unknown>;
type Paths = Record<string, unknown>;
type GroupVersionKind = { readonly group: string; readonly version: string; readonly kind: string };

/** What a document says of one kind. */
type Described = {
  readonly groupVersionKind: GroupVersionKind;
  /** `certificates_v1`. */
  readonly tag: string;
  /** Where its models are: `io.k8s.api.certificates.v1`. */
  readonly package: string;
  readonly shape: StructShape;
  readonly description?: string;
  /** By path: `data`, `spec.addresses`. */
  readonly fields?: Readonly<Record<string, string>>;
};

const json = (schema: unknown): unknown => ({ 'application/json': { schema } });
const reference = (name: string): unknown => ({ $ref: `#/components/schemas/${name}` });
const parameters = ['dryRun', 'fieldManager', 'fieldValidation'].map((name) => ({
  name,
  in: 'query',
  schema: { type: 'string', uniqueItems: true },
}));

type Operations = Readonly<Record<'list' | 'post' | 'get' | 'put' | 'patch' | 'delete' | 'deletecollection', unknown>>;

/** As much of the operations as kubectl looks at: kinds, and `fieldValidation`, with which it leaves validation to the server. */
function operationsOf({ groupVersionKind, tag, package: from, shape }: Described): Operations {
  const model = `${from}.${shape.name}`;
  const responses = {
    200: { description: 'OK', content: json(reference(model)) },
    401: { description: 'Unauthorized' },
  };
  const operation = (action: string, rest: object = {}): unknown => ({
    tags: [tag],
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': groupVersionKind,
    responses,
    ...rest,
  });
  const body = { requestBody: { content: json(reference(model)) } };
  return {
    list: operation('list'),
    post: operation('post', { parameters, ...body }),
    get: operation('get'),
    put: operation('put', { parameters, ...body }),
    patch: operation('patch', { parameters, ...body }),
    delete: operation('delete'),
    deletecollection: operation('deletecollection'),
  };
}

function documentOf(paths: Paths, kinds: readonly Described[]): string {
  const schemas: Schemas = {};
  for (const one of kinds) {
    collect(one.shape, schemas, { package: one.package, fields: one.fields ?? {}, path: '' });
    const name = `${one.package}.${one.shape.name}`;
    const description = one.description === undefined ? {} : { description: one.description };
    schemas[name] = {
      ...(schemas[name] as object),
      ...description,
      'x-kubernetes-group-version-kind': [one.groupVersionKind],
    };
  }
  const info = { title: 'Kubernetes', version: 'v1.36.3' };
  return JSON.stringify({ openapi: '3.0.0', info, paths, components: { schemas } });
}

function certificatesDocument(): string {
  const described: Described = {
    groupVersionKind: { group, version: 'v1', kind },
    tag: 'certificates_v1',
    package: 'io.k8s.api.certificates.v1',
    shape: certificateSigningRequest,
  };
  const { list, post, get, put, patch, ...of } = operationsOf(described);
  const path = `/apis/${group}/v1/${resource}`;
  const change = { get, put, patch };
  const paths = {
    [path]: { get: list, post, delete: of.deletecollection },
    [`${path}/{name}`]: { ...change, delete: of.delete },
    [`${path}/{name}/approval`]: change,
    [`${path}/{name}/status`]: change,
  };
  return documentOf(paths, [described]);
}

/** Of all plain kinds of one group. */
function plainDocument(of: string): string {
  const paths: Paths = {};
  const kinds = plainKinds.filter((one) => one.group === of);
  const described = kinds.map((one): Described => {
    const { group, version, package: from } = one;
    const root = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
    const collection = `${root}/${one.namespaced ? 'namespaces/{namespace}/' : ''}${one.resource}`;
    const tag = `${group === '' ? 'core' : (group.split('.')[0] ?? '')}_${version}`;
    const { shape, description, descriptions: fields } = one;
    const groupVersionKind = { group, version, kind: one.kind };
    const result = { groupVersionKind, tag, package: from, shape, description, fields };
    const { list, post, get, put, patch, ...rest } = operationsOf(result);
    const has = (verb: string, operation: object): object => (one.verbs.includes(verb) ? operation : {});
    paths[collection] = {
      ...has('list', { get: list }),
      ...has('create', { post }),
      ...has('deletecollection', { delete: rest.deletecollection }),
    };
    paths[`${collection}/{name}`] = {
      get,
      ...has('update', { put }),
      ...has('patch', { patch }),
      ...has('delete', { delete: rest.delete }),
    };
    return result;
  });
  return documentOf(paths, described);
}

type Place = { readonly package: string; readonly fields: Readonly<Record<string, string>>; readonly path: string };

/** Names of the models that every kind shares. */
const metaNames = namesIn(objectMeta, new Set());

function namesIn(shape: Shape, names: Set<string>): Set<string> {
  if (shape.kind === 'list' || shape.kind === 'map') return namesIn(shape.of, names);
  if (shape.kind !== 'struct' || names.has(shape.name)) return names;
  names.add(shape.name);
  for (const field of Object.values(shape.fields)) namesIn(field, names);
  return names;
}

function modelName({ name }: StructShape, place: Place): string {
  return metaNames.has(name) ? `io.k8s.apimachinery.pkg.apis.meta.v1.${name}` : `${place.package}.${name}`;
}

function collect(shape: StructShape, all: Schemas, place: Place): void {
  const name = modelName(shape, place);
  if (Object.hasOwn(all, name)) return;
  all[name] = {};
  const properties = Object.fromEntries(
    Object.entries(shape.fields).map(([field, of]) => {
      const path = place.path === '' ? field : `${place.path}.${field}`;
      const description = Object.hasOwn(place.fields, path) ? { description: place.fields[path] } : {};
      return [field, { ...description, ...schemaOf(of, all, { ...place, path }) }];
    }),
  );
  all[name] = { type: 'object', properties };
}

function schemaOf(shape: Shape, all: Schemas, place: Place): object {
  switch (shape.kind) {
    case 'string':
      return { type: 'string' };
    case 'bytes':
      return { type: 'string', format: 'byte' };
    case 'time':
      return { type: 'string', format: 'date-time' };
    case 'boolean':
      return { type: 'boolean' };
    case 'int32':
    case 'int64':
      return { type: 'integer', format: shape.kind };
    case 'list':
      return { type: 'array', items: schemaOf(shape.of, all, place) };
    case 'map':
      return { type: 'object', additionalProperties: schemaOf(shape.of, all, place) };
    case 'any':
      return { type: 'object' };
    case 'struct':
      collect(shape, all, place);
      return { allOf: [reference(modelName(shape, place))] };
  }
}

/** The documents as JSON text, made once, by their path below `/openapi/v3/`. */
const documents: ReadonlyMap<string, string> = new Map([
  ...[...new Set(plainKinds.map((one) => one.group))].map((one): [string, string] => [
    one === '' ? 'api/v1' : `apis/${one}/v1`,
    plainDocument(one),
  ]),
  [`apis/${group}/v1`, certificatesDocument()],
]);

/** The document at `/openapi/v3/<path>`, if there is one. */
export function openapiDocument(path: string): string | undefined {
  return documents.get(path);
}

/** `GET /openapi/v3`. The hash lets clients keep a document until it changes. */
export const openapiIndex = JSON.stringify({
  paths: Object.fromEntries(
    [...documents].map(([path, text]) => {
      const hash = createHash('sha256').update(text).digest('hex').toUpperCase();
      return [path, { serverRelativeURL: `/openapi/v3/${path}?hash=${hash}` }];
    }),
  ),
});
