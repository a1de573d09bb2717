import type { FastifyRequest } from 'fastify';

import type { ErrorDetails } from '../../errors.js';

/** What a URL asks for, as upstream's RequestInfo reads it. */
export type Target = {
  readonly path: string;
  readonly isResource: boolean;
  readonly verb: string;
  readonly group: string;
  readonly version: string;
  readonly namespace?: string;
  readonly resource: string;
  readonly subresource?: string;
  /** The name in the path. */
  readonly name?: string;
  /** The one name that a field selector asks for, on a collection. */
  readonly selectedName?: string;
  /** Path segments behind the subresource: such a path exists for no resource. */
  readonly tooDeep: boolean;
  readonly watch: boolean;
  /** For Status.details. */
  readonly object?: NonNullable<ErrorDetails['object']>;
};

export type Query = Readonly<Record<string, string | string[] | undefined>>;

const collectionPath = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
/** What every kubelet begins with, read once. */
const createTarget: Target = {
  path: collectionPath,
  isResource: true,
  verb: 'create',
  group: 'certificates.k8s.io',
  version: 'v1',
  resource: 'certificatesigningrequests',
  tooDeep: false,
  watch: false,
  object: { group: 'certificates.k8s.io', resource: 'certificatesigningrequests', kind: 'CertificateSigningRequest' },
};

const readVerbs: Readonly<Record<string, string>> = {
  GET: 'get',
  HEAD: 'get',
  POST: 'create',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
};

/** What the URL of a request asks for; null outside this surface and before it was read. */
export function targetOf(request: FastifyRequest): Target | null {
  return request.getDecorator<Target | null>(decorator);
}

/** Name of the request's property that holds the target. */
export const decorator = 'target';

/** Reads method, path and query into verb, resource and name, as upstream's RequestInfo does. */
export function parseTarget(method: string, url: string, query: Query): Target {
  const path = url.split('?', 1)[0] ?? '';
  if (path === collectionPath && method === 'POST') return createTarget;
  const parts = path
    .split('/')
    .filter((part) => part !== '')
    .map(decode);
  const nonResource = (): Target => ({
    path,
    isResource: false,
    verb: method.toLowerCase(),
    group: '',
    version: '',
    resource: '',
    tooDeep: false,
    watch: false,
  });
  const legacy = parts[0] === 'api';
  const rest = parts.slice(legacy ? 1 : 2);
  if ((parts[0] !== 'api' && parts[0] !== 'apis') || rest.length < 2) return nonResource();
  const group = legacy ? '' : (parts[1] ?? '');
  const version = rest[0] ?? '';
  let tail = rest.slice(1);
  const watchPrefix = tail[0] === 'watch' && tail.length > 1;
  if (watchPrefix) tail = tail.slice(1);
  let namespace: string | undefined;
  if (tail[0] === 'namespaces' && tail.length > 2) {
    namespace = tail[1] ?? '';
    tail = tail.slice(2);
  }
  const [resource = '', inPath, subresource, ...deeper] = tail;
  const watch = watchPrefix || (inPath === undefined && method === 'GET' && flag(query['watch']));
  const selectedName =
    inPath === undefined && (method === 'GET' || method === 'DELETE')
      ? nameOfSelector(query['fieldSelector'])
      : undefined;
  const name = inPath ?? selectedName;
  return {
    path,
    isResource: true,
    verb: verbOf(method, inPath === undefined, watch),
    group,
    version,
    ...(namespace === undefined ? {} : { namespace }),
    resource,
    ...(subresource === undefined ? {} : { subresource }),
    ...(inPath === undefined ? {} : { name: inPath }),
    ...(selectedName === undefined ? {} : { selectedName }),
    tooDeep: deeper.length > 0,
    watch,
    object: {
      ...(group === '' ? {} : { group }),
      resource,
      ...kindOf(resource),
      ...(name === undefined ? {} : { name }),
    },
  };
}

function kindOf(resource: string): { kind?: string } {
  return resource === 'certificatesigningrequests' ? { kind: 'CertificateSigningRequest' } : {};
}

function verbOf(method: string, collection: boolean, watch: boolean): string {
  if (watch) return 'watch';
  if (collection && (method === 'GET' || method === 'HEAD')) return 'list';
  if (collection && method === 'DELETE') return 'deletecollection';
  return readVerbs[method] ?? method.toLowerCase();
}

function nameOfSelector(selector: string | string[] | undefined): string | undefined {
  const text = first(selector);
  return text === undefined ? undefined : /^metadata\.name==?([^,=!\\]+)$/.exec(text)?.[1];
}

function decode(part: string): string {
  if (!part.includes('%')) return part;
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The first value of a query parameter. */
export function first(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}

/** A boolean query parameter as Go's conversion reads it: anything but `false` and `0` is true. */
export function flag(value: string | string[] | undefined): boolean {
  const text = first(value);
  return text !== undefined && text.toLowerCase() !== 'false' && text !== '0';
}
