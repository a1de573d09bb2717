import type { FastifyReply } from 'fastify';

import { RotundaError } from '../../../errors.js';
import { bodyOf, type Call, warn } from '../call.js';
import { decodeBody } from '../codec/decode.js';
import { type WriteOptions, writeOptions } from '../options.js';
import { jsonPatch } from '../requests/json-patch.js';
import { mergePatch, strategicMergePatch } from '../requests/merge-patch.js';
import { decodePatched, parsePatch, type PatchType, patchTypeOf } from '../requests/patch.js';
import { checkName } from '../requests/update.js';
import { checkVersion, draftOf, expectedOf, metadataWarnings, type SentMetadata, sentMetadata } from './decode.js';
import { keyOf } from './read.js';
import { sendPlain, typed } from './render.js';
import type { ObjectChange, PlainDraft, PlainObject, ResourceKind } from './types.js';
import { changeObject, createDraft, namespaceOf } from './write.js';

/** PATCH of one object, in any of the four patch formats. */
export async function patchObject(call: Call, kind: ResourceKind): Promise<FastifyReply> {
  const type = patchTypeOf(call.request.headers['content-type']);
  const options = writeOptions('PatchOptions', call.query, type);
  if (type === 'apply') return applyObject(call, kind, options);
  const patch = parsePatch(bodyOf(call), type);
  let warnings: readonly string[] = [];
  const change = (current: PlainObject): PlainDraft => {
    const patched = patchedBy(type, typed(kind, current), patch);
    const decoded = decodePatched(patched, options.fieldValidation, expectedOf(kind));
    const sent = sentMetadata(decoded.value);
    checkName(current.metadata.name, sent.name);
    namespaceOf(call, kind, sent);
    checkVersion(kind, current, sent);
    warnings = [...decoded.warnings, ...metadataWarnings(sent)];
    return draftOf(kind, decoded.value, keyOf(call.target));
  };
  const updated = await changeObject(call, kind, change, options.dryRun);
  warn(call.reply, warnings);
  return sendPlain(call, kind, 200, updated);
}

function patchedBy(type: Exclude<PatchType, 'apply'>, object: unknown, patch: unknown): unknown {
  if (type === 'json') return jsonPatch(object, patch as unknown[]);
  return type === 'strategic' ? strategicMergePatch(object, patch) : mergePatch(object, patch);
}

/**
 * Server-side apply without field managers, which these kinds do not have: what is applied is merged into the object or
 * creates it, and what is left out stays.
 */
async function applyObject(call: Call, kind: ResourceKind, options: WriteOptions): Promise<FastifyReply> {
  const body = bodyOf(call);
  const format = body.toString('utf8', 0, 64).trimStart().startsWith('{') ? 'json' : 'yaml';
  const { value, warnings } = decodeBody(body, format, expectedOf(kind), options.fieldValidation);
  const { kind: sentKind, apiVersion } = value as { readonly kind?: string; readonly apiVersion?: string };
  if (sentKind === undefined || apiVersion === undefined)
    throw new RotundaError('bad-request', `invalid object type: ${apiVersion ?? '/'}, Kind=${sentKind ?? ''}`);
  const key = keyOf(call.target);
  const sent = sentMetadata(value);
  checkName(key.name, sent.name ?? key.name);
  namespaceOf(call, kind, sent);
  if (sent.managedFields !== undefined) throw new RotundaError('bad-request', 'metadata.managedFields must be nil');
  warn(call.reply, [...warnings, ...metadataWarnings(sent)]);
  const updated = await changeIfAny(call, kind, (current) => merged(kind, current, value, sent), options);
  if (updated !== undefined) return sendPlain(call, kind, 200, updated);
  const created = await createDraft(call, kind, draftOf(kind, value, key), options.dryRun);
  return sendPlain(call, kind, 201, created);
}

/** The changed object; undefined where there is none. */
async function changeIfAny(
  call: Call,
  kind: ResourceKind,
  change: ObjectChange,
  { dryRun }: WriteOptions,
): Promise<PlainObject | undefined> {
  try {
    return await changeObject(call, kind, change, dryRun);
  } catch (error) {
    if (!(error instanceof RotundaError) || error.code !== 'not-found') throw error;
    return undefined;
  }
}

function merged(
  kind: ResourceKind,
  current: PlainObject,
  applied: Readonly<Record<string, unknown>>,
  sent: SentMetadata,
): PlainDraft {
  checkVersion(kind, current, sent);
  const { namespace = '', name } = current.metadata;
  return draftOf(kind, mergePatch(current, applied) as Record<string, unknown>, { namespace, name });
}
