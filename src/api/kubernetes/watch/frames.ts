import type { CertificateRequest } from '../../../csr/types.js';
import type { Change, ChangeType } from '../../../store/types.js';
import type { Status } from '../status.js';
import { groupVersion, kind } from '../kinds.js';
import { objectText } from '../render.js';
import { matchesSelection, type Selection } from '../selectors.js';
import { partialObject, table, type TableOptions, tableRow } from '../table.js';

/** How a watch shows its objects. */
export type Framing =
  | { readonly kind: 'object' }
  | { readonly kind: 'partial'; readonly version: 'v1' | 'v1beta1' }
  | { readonly kind: 'table'; readonly options: () => TableOptions; header: boolean };

/** One line of a watch, from the stored text. */
export function eventFrame(type: ChangeType, text: string, framing: Framing): string {
  if (framing.kind === 'object') return `{"type":"${type}","object":${objectText(text)}}\n`;
  return `${JSON.stringify({ type, object: framed(JSON.parse(text) as CertificateRequest, text, framing) })}\n`;
}

function framed(request: CertificateRequest, text: string, framing: Exclude<Framing, { kind: 'object' }>): unknown {
  if (framing.kind === 'partial') return partialObject(request, framing.version);
  const options = framing.options();
  const { header } = framing;
  framing.header = false;
  return table(
    [tableRow(request, text, options)],
    { resourceVersion: request.metadata.resourceVersion },
    options,
    header,
  );
}

/** A bookmark; `initial` marks the end of the initial events. */
export function bookmarkFrame(revision: number, initial: boolean, framing: Framing): string {
  const metadata = {
    resourceVersion: String(revision),
    ...(initial ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {}),
  };
  if (framing.kind === 'object') {
    const object = { kind, apiVersion: groupVersion, metadata, spec: { request: null, signerName: '' }, status: {} };
    return `${JSON.stringify({ type: 'BOOKMARK', object })}\n`;
  }
  const empty = { metadata, spec: { signerName: '' }, status: {} } as unknown as CertificateRequest;
  return `${JSON.stringify({ type: 'BOOKMARK', object: framed(empty, JSON.stringify(empty), framing) })}\n`;
}

export function errorFrame(status: Status): string {
  return `${JSON.stringify({ type: 'ERROR', object: status })}\n`;
}

export type WatchEvent = { readonly type: ChangeType; readonly text: string };

/**
 * What a change is to a watch with this selection: an object that comes to match is ADDED, one that no longer does is
 * DELETED in its last matching state with the change's version. Only labels can change what matches.
 */
export function eventOf(change: Change, selection: Selection): WatchEvent | undefined {
  if (selection.everything) return { type: change.type, text: change.object };
  const is = matchesText(change.object, selection);
  if (change.type !== 'MODIFIED' || change.previous === undefined)
    return is ? { type: change.type, text: change.object } : undefined;
  const was = matchesText(change.previous, selection);
  if (is) return { type: was ? 'MODIFIED' : 'ADDED', text: change.object };
  return was ? { type: 'DELETED', text: withRevision(change.previous, change.revision) } : undefined;
}

let parsed: { readonly text: string; readonly request: CertificateRequest } | undefined;

/** Many watches look at the same change one after the other: it is parsed once. */
function matchesText(text: string, selection: Selection): boolean {
  if (parsed?.text !== text) parsed = { text, request: JSON.parse(text) as CertificateRequest };
  return matchesSelection(selection, parsed.request);
}

function withRevision(text: string, revision: number): string {
  const request = JSON.parse(text) as CertificateRequest;
  return JSON.stringify({ ...request, metadata: { ...request.metadata, resourceVersion: String(revision) } });
}
