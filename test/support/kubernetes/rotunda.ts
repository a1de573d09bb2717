import type { TestClient, TestService } from '../service.js';

/** A certificate request as the service lists it. */
export type ListedRequest = {
  readonly metadata: { readonly name: string; readonly annotations?: Readonly<Record<string, string>> };
  readonly spec: { readonly signerName: string; readonly username: string };
  readonly status: {
    readonly conditions?: readonly { readonly type: string; readonly reason?: string; readonly message?: string }[];
    readonly certificate?: string;
  };
};

export const CLIENT_SIGNER = 'kubernetes.io/kube-apiserver-client-kubelet';
export const SERVING_SIGNER = 'kubernetes.io/kubelet-serving';

const COLLECTION = '/apis/certificates.k8s.io/v1/certificatesigningrequests';

type NodeFacts = { readonly name: string; readonly addresses?: readonly string[] };

export type Administrator = {
  readonly client: TestClient;
  /** A bootstrap token, bound to a node or (without one) as kubeadm makes them. */
  token(node?: NodeFacts, more?: Readonly<Record<string, unknown>>): Promise<string>;
  post(path: string, body: unknown): Promise<void>;
  patch(path: string, body: unknown): Promise<void>;
  requests(signerName: string): Promise<readonly ListedRequest[]>;
  /** What `kubectl certificate deny` does. */
  deny(name: string): Promise<void>;
};

/** What a test does as the administrator of a service. */
export function administrator(rotunda: TestService): Administrator {
  const client = rotunda.client(rotunda.admin);
  const send = async (method: string, path: string, body: unknown): Promise<string> => {
    const answer = await client.send(method, path, { body });
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
    return answer.text;
  };
  return {
    client,
    token: async (node, more) => {
      const text = await send('POST', '/pki/v1/tokens', { ...(node === undefined ? {} : { node }), ...more });
      return (JSON.parse(text) as { token: string }).token;
    },
    post: async (path, body) => {
      await send('POST', path, body);
    },
    patch: async (path, body) => {
      await send('PATCH', path, body);
    },
    requests: async (signerName) => {
      const answer = await client.send('GET', `${COLLECTION}?fieldSelector=spec.signerName=${signerName}`);
      return answer.json<{ items: ListedRequest[] }>().items;
    },
    deny: async (name) => {
      const request = (await client.send('GET', `${COLLECTION}/${name}`)).json<{
        status: { conditions?: unknown[] };
      }>();
      const denied = {
        type: 'Denied',
        status: 'True',
        reason: 'KubectlDeny',
        message: 'This CSR was denied by a test.',
      };
      request.status.conditions = [...(request.status.conditions ?? []), denied];
      await send('PUT', `${COLLECTION}/${name}/approval`, request);
    },
  };
}

/** What a token bound to a node needs beside that for `kubeadm join`: to sign cluster-info, and kubeadm's own group. */
export const KUBEADM_TOKEN = {
  usages: ['authentication', 'signing'],
  groups: ['system:bootstrappers:kubeadm:default-node-token'],
};

/** The names of a request's conditions, with `Issued` for one that has its certificate. */
export function stateOf(request: ListedRequest): string {
  const types = (request.status.conditions ?? []).map(({ type }) => type);
  return [...types, ...(request.status.certificate === undefined ? [] : ['Issued'])].join(',');
}
