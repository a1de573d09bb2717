import type { FastifyReply } from 'fastify';

import type { CertificateRequest, RequestSpec } from '../../../csr/types.js';
import { RotundaError } from '../../../errors.js';
import { bodyOf, type Call, renderingOf, warn } from '../call.js';
import { decodeBody } from '../codec/decode.js';
import { parseYaml } from '../codec/yaml.js';
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
  const update = (): Promise<string> =>
    api.requests.update(name, change, {
      endpoint: endpointOf(call),
      identity: request.identity,
      dryRun: options.dryRun,
      fieldManager: manager.name,
    });
  warn(reply, warnings);
  try {
    return sendObject(reply, 200, await update(), renderingOf(call));
  } catch (error) {
    if (!(error instanceof RotundaError) || error.code !== 'not-found' || target.subresource !== undefined) throw error;
  }
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

/** The body is YAML, of which JSON is a part. Kind and apiVersion must be there. */
function decodeApplied(
  body: Buffer,
  options: WriteOptions,
): { value: Record<string, unknown>; warnings: readonly string[] } {
  const text = body.toString('utf8');
  const isJson = text.trimStart().startsWith('{');
  const typeMeta = isJson
    ? undefined
    : (safely(() => parseYaml(text)) as { kind?: unknown; apiVersion?: unknown } | null | undefined);
  const { value, warnings } = decodeBody(body, isJson ? 'json' : 'yaml', expectedRequest, options.fieldValidation);
  const given = (isJson ? value : (typeMeta ?? {})) as { kind?: unknown; apiVersion?: unknown };
  if (given.kind === undefined || given.apiVersion === undefined) {
    throw new RotundaError(
      'bad-request',
      `invalid object type: ${given.apiVersion === undefined ? '/' : String(given.apiVersion)}, Kind=${typeof given.kind === 'string' ? given.kind : ''}`,
    );
  }
  return { value, warnings };
}

function safely<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
