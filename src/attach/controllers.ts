import { setTimeout as sleep } from 'node:timers/promises';

import type { ClusterClient, ClusterObject } from './client.js';
import type { ClusterRequest } from './types.js';

export const requestsPath = '/apis/certificates.k8s.io/v1/certificatesigningrequests';

/** What was seen of kube-controller-manager's controllers for certificate signing requests. */
export type ControllersSeen = {
  readonly approver: 'runs' | 'off' | 'unknown';
  readonly signer: 'runs' | 'off' | 'unknown';
  /** How that is known, for people. */
  readonly how: string;
};

/** The names of the two in 1.36, and their older ones. */
const approverNames = ['certificatesigningrequest-approving-controller', 'csrapproving'];
const signerNames = ['certificatesigningrequest-signing-controller', 'csrsigning'];

/** For `--controllers`, behind what is there: the flag replaces the default, and kubeadm sets more than a star. */
export const controllersOff = `-${signerNames[0] ?? ''},-${approverNames[0] ?? ''}`;

type Pod = ClusterObject & {
  readonly spec?: {
    readonly containers?: readonly { readonly command?: readonly string[]; readonly args?: readonly string[] }[];
  };
};

/** Reads the flags of kube-controller-manager's pods, where it runs as a static pod as kubeadm makes it. */
export async function controllersByFlags(client: ClusterClient): Promise<ControllersSeen> {
  const query = { labelSelector: 'component=kube-controller-manager' };
  const { items } = await client.list<Pod>('/api/v1/namespaces/kube-system/pods', query);
  if (items.length === 0) {
    return { approver: 'unknown', signer: 'unknown', how: 'no pod of kube-controller-manager is in kube-system' };
  }
  const flags = items.map((pod) => flagOf(pod, '--controllers') ?? '*');
  return {
    approver: flags.some((list) => isOn(list, approverNames)) ? 'runs' : 'off',
    signer: flags.some((list) => isOn(list, signerNames)) ? 'runs' : 'off',
    how: `flags of ${items.map(({ metadata }) => metadata.name).join(', ')}`,
  };
}

function flagOf({ spec }: Pod, flag: string): string | undefined {
  const words = (spec?.containers ?? []).flatMap(({ command = [], args = [] }) => [...command, ...args]);
  return words.findLast((word) => word.startsWith(`${flag}=`))?.slice(flag.length + 1);
}

/** kube-controller-manager's own rule: named wins, then named with a minus, then `*`. */
function isOn(list: string, names: readonly string[]): boolean {
  const items = list.split(',').map((item) => item.trim());
  if (names.some((name) => items.includes(name))) return true;
  if (names.some((name) => items.includes(`-${name}`))) return false;
  return items.includes('*');
}

export type ProbeRequests = {
  /** A CSR (PEM) whose subject makes it a kubelet's: only the approver's rules look at it. */
  readonly kubelet: string;
  /** A CSR (PEM) for an ordinary user without groups. */
  readonly user: string;
};

const kubeletSigner = 'kubernetes.io/kube-apiserver-client-kubelet';
const userSigner = 'kubernetes.io/kube-apiserver-client';

/**
 * Sees by trying, where flags cannot be read: a kubelet's request that nobody approves is approved by the approver, and
 * a user's request that was approved is signed by the signer. Both ask for ten minutes and for keys that nobody has,
 * and are deleted at the end. The caller must be allowed to create and approve them.
 */
export async function controllersByProbe(
  client: ClusterClient,
  probes: ProbeRequests,
  waitMs: number,
): Promise<ControllersSeen> {
  const kubelet = await createProbe(client, kubeletSigner, probes.kubelet);
  const user = await createProbe(client, userSigner, probes.user);
  try {
    await approve(client, user);
    const deadline = performance.now() + waitMs;
    for (;;) {
      const [first, second] = await Promise.all([read(client, kubelet), read(client, user)]);
      const approver = first?.status?.conditions?.some(({ type }) => type === 'Approved') === true;
      const signer = [first, second].some((one) => (one?.status?.certificate ?? '') !== '');
      if ((approver && signer) || performance.now() > deadline) {
        const seconds = String(Math.round(waitMs / 1000));
        const how = `two probe requests, watched for ${seconds} seconds`;
        return { approver: approver ? 'runs' : 'off', signer: signer ? 'runs' : 'off', how };
      }
      await sleep(250);
    }
  } finally {
    for (const { metadata } of [kubelet, user]) await client.remove(`${requestsPath}/${metadata.name}`, metadata.uid);
  }
}

function createProbe(client: ClusterClient, signerName: string, pem: string): Promise<ClusterRequest> {
  return client.create(requestsPath, {
    apiVersion: 'certificates.k8s.io/v1',
    kind: 'CertificateSigningRequest',
    metadata: { generateName: 'rotunda-probe-' },
    spec: {
      request: Buffer.from(pem).toString('base64'),
      signerName,
      expirationSeconds: 600,
      usages: ['digital signature', 'client auth'],
    },
  });
}

async function approve(client: ClusterClient, request: ClusterRequest): Promise<void> {
  const now = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
  const condition = {
    type: 'Approved',
    status: 'True',
    reason: 'RotundaProbe',
    message: 'Tries whether kube-controller-manager signs requests.',
    lastUpdateTime: now,
  };
  await client.replace(`${requestsPath}/${request.metadata.name}/approval`, {
    ...request,
    apiVersion: 'certificates.k8s.io/v1',
    kind: 'CertificateSigningRequest',
    status: { conditions: [condition] },
  });
}

function read(client: ClusterClient, { metadata }: ClusterRequest): Promise<ClusterRequest | undefined> {
  return client.get(`${requestsPath}/${metadata.name}`);
}
