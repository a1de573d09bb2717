import type { FastifyReply } from 'fastify';

import type { Clock } from '../../clock.js';
import type { CertificateRequest } from '../../csr/types.js';
import { invalid, RotundaError } from '../../errors.js';
import type { Representation } from './codec/negotiate.js';
import { encodeMessage, hasMessage } from './codec/protobuf.js';
import { stringifyYaml } from './codec/yaml.js';
import { groupVersion, kind } from './kinds.js';
import { type IncludeObject, partialObject, table, type TableOptions, tableRow } from './table.js';
import { first, type Query } from './target.js';

/** Put before the stored text of a request, whose opening brace is cut off. */
export const objectHead = `{"kind":"${kind}","apiVersion":"${groupVersion}",`;

export type ListMeta = {
  readonly resourceVersion: string;
  readonly continue?: string;
  readonly remainingItemCount?: number;
};

export type Rendering = { readonly representation: Representation; readonly query: Query; readonly clock: Clock };

const contentTypes = {
  json: 'application/json',
  yaml: 'application/yaml',
  protobuf: 'application/vnd.kubernetes.protobuf',
} as const;

/** The stored text with kind and apiVersion in front: no parsing, no encoding. */
export function objectText(text: string): string {
  return objectHead + text.slice(1);
}

/** Answers with one request in the form asked for. */
export function sendObject(reply: FastifyReply, code: number, text: string, rendering: Rendering): FastifyReply {
  const { representation } = rendering;
  if (representation.as === undefined && representation.format === 'json')
    return sendJson(reply, code, objectText(text));
  const { as } = representation;
  if (as === undefined) return sendValue(reply, code, JSON.parse(objectText(text)), representation);
  const request = JSON.parse(text) as CertificateRequest;
  if (as.kind === 'PartialObjectMetadataList') {
    throw new RotundaError(
      'not-acceptable',
      'you requested PartialObjectMetadataList, but the requested object is not a list (*certificates.CertificateSigningRequest)',
      { object: {} },
    );
  }
  if (as.kind === 'PartialObjectMetadata')
    return sendValue(reply, code, partialObject(request, as.version), representation);
  const options = tableOptions(rendering, as.version);
  const { resourceVersion } = request.metadata;
  return sendValue(
    reply,
    code,
    table([tableRow(request, text, options)], { resourceVersion }, options),
    representation,
  );
}

/** Answers with a list of requests in the form asked for. */
export function sendList(
  reply: FastifyReply,
  items: readonly string[],
  metadata: ListMeta,
  rendering: Rendering,
): FastifyReply {
  const { representation } = rendering;
  const { as } = representation;
  if (as === undefined) {
    const text = `{"kind":"${kind}List","apiVersion":"${groupVersion}","metadata":${JSON.stringify(metadata)},"items":[${items.join(',')}]}`;
    return representation.format === 'json'
      ? sendJson(reply, 200, text)
      : sendValue(reply, 200, JSON.parse(text), representation);
  }
  if (as.kind === 'PartialObjectMetadata') {
    throw new RotundaError(
      'not-acceptable',
      'you requested PartialObjectMetadata, but the requested object is a list (*certificates.CertificateSigningRequestList)',
      { object: {} },
    );
  }
  const requests = items.map((text) => JSON.parse(text) as CertificateRequest);
  if (as.kind === 'PartialObjectMetadataList') {
    const partial = requests.map((request) => partialObject(request, as.version));
    return sendValue(
      reply,
      200,
      { kind: as.kind, apiVersion: `meta.k8s.io/${as.version}`, metadata, items: partial },
      representation,
    );
  }
  const options = tableOptions(rendering, as.version);
  const rows = requests.map((request, index) => tableRow(request, items[index] ?? '', options));
  return sendValue(reply, 200, table(rows, metadata, options), representation);
}

/** Answers with any JSON data in the encoding asked for; kinds without a protobuf message come as JSON. */
export function sendValue(
  reply: FastifyReply,
  code: number,
  value: unknown,
  representation: Representation,
): FastifyReply {
  if (representation.format === 'yaml') return send(reply, code, contentTypes.yaml, Buffer.from(stringifyYaml(value)));
  const { kind: name, apiVersion } = value as { kind?: string; apiVersion?: string };
  if (representation.format === 'protobuf' && name !== undefined && apiVersion !== undefined && hasMessage(name)) {
    return send(reply, code, contentTypes.protobuf, encodeMessage(name, apiVersion, value));
  }
  return sendJson(reply, code, JSON.stringify(value));
}

/** Answers with JSON text. Bytes, because Fastify would add a charset to a string's type. */
export function sendJson(reply: FastifyReply, code: number, text: string): FastifyReply {
  return send(reply, code, contentTypes.json, Buffer.from(text));
}

function send(reply: FastifyReply, code: number, type: string, body: Buffer): FastifyReply {
  return reply.code(code).header('content-type', type).send(body);
}

/** What a Table shall carry beside the cells. Throws 'invalid' as upstream does for an unknown `includeObject`. */
export function tableOptions({ query, clock }: Rendering, version: 'v1' | 'v1beta1'): TableOptions {
  const includeObject = first(query['includeObject']) ?? '';
  if (!['', 'None', 'Metadata', 'Object'].includes(includeObject)) {
    const message = `Invalid value: ${JSON.stringify(includeObject)}: must be 'Metadata', 'Object', 'None', or empty`;
    throw invalid([{ field: 'includeObject', reason: 'FieldValueInvalid', message }], {
      group: 'meta.k8s.io',
      kind: 'TableOptions',
    });
  }
  return {
    version,
    includeObject: includeObject === '' ? 'Metadata' : (includeObject as IncludeObject),
    now: clock.now().getTime(),
  };
}
