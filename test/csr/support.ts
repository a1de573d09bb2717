import type { KeyObject } from 'node:crypto';

import { createAudit } from '../../src/audit/audit.js';
import type { Ca } from '../../src/ca/types.js';
import { decodePem } from '../../src/ca/x509/pem.js';
import { readCsr } from '../../src/ca/x509/csr.js';
import type { ReadCsr } from '../../src/ca/x509/types.js';
import { parseObject } from '../../src/csr/object.js';
import { builtInProfiles } from '../../src/csr/profiles.js';
import { createRequests } from '../../src/csr/requests.js';
import type { CertificateRequest, Profile, RequestDraft, RequestFacts, Requests } from '../../src/csr/types.js';
import { kubeadmNodeGroup } from '../../src/identity/token-format.js';
import type { Identity, Token, TokenFacts } from '../../src/identity/types.js';
import { createMetrics, type Metrics } from '../../src/metrics.js';
import type { Store } from '../../src/store/types.js';
import { logger, random } from '../ca/support.js';
import { type Rooms, startRooms, topology } from '../identity/rooms.js';
import { type CsrContent, csrPem, newEcKey } from '../support/pkcs10.js';

export const kubeletClient = 'kubernetes.io/kube-apiserver-client-kubelet';
export const kubeletServing = 'kubernetes.io/kubelet-serving';
export const apiserverClient = 'kubernetes.io/kube-apiserver-client';
export const clientUsages = ['digital signature', 'client auth'];
export const serverUsages = ['digital signature', 'server auth'];

export const profiles = builtInProfiles(topology, 'rotunda');

export function profileOf(signerName: string, from: readonly Profile[] = profiles): Profile {
  const found = from.find((profile) => profile.signerName === signerName);
  if (found === undefined) throw new Error(`no profile ${signerName}`);
  return found;
}

const anyKey = newEcKey();

/** base64 of the PEM text, as in spec.request. */
export function requestBytes(content: CsrContent, key: KeyObject = anyKey): string {
  return Buffer.from(csrPem(key, content)).toString('base64');
}

export function csrOf(content: CsrContent, key: KeyObject = anyKey): ReadCsr {
  return readCsr(decodePem(csrPem(key, content), { label: 'CERTIFICATE REQUEST', mode: 'strict' }));
}

export function nodeSubject(node: string): CsrContent {
  return {
    subject: [
      ['O', 'system:nodes'],
      ['CN', `system:node:${node}`],
    ],
  };
}

export function identity(change: Partial<Identity>): Identity {
  return {
    kind: 'certificate',
    username: 'someone',
    uid: '',
    groups: ['system:authenticated'],
    extra: {},
    roles: ['authenticated'],
    ...change,
  };
}

export function tokenFacts(change: Partial<TokenFacts> = {}): TokenFacts {
  return { id: 'abcdef', kind: 'node', node: 'node-a', reusable: false, state: 'active', claims: {}, ...change };
}

export function tokenIdentity(token: TokenFacts): Identity {
  return identity({
    kind: 'token',
    username: `system:bootstrap:${token.id}`,
    groups: ['system:bootstrappers', ...(token.kind === 'unbound' ? [kubeadmNodeGroup] : []), 'system:authenticated'],
    token,
    roles: ['bootstrapper', 'authenticated'],
  });
}

export function nodeIdentity(node: string): Identity {
  return identity({
    username: `system:node:${node}`,
    groups: ['system:nodes', 'system:authenticated'],
    ring: 'kubernetes',
    node,
    roles: ['node', 'authenticated'],
  });
}

export function memberIdentity(cluster: string, name: string): Identity {
  return identity({
    username: `rotunda:etcd-member:${cluster}:${name}`,
    ring: 'etcd',
    member: { cluster, name },
    roles: ['member', 'authenticated'],
  });
}

export const administrator = identity({
  username: 'admin',
  groups: ['rotunda:admins', 'system:authenticated'],
  ring: 'rotunda',
  roles: ['admin', 'authenticated'],
});

export function facts(who: Identity, change: Partial<RequestFacts> = {}): RequestFacts {
  return {
    identity: who,
    now: Date.UTC(2026, 10, 23, 12),
    nodePolicy: 'enrolled',
    ...(who.token === undefined ? {} : { token: who.token }),
    ...change,
  };
}

let names = 0;

export function draft(
  signerName: string,
  content: CsrContent,
  change: Partial<RequestDraft['spec']> = {},
  key?: KeyObject,
): RequestDraft {
  names += 1;
  const usages = signerName === kubeletServing ? serverUsages : clientUsages;
  return {
    metadata: { name: `request-${String(names)}` },
    spec: { request: requestBytes(content, key), signerName, usages, ...change },
    pem: 'upstream',
  };
}

export type Service = Rooms & { readonly requests: Requests; readonly metrics: Metrics };

export type ServiceOptions = {
  readonly nodeApproval?: 'enrolled' | 'upstream';
  readonly profiles?: readonly Profile[];
  /** Stands between the requests and the real rings. */
  readonly wrapCa?: (ca: Ca) => Ca;
  readonly rooms?: Rooms;
};

/** Requests over real rooms on a real store. */
export async function startService(store: Store, options: ServiceOptions = {}): Promise<Service> {
  const rooms = options.rooms ?? (await startRooms(store));
  const metrics = createMetrics();
  const { ca, clock, tokens, nodes, etcd, bans } = rooms;
  const requests = createRequests({
    ...{ store, clock, tokens, nodes, etcd, bans, random, metrics, logger },
    ca: options.wrapCa?.(ca) ?? ca,
    audit: createAudit({ logger }),
    profiles: options.profiles ?? profiles,
    topology,
    nodeApproval: options.nodeApproval ?? 'enrolled',
  });
  return { ...rooms, requests, metrics };
}

export async function stored(service: Service, name: string): Promise<CertificateRequest> {
  return parseObject(await service.requests.get(name));
}

export function conditionOf(
  request: CertificateRequest,
  type: string,
): { reason: string | undefined; message: string | undefined } | undefined {
  const found = request.status.conditions?.find((condition) => condition.type === type);
  return found === undefined ? undefined : { reason: found.reason, message: found.message };
}

/** Waits until the request satisfies `test`, at most five seconds. */
export async function eventually(
  service: Service,
  name: string,
  test: (request: CertificateRequest) => boolean,
): Promise<CertificateRequest> {
  const deadline = performance.now() + 5000;
  for (;;) {
    const request = await stored(service, name);
    if (test(request)) return request;
    if (performance.now() > deadline) throw new Error(`the request stays ${JSON.stringify(request.status)}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** A live token as authentication gives it. */
export async function authenticated(service: Service, created: { token: Token; secret: string }): Promise<Identity> {
  const found = await service.tokens.authenticate(created.token.id, created.secret);
  if (found === undefined) throw new Error('the token does not authenticate');
  return found;
}
