import type { FastifyReply } from 'fastify';

import { RotundaError } from '../../../errors.js';
import { type Call, renderingOf } from '../call.js';
import { type ListMeta, sendValue, tableOptions } from '../render.js';
import { partialObject, type TableOptions } from '../table.js';
import { groupVersionOf, type PlainObject, type ResourceKind } from './types.js';

/** The object as clients see it, kind and apiVersion in front. */
export function typed(kind: ResourceKind, object: PlainObject): unknown {
  return { kind: kind.kind, apiVersion: groupVersionOf(kind), ...object };
}

/** Answers with one object in the form asked for. */
export function sendPlain(call: Call, kind: ResourceKind, code: number, object: PlainObject): FastifyReply {
  const { reply, representation } = call;
  const { as } = representation;
  if (as === undefined) return sendValue(reply, code, typed(kind, object), representation);
  if (as.kind === 'PartialObjectMetadataList') throw wrongForm(kind, as.kind, 'is not a list');
  if (as.kind === 'PartialObjectMetadata')
    return sendValue(reply, code, partialObject(object, as.version), representation);
  const options = tableOptions(renderingOf(call), as.version);
  const { resourceVersion } = object.metadata;
  return sendValue(reply, code, tableOf(kind, [object], { resourceVersion }, options), representation);
}

/** Answers with a list in the form asked for. */
export function sendPlainList(
  call: Call,
  kind: ResourceKind,
  items: readonly PlainObject[],
  metadata: ListMeta,
): FastifyReply {
  const { reply, representation } = call;
  const { as } = representation;
  if (as === undefined) {
    const list = { kind: `${kind.kind}List`, apiVersion: groupVersionOf(kind), metadata, items };
    return sendValue(reply, 200, list, representation);
  }
  if (as.kind === 'PartialObjectMetadata') throw wrongForm(kind, as.kind, 'is a list');
  if (as.kind === 'PartialObjectMetadataList') {
    const partial = items.map((object) => partialObject(object, as.version));
    const list = { kind: as.kind, apiVersion: `meta.k8s.io/${as.version}`, metadata, items: partial };
    return sendValue(reply, 200, list, representation);
  }
  const options = tableOptions(renderingOf(call), as.version);
  return sendValue(reply, 200, tableOf(kind, items, metadata, options), representation);
}

/** meta/v1 Table; `header` false leaves the columns out, as in every event of a watch but the first. */
export function tableOf(
  kind: ResourceKind,
  items: readonly PlainObject[],
  metadata: Readonly<Record<string, unknown>>,
  options: TableOptions,
  header = true,
): unknown {
  const rows = items.map((object) => ({
    cells: kind.cells(object, options.now),
    object: rowObject(kind, object, options),
  }));
  const columnDefinitions = header ? kind.columns : null;
  return { kind: 'Table', apiVersion: `meta.k8s.io/${options.version}`, metadata, columnDefinitions, rows };
}

function rowObject(kind: ResourceKind, object: PlainObject, { includeObject, version }: TableOptions): unknown {
  if (includeObject === 'None') return null;
  return includeObject === 'Metadata' ? partialObject(object, version) : typed(kind, object);
}

function wrongForm({ kind }: ResourceKind, wanted: string, problem: string): RotundaError {
  return new RotundaError('not-acceptable', `you requested ${wanted}, but the requested object ${problem} (${kind})`, {
    object: {},
  });
}
