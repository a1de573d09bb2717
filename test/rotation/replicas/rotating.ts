import { randomUUID, X509Certificate } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import { readCertificate } from '../../../src/ca/x509/certificate.js';
import { csrPath } from '../../support/kube-client.js';
import { csrPem, newEcKey } from '../../support/pkcs10.js';
import type { Answer, Cluster, Replica } from './cluster.js';

/** Verifiers of a ring that are not there, in these tests. */
const classes: Readonly<Record<string, readonly string[]>> = {
  'front-proxy': ['kube-apiserver', 'extension-apiserver'],
  kubernetes: [
    ...['kube-apiserver', 'kube-controller-manager', 'kube-scheduler'],
    ...['kubelet', 'pod', 'kubeconfig', 'extension-apiserver'],
  ],
};

export async function startRotation(
  replica: Replica,
  ring: string,
  policy: 'manual' | 'automatic' = 'manual',
): Promise<string> {
  for (const name of classes[ring] ?? [])
    must(
      201,
      await replica.ask('POST', '/pki/v1/attestations', { ring, class: name, statement: 'absent', reason: 'a test' }),
    );
  const body = { ring, policy, reason: 'a test' };
  return String(must(201, await replica.ask('POST', '/pki/v1/rotations', body))['id']);
}

/** Of the kubeconfigs that Rotunda has issued, the administrator's among them. */
export async function attestKubeconfigs(replica: Replica, ring: string): Promise<void> {
  const said = { ring, class: 'kubeconfig', statement: 'loaded', generation: 2, reason: 'a test' };
  must(201, await replica.ask('POST', '/pki/v1/attestations', said));
}

/** Allows what is next, and does not wait for it. */
export async function advance(replica: Replica, id: string): Promise<void> {
  must(200, await replica.ask('POST', `/pki/v1/rotations/${id}/advance`, { reason: 'a test' }));
}

/** Waits until the rotation stands in a state, by the database; throws with what it waits for. */
export async function stands(
  cluster: Cluster,
  id: string,
  { state, ask, withinMs }: { readonly state: string; readonly ask: Replica; readonly withinMs: number },
): Promise<void> {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const [row] = await cluster.rows<{ state: string }>('select state from rotations where id = $1', [id]);
    if (row?.state === state) return;
    if (Date.now() > deadline) {
      const { text } = await ask.ask('GET', `/pki/v1/rotations/${id}/explanation`);
      throw new Error(`${String(row?.state)} and not ${state}: ${text}\n${cluster.logs()}`);
    }
    await sleep(10);
  }
}

export async function tokenFor(replica: Replica, bound: object): Promise<string> {
  return String(must(201, await replica.ask('POST', '/pki/v1/tokens', bound))['token']);
}

/** A request for the client certificate of a node, as its kubelet sends it. */
export function bootstrap(replica: Replica, token: string, node: string): Promise<Answer> {
  const subject = [
    ['O', 'system:nodes'],
    ['CN', `system:node:${node}`],
  ] as const;
  return submit(replica, token, { subject, signerName: 'kubernetes.io/kube-apiserver-client-kubelet' });
}

/** A certificate of the ring front-proxy. */
export function frontProxyClient(replica: Replica, token: string): Promise<Answer> {
  const subject = [['CN', 'front-proxy-client']] as const;
  return submit(replica, token, { subject, signerName: 'kubeadm.rotunda.dev/front-proxy-client' });
}

type Wanted = { readonly subject: Parameters<typeof csrPem>[1]['subject']; readonly signerName: string };

function submit(replica: Replica, token: string, { subject, signerName }: Wanted): Promise<Answer> {
  const spec = {
    request: Buffer.from(csrPem(newEcKey(), { subject })).toString('base64'),
    signerName,
    usages: ['digital signature', 'client auth'],
  };
  return replica.ask('POST', csrPath, { metadata: { name: `csr-${randomUUID()}` }, spec }, token);
}

/** Which authority issued what a request led to; undefined when nothing was issued. */
export async function issuerOf(replica: Replica, created: Answer): Promise<string | undefined> {
  const { name } = must(201, created)['metadata'] as { name: string };
  for (const deadline = Date.now() + 20_000; Date.now() < deadline;) {
    const { status } = must(200, await replica.ask('GET', `${csrPath}/${name}`)) as {
      status?: { certificate?: string; conditions?: { type: string }[] };
    };
    if (status?.certificate !== undefined) return readCertificate(leafOf(status.certificate)).authorityKeyId;
    if (status?.conditions?.some(({ type }) => type === 'Denied' || type === 'Failed') === true) return undefined;
    await sleep(50);
  }
  return undefined;
}

function must(status: number, answer: Answer): Answer['body'] {
  if (answer.status !== status) throw new Error(`${String(answer.status)}: ${answer.text}`);
  return answer.body;
}

/** `status.certificate` is base64 of a chain in PEM. */
function leafOf(encoded: string): Buffer {
  return new X509Certificate(Buffer.from(encoded, 'base64')).raw;
}
