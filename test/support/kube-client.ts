import { gogoBody } from './gogo.js';
import type { TestAnswer, TestClient } from './service.js';

/** Any object of the surface, as JSON shows it. */
export type KubeObject = {
  readonly kind?: string;
  readonly apiVersion?: string;
  readonly code?: number;
  readonly reason?: string;
  readonly message?: string;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly creationTimestamp?: string;
    readonly deletionTimestamp?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly finalizers?: readonly string[];
    readonly ownerReferences?: readonly unknown[];
    readonly managedFields?: readonly Readonly<Record<string, unknown>>[];
    readonly generateName?: string;
    readonly continue?: string;
    readonly remainingItemCount?: number;
  };
  readonly spec: {
    readonly request: string;
    readonly signerName: string;
    readonly usages?: readonly string[];
    readonly expirationSeconds?: number;
    readonly username?: string;
    readonly groups?: readonly string[];
  };
  readonly status: {
    readonly certificate?: string;
    readonly conditions?: readonly Condition[];
  };
  readonly items?: readonly KubeObject[];
};

export type Condition = {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
  readonly lastUpdateTime?: string;
};

export const csrPath = '/apis/certificates.k8s.io/v1/certificatesigningrequests';

const protobuf = 'application/vnd.kubernetes.protobuf';
const typedAccept = `${protobuf},application/json`;
export const mergePatch = 'application/merge-patch+json';

/** The certificates client of client-go since 0.32: protobuf bodies, and answers in whatever it is given. */
export type TypedClient = {
  create(object: unknown, query?: string): Promise<TestAnswer>;
  get(name: string): Promise<TestAnswer>;
  list(query?: string): Promise<TestAnswer>;
  update(object: KubeObject, subresource?: 'approval' | 'status', query?: string): Promise<TestAnswer>;
  patch(name: string, body: unknown, subresource?: 'approval' | 'status'): Promise<TestAnswer>;
  delete(name: string, options?: unknown): Promise<TestAnswer>;
  deleteCollection(query: string, options?: unknown): Promise<TestAnswer>;
};

export function typedClient(client: TestClient): TypedClient {
  const send = (method: string, path: string, kind?: string, value?: unknown): Promise<TestAnswer> => {
    const apiVersion = kind === 'DeleteOptions' ? 'v1' : 'certificates.k8s.io/v1';
    return client.send(method, path, {
      headers: { accept: typedAccept, ...(kind === undefined ? {} : { 'content-type': protobuf }) },
      ...(kind === undefined ? {} : { raw: gogoBody(apiVersion, kind, value) }),
    });
  };
  const item = (name: string, subresource?: string): string =>
    `${csrPath}/${encodeURIComponent(name)}${subresource === undefined ? '' : `/${subresource}`}`;
  const kind = 'CertificateSigningRequest';
  return {
    create: (object, query = '') => send('POST', csrPath + query, kind, object),
    get: (name) => send('GET', item(name)),
    list: (query = '') => send('GET', csrPath + query),
    update: (object, subresource, query = '') =>
      send('PUT', item(object.metadata.name, subresource) + query, kind, object),
    patch: (name, body, subresource) =>
      client.send('PATCH', item(name, subresource), {
        headers: { accept: typedAccept, 'content-type': mergePatch },
        raw: JSON.stringify(body),
      }),
    delete: (name, options = {}) => send('DELETE', item(name), 'DeleteOptions', options),
    deleteCollection: (query, options = {}) => send('DELETE', csrPath + query, 'DeleteOptions', options),
  };
}

/** The object of an answer; throws with the text of any other than the status wanted. */
export function expectObject(answer: TestAnswer, status: number): KubeObject {
  if (answer.status !== status)
    throw new Error(`${String(answer.status)} instead of ${String(status)}: ${answer.text}`);
  return answer.json<KubeObject>();
}
