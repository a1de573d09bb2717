import type { FastifyReply } from 'fastify';

import type { ObjectMeta, RequestSpec } from '../../../csr/types.js';
import { RotundaError } from '../../../errors.js';
import { type Call, bodyOf, renderingOf, warn } from '../call.js';
import { bodyFormat, decodeBody } from '../codec/decode.js';
import { expectedRequest } from '../kinds.js';
import { managerName, writeOptions } from '../options.js';
import { sendObject } from '../render.js';

/** POST on the collection. */
export async function create(call: Call): Promise<FastifyReply> {
  const { api, request, reply, query } = call;
  const format = bodyFormat(request.headers['content-type']);
  const options = writeOptions('CreateOptions', query);
  const { value, warnings } = decodeBody(bodyOf(call), format, expectedRequest, options.fieldValidation);
  const { metadata = {}, spec = {} } = value as { metadata?: Partial<ObjectMeta>; spec?: Partial<RequestSpec> };
  if (metadata.resourceVersion !== undefined)
    throw new RotundaError('bad-request', 'resourceVersion should not be set on objects to be created');
  const draft = {
    metadata: ownMetadata(metadata),
    spec,
    pem: 'upstream',
    fieldManager: managerName(options.fieldManager, request.headers['user-agent']),
  } as const;
  const submitted = await api.requests.submit(request.identity, draft, { dryRun: options.dryRun });
  warn(reply, [...warnings, ...submitted.warnings]);
  return sendObject(reply, 201, submitted.text, renderingOf(call));
}

/** What a client may say about a new object's metadata; the rest is the server's. */
export function ownMetadata({
  name,
  generateName,
  generation,
  labels,
  annotations,
  finalizers,
  ownerReferences,
}: Partial<ObjectMeta>): Partial<ObjectMeta> {
  return {
    ...(name === undefined ? {} : { name }),
    ...(generateName === undefined ? {} : { generateName }),
    ...(generation === undefined ? {} : { generation }),
    ...(labels === undefined ? {} : { labels }),
    ...(annotations === undefined ? {} : { annotations }),
    ...(finalizers === undefined ? {} : { finalizers }),
    ...(ownerReferences === undefined ? {} : { ownerReferences }),
  };
}
