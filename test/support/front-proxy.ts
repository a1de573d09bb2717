import { createPublicKey } from 'node:crypto';

import { Agent, request as undiciRequest } from 'undici';

import type { IssuedCertificate, LeafOrder } from '../../src/ca/types.js';
import { issue } from '../ca/support.js';
import { keyPem, newEcKey } from './pkcs10.js';
import type { TestAnswer, TestService, TlsCredential } from './service.js';

const minuteMs = 60_000;
const clientAuth = '1.3.6.1.5.5.7.3.2';
const commonName = '2.5.4.3';
const organization = '2.5.4.10';

/** A user as an API server describes it. */
export type ProxiedUser = {
  readonly user?: string;
  readonly groups?: readonly string[];
  readonly uid?: string;
  readonly extra?: Readonly<Record<string, readonly string[]>>;
};

export type ProxyClient = {
  /** One request for this user; `headers` are sent as further lines, name and value in turn. */
  as(
    user: ProxiedUser,
    method: string,
    path: string,
    options?: { readonly body?: unknown; readonly headers?: readonly string[]; readonly contentType?: string },
  ): Promise<TestAnswer>;
  close(): Promise<void>;
};

/** The lines that kube-apiserver's auth proxy transport writes. */
export function headersOf({ user, groups = [], uid, extra = {} }: ProxiedUser): string[] {
  return [
    ...(user === undefined ? [] : ['X-Remote-User', utf8(user)]),
    ...(uid === undefined ? [] : ['X-Remote-Uid', uid]),
    ...groups.flatMap((group) => ['X-Remote-Group', utf8(group)]),
    ...Object.entries(extra).flatMap(([key, values]) =>
      values.flatMap((value) => [`X-Remote-Extra-${encodeURIComponent(key)}`, utf8(value)]),
    ),
  ];
}

/** Go writes header values as UTF-8; Node takes a character for each byte. */
function utf8(text: string): string {
  return Buffer.from(text).toString('latin1');
}

/** What an API server is to Rotunda: a client that speaks for many over the same connections. */
export function proxyClient(
  { url, ca }: Pick<TestService, 'url' | 'ca'>,
  credential?: TlsCredential,
  connections = 2,
): ProxyClient {
  const agent = new Agent({ connections, connect: { ca, ...credential } });
  return {
    as: async (user, method, path, { body, headers = [], contentType = 'application/json' } = {}) => {
      const answer = await undiciRequest(`${url}${path}`, {
        method: method as 'GET',
        dispatcher: agent,
        headers: [...headersOf(user), ...(body === undefined ? [] : ['content-type', contentType]), ...headers],
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await answer.body.text();
      return { status: answer.statusCode, headers: answer.headers, text, json: <T>() => JSON.parse(text) as T };
    },
    close: () => agent.destroy(),
  };
}

export type RingLeaf = TlsCredential & { readonly issued: IssuedCertificate };

/** A client certificate straight from a ring of the service, past every rule of requests: a front proxy's by default. */
export async function ringLeaf(
  { service }: Pick<TestService, 'service'>,
  {
    name = 'front-proxy-client',
    organizations = [],
    ...change
  }: Partial<LeafOrder> & { readonly name?: string; readonly organizations?: readonly string[] } = {},
): Promise<RingLeaf> {
  const { store, ca, clock } = service.context;
  const key = newEcKey();
  const now = clock.now().getTime();
  const issued = await issue(store, ca, {
    ring: 'front-proxy',
    profile: 'kubeadm.rotunda.dev/front-proxy-client',
    subject: [
      ...organizations.map((value) => ({ oid: organization, value })),
      ...(name === '' ? [] : [{ oid: commonName, value: name }]),
    ],
    commonName: name,
    names: [],
    spki: createPublicKey(key).export({ format: 'der', type: 'spki' }),
    keyId: name,
    notBefore: now - 5 * minuteMs,
    notAfter: now + 60 * minuteMs,
    keyUsages: ['digitalSignature'],
    extendedKeyUsages: [clientAuth],
    requester: 'admin',
    ...change,
  });
  return { cert: issued.pem, key: keyPem(key), issued };
}
