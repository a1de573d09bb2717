import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { stringify } from 'yaml';

import { csrPem, keyPem, newEcKey } from '../pkcs10.js';
import type { TestService, TlsCredential } from '../service.js';

/** The files of one control-plane machine, as kubeadm names them, all from Rotunda with one control-plane token. */
export type ControlPlanePki = {
  /** `/etc/kubernetes/pki` of the machine. */
  readonly dir: string;
  /** The file `<name>` there: `ca.crt`, `etcd/server.key`, … */
  file(name: string): string;
  /** A kubeconfig of the machine for the API server at this URL. */
  kubeconfig(name: 'super-admin' | 'admin' | 'controller-manager' | 'scheduler', server: string): string;
  /** The same credential. */
  readonly superAdmin: TlsCredential;
  readonly bundles: { readonly kubernetes: string; readonly etcd: string; readonly frontProxy: string };
};

export type Machine = { readonly name: string; readonly dns: readonly string[]; readonly ips: readonly string[] };

type Leaf = {
  readonly profile: string;
  readonly file: string;
  readonly commonName: string;
  readonly organization?: string;
  readonly named?: boolean;
};

const leaves = (node: string): readonly Leaf[] => [
  { profile: 'apiserver', file: 'apiserver', commonName: 'kube-apiserver', named: true },
  {
    profile: 'apiserver-kubelet-client',
    file: 'apiserver-kubelet-client',
    commonName: 'kube-apiserver-kubelet-client',
  },
  { profile: 'front-proxy-client', file: 'front-proxy-client', commonName: 'front-proxy-client' },
  { profile: 'etcd-server', file: 'etcd/server', commonName: node, named: true },
  { profile: 'etcd-peer', file: 'etcd/peer', commonName: node, named: true },
  { profile: 'apiserver-etcd-client', file: 'apiserver-etcd-client', commonName: 'kube-apiserver-etcd-client' },
  { profile: 'admin', file: 'admin', commonName: 'kubernetes-admin', organization: 'kubeadm:cluster-admins' },
  {
    profile: 'super-admin',
    file: 'super-admin',
    commonName: 'kubernetes-super-admin',
    organization: 'system:masters',
  },
  { profile: 'controller-manager', file: 'controller-manager', commonName: 'system:kube-controller-manager' },
  { profile: 'scheduler', file: 'scheduler', commonName: 'system:kube-scheduler' },
];

/** Names of the API server and of etcd that are the same in every cluster. */
const clusterNames = [
  'localhost',
  'kubernetes',
  'kubernetes.default',
  'kubernetes.default.svc',
  'kubernetes.default.svc.cluster.local',
];

/** Asks Rotunda for everything that `kubeadm init` would make on this machine, the way a machine asks: with its token. */
export async function controlPlanePki(rotunda: TestService, machine: Machine, dir: string): Promise<ControlPlanePki> {
  mkdirSync(path.join(dir, 'etcd'), { recursive: true, mode: 0o700 });
  const made = await rotunda
    .client(rotunda.admin)
    .send('POST', '/pki/v1/tokens', { body: { controlPlane: machine.name } });
  if (made.status !== 201) throw new Error(`no token: ${made.text}`);
  const caller = rotunda.client({ token: made.json<{ token: string }>().token });
  const file = (name: string): string => path.join(dir, name);
  const credentials = new Map<string, TlsCredential>();
  for (const leaf of leaves(machine.name)) {
    const key = newEcKey();
    const request = csrPem(key, {
      subject: [
        ...(leaf.organization === undefined ? [] : ([['O', leaf.organization]] as const)),
        ['CN', leaf.commonName],
      ],
      ...(leaf.named === true ? { dns: [machine.name, ...machine.dns, ...clusterNames], ips: machine.ips } : {}),
    });
    const body = { signerName: `kubeadm.rotunda.dev/${leaf.profile}`, request };
    const answer = await caller.send('POST', '/pki/v1/requests', { body });
    if (answer.status !== 201) throw new Error(`${leaf.profile}: ${answer.text}`);
    const credential = { cert: answer.json<{ certificate: string }>().certificate, key: keyPem(key) };
    credentials.set(leaf.profile, credential);
    writeFileSync(file(`${leaf.file}.crt`), credential.cert);
    writeFileSync(file(`${leaf.file}.key`), credential.key, { mode: 0o600 });
  }
  const bundles = await writeBundles(rotunda, file);
  writeServiceAccountKeys(file);
  const of = (name: string): TlsCredential => {
    const credential = credentials.get(name);
    if (credential === undefined) throw new Error(`no credential ${name}`);
    return credential;
  };
  return {
    dir,
    file,
    bundles,
    superAdmin: of('super-admin'),
    kubeconfig: (name, server) => {
      const target = file(`${name}.conf`);
      writeFileSync(target, kubeconfigText({ server, ca: bundles.kubernetes, credential: of(name) }), { mode: 0o600 });
      return target;
    },
  };
}

async function writeBundles(rotunda: TestService, file: (name: string) => string): Promise<ControlPlanePki['bundles']> {
  const bundle = async (ring: string, name: string): Promise<string> => {
    const headers = { accept: 'application/pem-certificate-chain' };
    const { text } = await rotunda.client().send('GET', `/pki/v1/rings/${ring}/bundle`, { headers });
    writeFileSync(file(name), text);
    return text;
  };
  return {
    kubernetes: await bundle('kubernetes', 'ca.crt'),
    etcd: await bundle('etcd', 'etcd/ca.crt'),
    frontProxy: await bundle('front-proxy', 'front-proxy-ca.crt'),
  };
}

/** The key pair of service account tokens is no certificate, and no business of Rotunda's. */
function writeServiceAccountKeys(file: (name: string) => string): void {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  writeFileSync(file('sa.key'), privateKey.export({ type: 'pkcs1', format: 'pem' }), { mode: 0o600 });
  writeFileSync(file('sa.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** A kubeconfig with everything inline. */
export function kubeconfigText(options: {
  readonly server: string;
  readonly ca: string;
  readonly credential: TlsCredential | { readonly token: string };
}): string {
  const { server, ca, credential } = options;
  const user =
    'token' in credential
      ? { token: credential.token }
      : { 'client-certificate-data': base64(credential.cert), 'client-key-data': base64(credential.key) };
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'kubernetes', cluster: { server, 'certificate-authority-data': base64(ca) } }],
    users: [{ name: 'user', user }],
    contexts: [{ name: 'context', context: { cluster: 'kubernetes', user: 'user' } }],
    'current-context': 'context',
  });
}
