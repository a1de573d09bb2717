import type { FastifyReply } from 'fastify';

import { rfc3339 } from '../../../csr/time.js';
import type { CertificateRequest, ObjectMeta, RequestSpec, UpdateEndpoint } from '../../../csr/types.js';
import { RotundaError } from '../../../errors.js';
import { bodyOf, type Call, renderingOf, warn } from '../call.js';
import { bodyFormat, decodeBody } from '../codec/decode.js';
import { expectedRequest } from '../kinds.js';
import { entriesAfterUpdate, type Manager } from '../managed-fields.js';
import { managerName, writeOptions } from '../options.js';
import { sendObject } from '../render.js';
import type { Target } from '../target.js';

/** PUT of a request, its approval or its status. */
export async function update(call: Call): Promise<FastifyReply> {
  const { api, request, reply, target, query } = call;
  const format = bodyFormat(request.headers['content-type']);
  const options = writeOptions('UpdateOptions', query);
  const { value, warnings } = decodeBody(bodyOf(call), format, expectedRequest, options.fieldValidation);
  const name = target.name ?? '';
  checkName(name, (value['metadata'] as Partial<ObjectMeta> | undefined)?.name);
  const manager = managerOf(call, options.fieldManager);
  const text = await api.requests.update(name, (current) => tracked(current, wantedOf(value), manager, nowText(call)), {
    endpoint: endpointOf(target),
    identity: request.identity,
    dryRun: options.dryRun,
    fieldManager: manager.name,
  });
  warn(reply, warnings);
  return sendObject(reply, 200, text, renderingOf(call));
}

/** Which endpoint a path is. */
export function endpointOf(target: Target): UpdateEndpoint {
  return target.subresource === 'approval' || target.subresource === 'status' ? target.subresource : 'main';
}

export function nowText({ api }: Call): string {
  return rfc3339(api.clock.now().getTime());
}

export function managerOf(call: Call, fieldManager: string | undefined): Manager {
  const name = managerName(fieldManager, call.request.headers['user-agent']);
  const { subresource } = call.target;
  return { name, operation: 'Update', ...(subresource === undefined ? {} : { subresource }) };
}

type ServerOwned = { readonly namespace?: string; readonly selfLink?: string };

/** Decoded JSON data as the object that a client wants stored. */
export function wantedOf(value: Readonly<Record<string, unknown>>): CertificateRequest {
  const {
    namespace: _namespace,
    selfLink: _selfLink,
    ...metadata
  } = (value['metadata'] ?? {}) as Partial<ObjectMeta> & ServerOwned;
  const { resourceVersion } = metadata;
  if (resourceVersion !== undefined && !/^\d{1,19}$/.test(resourceVersion)) {
    throw new RotundaError(
      'bad-request',
      `metadata.resourceVersion: Invalid value: ${JSON.stringify(resourceVersion)}: must be a decimal number`,
    );
  }
  // What is missing here is taken from the stored object, or refused, by the room that knows the rules.
  return {
    metadata: metadata as ObjectMeta,
    spec: (value['spec'] ?? {}) as RequestSpec,
    status: value['status'] ?? {},
  };
}

/** The wanted object with its managedFields: what clients send there counts for nothing. */
export function tracked(
  current: CertificateRequest,
  wanted: CertificateRequest,
  manager: Manager,
  time: string,
): CertificateRequest {
  const entries = entriesAfterUpdate(current, { ...wanted, metadata: { ...wanted.metadata } }, manager, time);
  const metadata = { ...wanted.metadata };
  delete metadata.managedFields;
  return {
    ...wanted,
    metadata: entries === undefined || entries.length === 0 ? metadata : { ...metadata, managedFields: entries },
  };
}

/** Throws 'bad-request' when the body names another object than the URL, or none. */
export function checkName(name: string, inBody: string | undefined): void {
  if (inBody === undefined || inBody === '') {
    throw new RotundaError(
      'bad-request',
      `the name of the object (${name} based on URL) was undeterminable: name must be provided`,
    );
  }
  if (inBody !== name)
    throw new RotundaError(
      'bad-request',
      `the name of the object (${inBody}) does not match the name on the URL (${name})`,
    );
}
