import type { FastifyReply } from 'fastify';

import type { CertificateRequest } from '../../../csr/types.js';
import { invalid, RotundaError } from '../../../errors.js';
import { bodyOf, type Call, renderingOf, warn } from '../call.js';
import { decodeValue, type Expected, type FieldValidation, listed } from '../codec/decode.js';
import { isTooDeep, scanJson } from '../codec/json-scan.js';
import { expectedRequest } from '../kinds.js';
import { writeOptions } from '../options.js';
import { objectText, sendObject } from '../render.js';
import { applyPatch } from './apply.js';
import { jsonPatch } from './json-patch.js';
import { mergePatch, strategicMergePatch } from './merge-patch.js';
import { endpointOf, managerOf, nowText, tracked, wantedOf } from './update.js';

export type PatchType = 'json' | 'merge' | 'strategic' | 'apply';

const patchTypes: Readonly<Record<string, PatchType>> = {
  'application/json-patch+json': 'json',
  'application/merge-patch+json': 'merge',
  'application/strategic-merge-patch+json': 'strategic',
  'application/apply-patch+yaml': 'apply',
};

/** PATCH of a request, its approval or its status, in any of the four patch formats. */
export async function patch(call: Call): Promise<FastifyReply> {
  const type = patchTypeOf(call.request.headers['content-type']);
  const options = writeOptions('PatchOptions', call.query, type);
  if (type === 'apply') return applyPatch(call, options);
  const change = parsePatch(bodyOf(call), type);
  const manager = managerOf(call, options.fieldManager);
  let warnings: readonly string[] = [];
  const text = await call.api.requests.update(
    call.target.name ?? '',
    (current) => {
      const patched = decodePatched(patchObject(current, change, type), options.fieldValidation, expectedRequest);
      warnings = patched.warnings;
      return tracked(current, wantedOf(patched.value), manager, nowText(call));
    },
    {
      endpoint: endpointOf(call.target),
      identity: call.request.identity,
      dryRun: options.dryRun,
      fieldManager: manager.name,
    },
  );
  warn(call.reply, warnings);
  return sendObject(call.reply, 200, text, renderingOf(call));
}

/** The patch format by Content-Type. Throws 'unsupported-media-type'. */
export function patchTypeOf(contentType: string | undefined): PatchType {
  const type = patchTypes[contentType?.split(';', 1)[0]?.trim().toLowerCase() ?? ''];
  if (type !== undefined) return type;
  throw new RotundaError('unsupported-media-type', '415: Unsupported Media Type', { object: {} });
}

/** Parses the body of a patch that is not an apply. Throws 'bad-request'. */
export function parsePatch(body: Buffer, type: PatchType): unknown {
  const text = body.toString('utf8');
  const bad = (message: string): RotundaError => new RotundaError('bad-request', `error decoding patch: ${message}`);
  if (isTooDeep(text)) throw bad('exceeded max depth');
  let value: unknown;
  try {
    value = JSON.parse(text) as unknown;
  } catch {
    throw bad(scanJson(text).error ?? 'invalid JSON');
  }
  const given = Array.isArray(value) ? 'array' : value === null ? 'null' : typeof value;
  if (type === 'json') {
    if (given !== 'array') throw bad(`json: cannot unmarshal ${given} into Go value of type jsonpatch.Patch`);
  } else if (given !== 'object')
    throw bad(`json: cannot unmarshal ${given} into Go value of type map[string]interface {}`);
  return value;
}

function patchObject(current: CertificateRequest, change: unknown, type: PatchType): unknown {
  const object = JSON.parse(objectText(JSON.stringify(current))) as Record<string, unknown>;
  if (type === 'json') return jsonPatch(object, change as unknown[]);
  if (type === 'strategic') return strategicMergePatch(object, change);
  // Upstream writes what the patch does not touch as it was, kind and apiVersion first.
  const { apiVersion, kind, ...rest } = mergePatch(object, change) as Record<string, unknown>;
  return { apiVersion, kind, ...rest };
}

/** Decodes a patched object; under Strict its unknown fields are the patch's fault. Throws 'bad-request', 'invalid'. */
export function decodePatched(
  patched: unknown,
  validation: FieldValidation,
  expected: Expected,
): { value: Record<string, unknown>; warnings: readonly string[] } {
  const text = Buffer.from(JSON.stringify(patched));
  const result = decodeValue(patched, expected, validation === 'Strict' ? 'Warn' : validation, text);
  if (validation !== 'Strict' || result.warnings.length === 0) return result;
  const message = `Invalid value: ${JSON.stringify(text.toString('utf8'))}: strict decoding error: ${listed(result.warnings)}`;
  throw invalid([{ field: 'patch', reason: 'FieldValueInvalid', message }], {});
}
