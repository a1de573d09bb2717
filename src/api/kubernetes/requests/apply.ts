import type { FastifyReply } from 'fastify';

import type { CertificateRequest, RequestSpec } from '../../../csr/types.js';
import { RotundaError } from '../../../errors.js';
import { bodyOf, type Call, renderingOf, warn } from '../call.js';
import { decodeBody } from '../codec/decode.js';
import { expectedRequest } from '../kinds.js';
import { fieldValues, type Manager, managedEntry } from '../managed-fields.js';
import type { WriteOptions } from '../options.js';
import { sendObject } from '../render.js';
import { applyTo } from './apply-merge.js';
import { ownMetadata } from './create.js';
import { checkName, endpointOf, nowText, wantedOf } from './update.js';

/** Server-side apply: changes the object to hold what is applied, or creates it. */
export async function applyPatch(call: Call, options: WriteOptions): Promise<FastifyReply> {
  const { api, request, reply, target } = call;
  const name = target.name ?? '';
  const { value, warnings } = decodeApplied(bodyOf(call), options);
  const applied = wantedOf(value);
  if ((applied.metadata.name as string | undefined) !== undefined) checkName(name, applied.metadata.name);
  if (applied.metadata.managedFields !== undefined)
    throw new RotundaError('bad-request', 'metadata.managedFields must be nil');
  const manager: Manager = {
    name: options.fieldManager ?? '',
    operation: 'Apply',
    ...(target.subresource === undefined ? {} : { subresource: target.subresource }),
  };
  const time = nowText(call);
  const change = (current: CertificateRequest): CertificateRequest =>
    applyTo({ current, applied, manager, force: options.force, time });
  warn(reply, warnings);
  const updated = await updateIfAny(call, change, options, manager);
  if (updated !== undefined) return sendObject(reply, 200, updated, renderingOf(call));
  const metadata = { ...ownMetadata(applied.metadata), name };
  const values = fieldValues({ metadata: applied.metadata, status: {} }, 'metadata');
  const managedFields = values.size === 0 ? undefined : [managedEntry(manager, values.keys(), time)];
  const draft = {
    metadata: managedFields === undefined ? metadata : { ...metadata, managedFields },
    spec: applied.spec as Partial<RequestSpec>,
    pem: 'upstream',
  } as const;
  const created = await api.requests.submit(request.identity, draft, { dryRun: options.dryRun });
  return sendObject(reply, 201, created.text, renderingOf(call));
}

/** The stored text after the change; undefined when there is nothing to change and the path allows to create it. */
async function updateIfAny(
  { api, request, target }: Call,
  change: (current: CertificateRequest) => CertificateRequest,
  { dryRun }: WriteOptions,
  manager: Manager,
): Promise<string | undefined> {
  const options = { endpoint: endpointOf(target), identity: request.identity, dryRun, fieldManager: manager.name };
  try {
    return await api.requests.update(target.name ?? '', change, options);
  } catch (error) {
    const missing = error instanceof RotundaError && error.code === 'not-found' && target.subresource === undefined;
    if (!missing) throw error;
    return undefined;
  }
}

/** The body is YAML, of which JSON is a part. Kind and apiVersion must be there. */
function decodeApplied(
  body: Buffer,
  options: WriteOptions,
): { value: Record<string, unknown>; warnings: readonly string[] } {
  const text = body.toString('utf8');
  const format = text.trimStart().startsWith('{') ? 'json' : 'yaml';
  const { value, warnings } = decodeBody(body, format, expectedRequest, options.fieldValidation);
  const { kind, apiVersion } = value as { kind?: string; apiVersion?: string };
  if (kind === undefined || apiVersion === undefined) {
    throw new RotundaError('bad-request', `invalid object type: ${apiVersion ?? '/'}, Kind=${kind ?? ''}`);
  }
  return { value, warnings };
}
