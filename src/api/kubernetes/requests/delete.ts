import type { FastifyReply } from 'fastify';

import type { DeleteOptions } from '../../../csr/types.js';
import { type FieldCause, invalid, RotundaError } from '../../../errors.js';
import { bodyOf, type Call, renderingOf } from '../call.js';
import { bodyFormat, decodeBody } from '../codec/decode.js';
import { expectedDeleteOptions, group, resource } from '../kinds.js';
import { dryRunCauses, listOptions } from '../options.js';
import { sendList, sendObject, sendValue } from '../render.js';
import { parseSelection } from '../selectors.js';
import { first, flag } from '../target.js';
import { readList } from './read.js';

type Options = {
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
  readonly propagationPolicy?: string;
  readonly orphanDependents?: boolean;
  readonly dryRun?: readonly string[];
};

/** DELETE of one request: a Status, or the object where finalizers keep it. */
export async function remove(call: Call): Promise<FastifyReply> {
  const { api, reply, target, representation } = call;
  const name = target.name ?? '';
  const { text, gone } = await api.requests.delete(name, deleteOptionsOf(call));
  if (!gone) return sendObject(reply, 200, text, renderingOf(call));
  const { metadata } = JSON.parse(text) as { metadata: { uid: string } };
  const details = { name, group, kind: resource, uid: metadata.uid };
  return sendValue(
    reply,
    200,
    { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details },
    { format: representation.format },
  );
}

/** DELETE of the collection: all that the selectors match; the list of what was deleted. */
export async function removeAll(call: Call): Promise<FastifyReply> {
  const { api, query } = call;
  const selection = parseSelection(query);
  const options = deleteOptionsOf(call);
  const { items, metadata } = await readList(
    api,
    selection,
    listOptions({ ...query, limit: undefined, continue: undefined }, false),
  );
  const deleted: string[] = [];
  for (const text of items) {
    const { name } = (JSON.parse(text) as { metadata: { name: string } }).metadata;
    try {
      await api.requests.delete(name, options);
      deleted.push(text);
    } catch (error) {
      if (!(error instanceof RotundaError) || error.code !== 'not-found') throw error;
    }
  }
  return sendList(call.reply, deleted, { resourceVersion: metadata.resourceVersion }, renderingOf(call));
}

/** A DELETE's options, of its body or its query; `groupVersion` is that of the resource. Throws 'bad-request', 'invalid'. */
export function deleteOptionsOf(call: Call, groupVersion?: string): DeleteOptions {
  const { request, query } = call;
  const body = bodyOf(call);
  const sent =
    body.length === 0
      ? fromQuery(call)
      : (decodeBody(body, bodyFormat(request.headers['content-type']), expectedDeleteOptions(groupVersion), 'Ignore')
          .value as Options);
  const dryRun = [
    ...(sent.dryRun ?? []),
    ...(body.length === 0 || query['dryRun'] === undefined ? [] : [query['dryRun']].flat()),
  ];
  const causes = [...dryRunCauses(dryRun), ...policyCauses(sent)];
  if (causes.length > 0) throw invalid(causes, { group: 'meta.k8s.io', kind: 'DeleteOptions' });
  const policy = sent.propagationPolicy ?? (sent.orphanDependents === true ? 'Orphan' : undefined);
  return {
    identity: request.identity,
    dryRun: dryRun.length > 0,
    ...(sent.preconditions === undefined ? {} : { preconditions: sent.preconditions }),
    ...(policy === undefined ? {} : { propagationPolicy: policy }),
  };
}

function fromQuery({ query }: Call): Options {
  const policy = first(query['propagationPolicy']);
  const dryRun = query['dryRun'] === undefined ? undefined : [query['dryRun']].flat();
  return {
    ...(dryRun === undefined ? {} : { dryRun }),
    ...(policy === undefined || policy === '' ? {} : { propagationPolicy: policy }),
    ...(query['orphanDependents'] === undefined ? {} : { orphanDependents: flag(query['orphanDependents']) }),
  };
}

const policies = ['Foreground', 'Background', 'Orphan'];

function policyCauses({ propagationPolicy, orphanDependents }: Options): FieldCause[] {
  const causes: FieldCause[] = [];
  if (propagationPolicy !== undefined && orphanDependents !== undefined) {
    causes.push({
      field: 'propagationPolicy',
      reason: 'FieldValueInvalid',
      message: `Invalid value: ${JSON.stringify(propagationPolicy)}: orphanDependents and deletionPropagation cannot be both set`,
    });
  } else if (propagationPolicy !== undefined && !policies.includes(propagationPolicy)) {
    const message = `Unsupported value: ${JSON.stringify(propagationPolicy)}: supported values: ${policies.map((p) => `"${p}"`).join(', ')}, "nil"`;
    causes.push({ field: 'propagationPolicy', reason: 'FieldValueNotSupported', message });
  }
  return causes;
}
