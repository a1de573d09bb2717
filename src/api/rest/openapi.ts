import swagger, { type FastifyDynamicSwaggerOptions } from '@fastify/swagger';
import { fastify } from 'fastify';
import { createJsonSchemaTransform, createJsonSchemaTransformObject } from 'fastify-type-provider-zod';

import type { Context } from '../../context.js';
import { registerRestApi } from './index.js';

type JsonObject = Record<string, unknown>;

const info = {
  title: 'Rotunda',
  version: 'v1',
  description:
    'The native API of Rotunda: rings, authorities, bundles, requests, certificates, tokens, nodes and etcd clusters. Times are RFC 3339 in UTC. Errors are problem details (RFC 9457); match on `code`. Bodies are at most 64 KB and unknown fields are refused.',
  license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
};

const tags = [
  { name: 'rings', description: 'Trust domains' },
  { name: 'bundles', description: 'Published sets of anchors; anyone may read them' },
  { name: 'attachment', description: 'Standing behind the API server of a cluster' },
  { name: 'authorities', description: 'CA generations of the rings' },
  { name: 'rotations', description: 'Replacing the authorities of the rings' },
  { name: 'requests', description: 'Certificate signing requests' },
  { name: 'certificates', description: 'The inventory of issued certificates' },
  { name: 'renewals', description: 'When certificates are renewed; anyone may read it' },
  { name: 'tokens', description: 'Bootstrap tokens' },
  { name: 'nodes', description: 'Enrolled machines' },
  { name: 'etcd', description: 'etcd clusters and their members' },
  { name: 'consumers', description: 'Who presents and verifies certificates, and what each has loaded' },
  { name: 'identity', description: 'Who calls' },
];

const securitySchemes = {
  certificate: { type: 'mutualTLS', description: 'A client certificate of one of the rings' },
  token: { type: 'http', scheme: 'bearer', description: 'A bootstrap token, `<id>.<secret>`' },
};

/** zod bounds every integer to what a double can hold; the contract need not say so. */
const zodToJsonConfig = {
  override: ({ jsonSchema }: { jsonSchema: JsonObject }): void => {
    if (jsonSchema['maximum'] === Number.MAX_SAFE_INTEGER) delete jsonSchema['maximum'];
    if (jsonSchema['minimum'] === Number.MIN_SAFE_INTEGER) delete jsonSchema['minimum'];
    // The date-time format says what this long expression says.
    if (jsonSchema['format'] === 'date-time') delete jsonSchema['pattern'];
  },
};

/** The contract of /pki/v1 as an OpenAPI 3.1 document, made from the routes. Calls nothing of the context. */
export async function openApiDocument(): Promise<JsonObject> {
  const app = fastify();
  const options: FastifyDynamicSwaggerOptions = {
    openapi: {
      openapi: '3.1.0',
      info,
      tags,
      servers: [{ url: '{server}', variables: { server: { default: 'https://localhost:8443' } } }],
      security: [{ certificate: [] }, { token: [] }],
      components: { securitySchemes: securitySchemes as never },
    },
    transform: createJsonSchemaTransform({ zodToJsonConfig }),
    transformObject: createJsonSchemaTransformObject({ zodToJsonConfig }),
    stripBasePath: false,
  };
  await app.register(swagger, options);
  await registerRestApi(app, describedContext());
  await app.ready();
  const document = tidy(JSON.parse(JSON.stringify(app.swagger())) as JsonObject);
  await app.close();
  return document;
}

/** Registering routes uses nothing of the service but the list of profiles; handlers, which use the rest, are not called. */
function describedContext(): Context {
  const absent: unknown = { config: { profiles: [] } };
  return absent as Context;
}

type Operation = JsonObject & {
  parameters?: JsonObject[];
  responses: Record<string, JsonObject>;
  requestBody?: JsonObject;
};

function tidy(document: JsonObject): JsonObject {
  const paths = document['paths'] as Record<string, Record<string, Operation>>;
  const shared: Record<string, JsonObject> = {};
  for (const item of Object.values(paths)) {
    for (const [method, operation] of Object.entries(item)) tidyOperation(method, operation, shared);
  }
  (document['components'] as JsonObject)['responses'] = shared;
  dropUnused(document);
  return withPlainNames(document);
}

const sharedResponses = { '4XX': 'ClientProblem', '5XX': 'ServerProblem' } as const;

function tidyOperation(method: string, operation: Operation, shared: Record<string, JsonObject>): void {
  for (const [status, name] of Object.entries(sharedResponses)) {
    const response = operation.responses[status];
    if (response === undefined) continue;
    shared[name] = response;
    operation.responses[status] = { $ref: `#/components/responses/${name}` };
  }
  for (const status of ['204', '304']) {
    const response = operation.responses[status];
    if (response !== undefined) operation.responses[status] = { description: response['description'] };
  }
  if (method === 'post') addIdempotencyKey(operation);
}

function addIdempotencyKey(operation: Operation): void {
  if (operation['operationId'] === 'createToken') return;
  const schema = { type: 'string', minLength: 1, maxLength: 255 };
  const description = 'A repeated call with the same key gets the first answer again, for a day';
  operation.parameters = [
    ...(operation.parameters ?? []),
    { in: 'header', name: 'Idempotency-Key', required: false, schema, description },
  ];
}

/** Every schema is generated once as it is read and once as it is written; only those that are referred to stay. */
function dropUnused(document: JsonObject): void {
  const components = document['components'] as { schemas: Record<string, unknown> };
  for (;;) {
    const text = JSON.stringify(document);
    const unused = Object.keys(components.schemas).filter((id) => !text.includes(`"#/components/schemas/${id}"`));
    if (unused.length === 0) return;
    for (const id of unused) Reflect.deleteProperty(components.schemas, id);
  }
}

/** What is only read needs no name that says so. */
function withPlainNames(document: JsonObject): JsonObject {
  const { schemas } = document['components'] as { schemas: Record<string, unknown> };
  let text = JSON.stringify(document);
  for (const id of Object.keys(schemas)) {
    const plain = id.replace(/Input$/, '');
    if (plain === id || plain in schemas) continue;
    text = text
      .replaceAll(`"${id}":`, `"${plain}":`)
      .replaceAll(`"#/components/schemas/${id}"`, `"#/components/schemas/${plain}"`);
  }
  return JSON.parse(text) as JsonObject;
}
