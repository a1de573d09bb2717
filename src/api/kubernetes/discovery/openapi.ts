import { createHash } from 'node:crypto';

import type { Shape, StructShape } from '../codec/schema.js';
import { certificateSigningRequest } from '../codec/schema.js';
import { group, kind, resource } from '../kinds.js';

const model = 'io.k8s.api.certificates.v1.CertificateSigningRequest';
const json = (schema: unknown): unknown => ({ 'application/json': { schema } });
const reference = (name: string): unknown => ({ $ref: `#/components/schemas/${name}` });
const groupVersionKind = { group, version: 'v1', kind };

/**
 * The document of certificates.k8s.io/v1, as much as kubectl looks at: the kinds of the operations, `fieldValidation`
 * (with it kubectl leaves validation to the server) and the schema, for `kubectl explain`.
 */
function groupDocument(): unknown {
  const parameters = ['dryRun', 'fieldManager', 'fieldValidation'].map((name) => ({
    name,
    in: 'query',
    schema: { type: 'string', uniqueItems: true },
  }));
  const answers = { 200: { description: 'OK', content: json(reference(model)) }, 401: { description: 'Unauthorized' } };
  const operation = (action: string, rest: object = {}): unknown => ({
    tags: ['certificates_v1'],
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': groupVersionKind,
    responses: answers,
    ...rest,
  });
  const body = { requestBody: { content: json(reference(model)) } };
  const path = `/apis/${group}/v1/${resource}`;
  const change = {
    get: operation('get'),
    put: operation('put', { parameters, ...body }),
    patch: operation('patch', { parameters, ...body }),
  };
  return {
    openapi: '3.0.0',
    info: { title: 'Kubernetes', version: 'v1.36.3' },
    paths: {
      [path]: {
        get: operation('list'),
        post: operation('post', { parameters, ...body }),
        delete: operation('deletecollection'),
      },
      [`${path}/{name}`]: { ...change, delete: operation('delete') },
      [`${path}/{name}/approval`]: change,
      [`${path}/{name}/status`]: change,
    },
    components: { schemas: schemas() },
  };
}

function schemas(): Record<string, unknown> {
  const all: Record<string, unknown> = {};
  collect(certificateSigningRequest, all);
  const root = all[model] as Record<string, unknown>;
  return { ...all, [model]: { ...root, 'x-kubernetes-group-version-kind': [groupVersionKind] } };
}

function modelName({ name }: StructShape): string {
  return name.startsWith('CertificateSigningRequest')
    ? `io.k8s.api.certificates.v1.${name}`
    : `io.k8s.apimachinery.pkg.apis.meta.v1.${name}`;
}

function collect(shape: StructShape, all: Record<string, unknown>): void {
  const name = modelName(shape);
  if (Object.hasOwn(all, name)) return;
  all[name] = {};
  const properties = Object.fromEntries(Object.entries(shape.fields).map(([field, of]) => [field, schemaOf(of, all)]));
  all[name] = { type: 'object', properties };
}

function schemaOf(shape: Shape, all: Record<string, unknown>): unknown {
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
      return { type: 'array', items: schemaOf(shape.of, all) };
    case 'map':
      return { type: 'object', additionalProperties: schemaOf(shape.of, all) };
    case 'any':
      return { type: 'object' };
    case 'struct':
      collect(shape, all);
      return { allOf: [reference(modelName(shape))] };
  }
}

/** The group's document as JSON text, made once. */
export const openapiDocument = JSON.stringify(groupDocument());

/** `GET /openapi/v3`. The hash lets clients keep the document until it changes. */
export const openapiIndex = JSON.stringify({
  paths: {
    [`apis/${group}/v1`]: {
      serverRelativeURL: `/openapi/v3/apis/${group}/v1?hash=${createHash('sha256').update(openapiDocument).digest('hex').toUpperCase()}`,
    },
  },
});
