import { createHash, type KeyObject } from 'node:crypto';
import { createInterface } from 'node:readline';
import { type Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';

import { Agent, type Dispatcher, request } from 'undici';

import { type CreateBody, jsonCreateBody, protobufCreateBody } from './kubelet-wire.js';
import { csrPem, type CsrContent, keyPem, newEcKey, publicDer } from './pkcs10.js';

/**
 * A kubelet's certificate requests as client-go's certificate manager sends them: the same requests in the same order,
 * the same bodies, the same reading of what comes back.
 */
export type KubeletOptions = {
  readonly url: string;
  readonly ca: string;
  readonly nodeName: string;
  readonly token?: string;
  readonly credential?: { readonly cert: string; readonly key: string };
  readonly wire?: 'protobuf' | 'json';
  /** WatchList from client-go 0.35 on, list and watch before. */
  readonly read?: 'watch-list' | 'list-watch';
  readonly key?: KeyObject;
  /** How long it waits for the certificate (upstream 15 min); in milliseconds. */
  readonly waitMs?: number;
};

export type Obtained = { readonly name: string; readonly cert: string; readonly key: string };

const collection = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
const userAgent = 'kubelet/v1.36.3 (linux/amd64) kubernetes/0000000';

type Csr = {
  metadata: { name: string; uid: string; resourceVersion: string; annotations?: Record<string, string> };
  spec: { request: string; signerName: string };
  status: { certificate?: string; conditions?: { type: string; reason?: string; message?: string }[] };
};

/** Asks for the client certificate over the `generateName` path (rotateCertificates: true). */
export function requestClientCertificate(options: KubeletOptions): Promise<Obtained> {
  const key = options.key ?? newEcKey();
  return obtain(
    options,
    key,
    clientSubject(options.nodeName),
    'kubernetes.io/kube-apiserver-client-kubelet',
    clientUsages(key),
    '',
  );
}

/** Asks for the serving certificate with the client certificate it has. */
export function requestServingCertificate(
  options: KubeletOptions & { readonly dns: readonly string[]; readonly ips: readonly string[] },
): Promise<Obtained> {
  const key = options.key ?? newEcKey();
  const content = { ...clientSubject(options.nodeName), dns: options.dns, ips: options.ips };
  return obtain(options, key, content, 'kubernetes.io/kubelet-serving', ['digital signature', 'server auth'], '');
}

/** The blocking bootstrap of rotateCertificates: false: /healthz, a name made of the key, 409 taken as one's own. */
export async function bootstrapBlocking(options: KubeletOptions): Promise<Obtained> {
  const key = options.key ?? newEcKey();
  const agent = agentFor(options);
  try {
    const health = await call(agent, options, 'GET', '/healthz');
    await health.body.dump();
    const usages = ['digital signature', 'key encipherment', 'client auth'];
    const name = digestedName(key, options.nodeName, usages);
    return await obtain(
      options,
      key,
      clientSubject(options.nodeName),
      'kubernetes.io/kube-apiserver-client-kubelet',
      usages,
      name,
    );
  } finally {
    await agent.destroy();
  }
}

function clientUsages(key: KeyObject): string[] {
  return key.asymmetricKeyType === 'rsa'
    ? ['key encipherment', 'digital signature', 'client auth']
    : ['digital signature', 'client auth'];
}

function clientSubject(nodeName: string): CsrContent {
  return {
    subject: [
      ['O', 'system:nodes'],
      ['CN', `system:node:${nodeName}`],
    ],
  };
}

async function obtain(
  options: KubeletOptions,
  key: KeyObject,
  content: CsrContent,
  signerName: string,
  usages: readonly string[],
  name: string,
): Promise<Obtained> {
  const agent = agentFor(options);
  try {
    const body = {
      name,
      generateName: name === '' ? 'csr-' : '',
      requestPem: csrPem(key, content),
      signerName,
      usages,
    };
    const created = await create(agent, options, body);
    const cert = await waitForCertificate(agent, options, created);
    return { name: created.metadata.name, cert, key: keyPem(key) };
  } finally {
    await agent.destroy();
  }
}

async function create(agent: Agent, options: KubeletOptions, body: CreateBody): Promise<Csr> {
  const wire = options.wire ?? 'protobuf';
  const answer = await call(agent, options, 'POST', collection, {
    type: wire === 'protobuf' ? 'application/vnd.kubernetes.protobuf' : 'application/json',
    body: wire === 'protobuf' ? protobufCreateBody(body) : jsonCreateBody(body),
  });
  const text = await textOf(answer);
  if (answer.statusCode === 409 && body.name !== '') {
    const existing = JSON.parse(await textOf(await call(agent, options, 'GET', `${collection}/${body.name}`))) as Csr;
    if (existing.spec.signerName !== body.signerName) throw new Error('the existing request has another signer');
    return existing;
  }
  if (answer.statusCode !== 201) throw new KubeletError(answer.statusCode, text);
  return JSON.parse(text) as Csr;
}

/** What the service answered where a kubelet expects success. */
export class KubeletError extends Error {
  readonly status: number;

  constructor(status: number, text: string) {
    super(`${String(status)} ${text}`);
    this.status = status;
  }
}

async function waitForCertificate(agent: Agent, options: KubeletOptions, created: Csr): Promise<string> {
  const selector = `fieldSelector=${encodeURIComponent(`metadata.name=${created.metadata.name}`)}`;
  const probe = await call(agent, options, 'GET', `${collection}?${selector}`);
  const probeText = await textOf(probe);
  if (probe.statusCode !== 200) throw new KubeletError(probe.statusCode, probeText);
  const deadline = AbortSignal.timeout(options.waitMs ?? 15_000);
  if ((options.read ?? 'watch-list') === 'watch-list') {
    const query =
      `allowWatchBookmarks=true&${selector}&resourceVersionMatch=NotOlderThan&sendInitialEvents=true&timeout=8m42s` +
      '&timeoutSeconds=522&watch=true';
    return watchUntil(agent, options, query, created, deadline);
  }
  const list = await call(agent, options, 'GET', `${collection}?${selector}&limit=500&resourceVersion=0`);
  const { items, metadata } = JSON.parse(await textOf(list)) as { items: Csr[]; metadata: { resourceVersion: string } };
  for (const item of items) {
    const cert = verdict(item, created);
    if (cert !== undefined) return cert;
  }
  const query = `allowWatchBookmarks=true&${selector}&resourceVersion=${metadata.resourceVersion}&timeoutSeconds=431&watch=true`;
  return watchUntil(agent, options, query, created, deadline);
}

async function watchUntil(
  agent: Agent,
  options: KubeletOptions,
  query: string,
  created: Csr,
  deadline: AbortSignal,
): Promise<string> {
  const answer = await call(agent, options, 'GET', `${collection}?${query}`, { signal: deadline });
  if (answer.statusCode !== 200) throw new KubeletError(answer.statusCode, await textOf(answer));
  const lines = createInterface({ input: decoded(answer) });
  // Leaving a watch is no error; one that breaks ends the lines.
  lines.on('error', () => undefined);
  try {
    for await (const line of lines) {
      const event = JSON.parse(line) as { type: string; object: Csr };
      if (event.type === 'ERROR') throw new Error(`watch error: ${line}`);
      if (event.type === 'DELETED') throw new Error('the request was deleted');
      if (event.type === 'BOOKMARK') continue;
      const cert = verdict(event.object, created);
      if (cert !== undefined) return cert;
    }
  } finally {
    answer.body.on('error', () => undefined).destroy();
  }
  throw new Error('the watch ended without a certificate');
}

/** The certificate when it is approved and issued; undefined while pending. A certificate without approval is ignored. */
function verdict(csr: Csr, created: Csr): string | undefined {
  if (csr.metadata.uid !== created.metadata.uid) throw new Error(`csr ${csr.metadata.name} changed UIDs`);
  const conditions = csr.status.conditions ?? [];
  for (const type of ['Denied', 'Failed']) {
    const found = conditions.find((condition) => condition.type === type);
    if (found !== undefined) {
      throw new Error(
        `certificate signing request is ${type.toLowerCase()}, reason: ${found.reason ?? ''}, message: ${found.message ?? ''}`,
      );
    }
  }
  const approved = conditions.some((condition) => condition.type === 'Approved');
  const { certificate } = csr.status;
  return approved && certificate !== undefined && certificate !== ''
    ? Buffer.from(certificate, 'base64').toString()
    : undefined;
}

/** Upstream's digestedName: SHA-512/256 over base64url parts, each ended by `|`. */
function digestedName(key: KeyObject, nodeName: string, usages: readonly string[]): string {
  const hash = createHash('sha512-256');
  const parts = [
    publicDer(key),
    Buffer.from(`system:node:${nodeName}`),
    Buffer.from('system:nodes'),
    ...usages.map((u) => Buffer.from(u)),
  ];
  for (const part of parts) hash.update(`${part.toString('base64url')}|`);
  return `node-csr-${hash.digest('base64url')}`;
}

function agentFor(options: KubeletOptions): Agent {
  return new Agent({ connect: { ca: options.ca, ...options.credential }, connections: 2 });
}

type CallOptions = { readonly type?: string; readonly body?: Buffer; readonly signal?: AbortSignal };

function call(
  agent: Agent,
  options: KubeletOptions,
  method: 'GET' | 'POST',
  path: string,
  extra: CallOptions = {},
): Promise<Dispatcher.ResponseData> {
  return request(`${options.url}${path}`, {
    method,
    dispatcher: agent,
    headers: {
      accept: 'application/vnd.kubernetes.protobuf,application/json',
      'accept-encoding': 'gzip',
      'user-agent': userAgent,
      ...(extra.type === undefined ? {} : { 'content-type': extra.type }),
      ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
    },
    ...(extra.body === undefined ? {} : { body: extra.body }),
    ...(extra.signal === undefined ? {} : { signal: extra.signal }),
  });
}

function decoded(answer: Dispatcher.ResponseData): Readable {
  return answer.headers['content-encoding'] === 'gzip' ? answer.body.pipe(createGunzip()) : answer.body;
}

async function textOf(answer: Dispatcher.ResponseData): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of decoded(answer)) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
