import type { FastifyReply } from 'fastify';

import type { DeleteOptions } from '../../../csr/types.js';
import { generatedName } from '../../../csr/names.js';
import { invalid, RotundaError } from '../../../errors.js';
import { required } from '../../../csr/causes.js';
import { bodyOf, type Call, warn } from '../call.js';
import { bodyFormat, decodeBody } from '../codec/decode.js';
import { writeOptions } from '../options.js';
import { deleteOptionsOf } from '../requests/delete.js';
import { checkName } from '../requests/update.js';
import { sendValue } from '../render.js';
import { checkVersion, draftOf, expectedOf, metadataWarnings, type SentMetadata, sentMetadata } from './decode.js';
import { about, objectNotFound, refOf } from './errors.js';
import { keyOf, keyOfObject, readObjects } from './read.js';
import { sendPlain, sendPlainList } from './render.js';
import { parseSelection } from './selection.js';
import { groupVersionOf, type ObjectKey, type PlainDraft, type PlainObject, type ResourceKind } from './types.js';

/** POST on a collection. */
export async function createObject(call: Call, kind: ResourceKind): Promise<FastifyReply> {
  const { request, reply, query } = call;
  const format = bodyFormat(request.headers['content-type']);
  const options = writeOptions('CreateOptions', query);
  const { value, warnings } = decodeBody(bodyOf(call), format, expectedOf(kind), options.fieldValidation);
  const sent = sentMetadata(value);
  if (sent.resourceVersion !== undefined)
    throw new RotundaError('bad-request', 'resourceVersion should not be set on objects to be created');
  const { name = sent.generateName === undefined ? undefined : generatedName(sent.generateName, call.api.random) } =
    sent;
  if (name === undefined)
    throw invalid([required('metadata.name', 'name or generateName is required')], refOf(kind, ''));
  const draft = draftOf(kind, value, { namespace: namespaceOf(call, kind, sent), name });
  const created = await createDraft(call, kind, draft, options.dryRun);
  warn(reply, [...warnings, ...metadataWarnings(sent)]);
  return sendPlain(call, kind, 201, created);
}

/** Creates what was decoded; for PATCH, too. */
export function createDraft(call: Call, kind: ResourceKind, draft: PlainDraft, dryRun: boolean): Promise<PlainObject> {
  const backend = kind.open(call.api, call.request.identity);
  const { create } = backend;
  if (create === undefined) throw new RotundaError('internal', 'a kind that is created without a create');
  return about(kind, draft.metadata.name, () => create(draft, { dryRun }));
}

/** The namespace of the URL, which the body may repeat. Throws 'bad-request' in upstream's words. */
export function namespaceOf({ target }: Call, kind: ResourceKind, { namespace }: SentMetadata): string {
  const inUrl = kind.namespaced ? (target.namespace ?? '') : '';
  if (namespace === undefined || namespace === inUrl) return inUrl;
  throw new RotundaError(
    'bad-request',
    `the namespace of the provided object does not match the namespace sent on the request`,
  );
}

/** PUT of one object. It must be there. */
export async function updateObject(call: Call, kind: ResourceKind): Promise<FastifyReply> {
  const { request, reply, target, query } = call;
  const format = bodyFormat(request.headers['content-type']);
  const options = writeOptions('UpdateOptions', query);
  const { value, warnings } = decodeBody(bodyOf(call), format, expectedOf(kind), options.fieldValidation);
  const key = keyOf(target);
  const sent = sentMetadata(value);
  checkName(key.name, sent.name);
  namespaceOf(call, kind, sent);
  const draft = draftOf(kind, value, key);
  const change = (current: PlainObject): PlainDraft => {
    checkVersion(kind, current, sent);
    return draft;
  };
  const updated = await changeObject(call, kind, change, options.dryRun);
  warn(reply, [...warnings, ...metadataWarnings(sent)]);
  return sendPlain(call, kind, 200, updated);
}

/** Changes the object of the path. Throws 'not-found'. */
export function changeObject(
  { api, request, target }: Call,
  kind: ResourceKind,
  change: (current: PlainObject) => PlainDraft,
  dryRun: boolean,
): Promise<PlainObject> {
  const key = keyOf(target);
  const { update } = kind.open(api, request.identity);
  if (update === undefined) throw new RotundaError('internal', 'a kind that is updated without an update');
  return about(kind, key.name, () => update(key, change, { dryRun }));
}

type Precondition = NonNullable<DeleteOptions['preconditions']>;

/** DELETE of one object: a Status. */
export async function deleteObject(call: Call, kind: ResourceKind): Promise<FastifyReply> {
  const { target, reply, representation } = call;
  const options = deleteOptionsOf(call, groupVersionOf(kind));
  const { metadata } = await deleteOne(call, kind, keyOf(target), options);
  const details = {
    name: metadata.name,
    ...(kind.group === '' ? {} : { group: kind.group }),
    kind: kind.resource,
    uid: metadata.uid,
  };
  const status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details };
  return sendValue(reply, 200, status, { format: representation.format });
}

/** DELETE of a collection: all that the selectors match; the list of what was deleted. */
export async function deleteObjects(call: Call, kind: ResourceKind): Promise<FastifyReply> {
  const { api, request, target, query } = call;
  const options = deleteOptionsOf(call, groupVersionOf(kind));
  const selection = parseSelection(kind, query);
  const backend = kind.open(api, request.identity);
  const everything = { limit: undefined, continue: undefined, resourceVersion: undefined };
  const { items, metadata } = await readObjects(api, backend, {
    namespace: target.namespace,
    selection,
    options: { ...everything, resourceVersionMatch: undefined },
  });
  const deleted: PlainObject[] = [];
  for (const object of items) {
    try {
      deleted.push(await deleteOne(call, kind, keyOfObject(object), options));
    } catch (error) {
      if (!(error instanceof RotundaError) || error.code !== 'not-found') throw error;
    }
  }
  return sendPlainList(call, kind, deleted, { resourceVersion: metadata.resourceVersion });
}

async function deleteOne(
  { api, request }: Call,
  kind: ResourceKind,
  key: ObjectKey,
  { preconditions, dryRun }: Pick<DeleteOptions, 'preconditions' | 'dryRun'>,
): Promise<PlainObject> {
  const remove = kind.open(api, request.identity).delete;
  if (remove === undefined) throw objectNotFound(kind, key.name);
  const check = (current: PlainObject): void => {
    if (preconditions !== undefined) checkPreconditions(kind, current, preconditions);
  };
  return about(kind, key.name, () => remove(key, check, { dryRun: dryRun === true }));
}

function checkPreconditions(kind: ResourceKind, { metadata }: PlainObject, wanted: Precondition): void {
  const object = { group: kind.group, kind: kind.kind, name: metadata.name };
  if (wanted.uid !== undefined && wanted.uid !== metadata.uid) {
    const message = `Precondition failed: UID in precondition: ${wanted.uid}, UID in object meta: ${metadata.uid}`;
    throw new RotundaError('conflict', message, { object });
  }
  if (wanted.resourceVersion !== undefined && wanted.resourceVersion !== metadata.resourceVersion) {
    const message = `Precondition failed: ResourceVersion in precondition: ${wanted.resourceVersion}, ResourceVersion in object meta: ${metadata.resourceVersion}`;
    throw new RotundaError('conflict', message, { object });
  }
}
