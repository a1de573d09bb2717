import { RotundaError } from '../../../errors.js';

export type Format = 'json' | 'yaml' | 'protobuf';

/** What the answer looks like: its encoding, and whether the object is turned into something else first. */
export type Representation = {
  readonly format: Format;
  readonly as?: {
    readonly kind: 'Table' | 'PartialObjectMetadata' | 'PartialObjectMetadataList';
    readonly version: 'v1' | 'v1beta1';
  };
};

const plain: Representation = { format: 'json' };
const notAcceptable =
  '406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, application/vnd.kubernetes.protobuf';
const cache = new Map<string, Representation>();
const cacheLimit = 200;

/**
 * Chooses by Accept as upstream's negotiation does, with one difference: protobuf only for who accepts no JSON, because
 * every client that sends protobuf also reads JSON. Throws 'not-acceptable'.
 */
export function negotiate(accept: string | undefined): Representation {
  if (accept === undefined || accept === '' || accept === 'application/json' || accept === '*/*') return plain;
  const known = cache.get(accept);
  if (known !== undefined) return known;
  const chosen = choose(accept);
  if (cache.size < cacheLimit) cache.set(accept, chosen);
  return chosen;
}

function choose(accept: string): Representation {
  let protobuf: Representation | undefined;
  for (const clause of clausesOf(accept)) {
    const as = transformOf(clause.params);
    if (as === 'unknown') continue;
    for (const format of formatsOf(clause.type)) {
      if (format === 'protobuf' && as?.kind === 'Table') continue;
      const found: Representation = { format, ...(as === undefined ? {} : { as }) };
      if (format !== 'protobuf') return found;
      protobuf ??= found;
    }
  }
  if (protobuf === undefined) throw new RotundaError('not-acceptable', notAcceptable, { object: {} });
  return protobuf;
}

type Clause = { readonly type: string; readonly params: ReadonlyMap<string, string>; readonly q: number };

function clausesOf(accept: string): Clause[] {
  const clauses = accept.split(',').map((part) => {
    const [type = '', ...rest] = part.split(';').map((piece) => piece.trim());
    const params = new Map(
      rest.map((piece) => [piece.split('=', 1)[0]?.toLowerCase() ?? '', piece.slice(piece.indexOf('=') + 1)]),
    );
    const q = Number(params.get('q') ?? '1');
    return { type: type.toLowerCase(), params, q: Number.isNaN(q) ? 1 : q };
  });
  return clauses.sort((a, b) => b.q - a.q);
}

function formatsOf(type: string): readonly Format[] {
  switch (type) {
    case 'application/json':
    case '*/*':
    case 'application/*':
      return ['json'];
    case 'application/yaml':
      return ['yaml'];
    case 'application/vnd.kubernetes.protobuf':
      return ['protobuf'];
    default:
      return [];
  }
}

function transformOf(params: ReadonlyMap<string, string>): Representation['as'] | 'unknown' {
  const kind = params.get('as');
  if (kind === undefined) return undefined;
  const version = params.get('v');
  if (params.get('g') !== 'meta.k8s.io' || (version !== 'v1' && version !== 'v1beta1')) return 'unknown';
  if (kind === 'Table' || kind === 'PartialObjectMetadata' || kind === 'PartialObjectMetadataList')
    return { kind, version };
  return 'unknown';
}
