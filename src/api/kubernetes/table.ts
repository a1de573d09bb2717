import type { CertificateRequest } from '../../csr/types.js';
import { humanDuration } from './human-duration.js';

export type IncludeObject = 'None' | 'Metadata' | 'Object';

export type Column = {
  readonly name: string;
  readonly type: string;
  readonly format: string;
  readonly description: string;
  readonly priority: number;
};

/** A column of text; `format` is `name` for what kubectl shows first. */
export function column(name: string, description: string, format = ''): Column {
  return { name, type: 'string', format, description, priority: 0 };
}

/** The columns of `kubectl get csr`. */
export const columns: readonly Column[] = [
  column('Name', 'Name of the request, unique in the cluster.', 'name'),
  column('Age', 'Time since the request was created.'),
  column('SignerName', 'The signer that is asked to issue the certificate.'),
  column('Requestor', 'Who created the request, as authenticated.'),
  column('RequestedDuration', 'How long the certificate is asked to be valid.'),
  column('Condition', 'What was decided, and whether a certificate was issued.'),
];

export type TableOptions = {
  readonly version: 'v1' | 'v1beta1';
  readonly includeObject: IncludeObject;
  readonly now: number;
};

/** One row of the table of requests. `text` is the stored JSON text. */
export function tableRow(request: CertificateRequest, text: string, options: TableOptions): unknown {
  return { cells: cellsOf(request, options.now), object: rowObject(request, text, options) };
}

/** meta/v1 Table. `header` false leaves the columns out, as in every event of a watch but the first. */
export function table(
  rows: readonly unknown[],
  metadata: Readonly<Record<string, unknown>>,
  options: TableOptions,
  header = true,
): unknown {
  return {
    kind: 'Table',
    apiVersion: `meta.k8s.io/${options.version}`,
    metadata,
    columnDefinitions: header ? columns : null,
    rows,
  };
}

/** meta/v1 PartialObjectMetadata. */
export function partialObject(request: { readonly metadata: unknown }, version: 'v1' | 'v1beta1'): unknown {
  return { kind: 'PartialObjectMetadata', apiVersion: `meta.k8s.io/${version}`, metadata: request.metadata };
}

function rowObject(request: CertificateRequest, text: string, options: TableOptions): unknown {
  if (options.includeObject === 'None') return null;
  if (options.includeObject === 'Metadata') return partialObject(request, options.version);
  return { kind: 'CertificateSigningRequest', apiVersion: 'certificates.k8s.io/v1', ...(JSON.parse(text) as object) };
}

function cellsOf({ metadata, spec, status }: CertificateRequest, now: number): string[] {
  const created = Date.parse(metadata.creationTimestamp);
  return [
    metadata.name,
    Number.isNaN(created) ? '<unknown>' : humanDuration(now - created),
    spec.signerName === '' ? '<none>' : spec.signerName,
    spec.username ?? '',
    spec.expirationSeconds === undefined ? '<none>' : humanDuration(spec.expirationSeconds * 1000),
    conditionOf(status),
  ];
}

function conditionOf(status: CertificateRequest['status']): string {
  const types = new Set((status.conditions ?? []).map((condition) => condition.type));
  const decision = types.has('Denied') ? 'Denied' : types.has('Approved') ? 'Approved' : 'Pending';
  return `${decision}${types.has('Failed') ? ',Failed' : ''}${status.certificate ? ',Issued' : ''}`;
}
