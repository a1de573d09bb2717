import { execFile } from 'node:child_process';

import { expect } from 'vitest';

import { inProcess, type Ran } from '../../cli/rotunda.js';
import { csrPem, newEcKey } from '../pkcs10.js';
import { kubernetesProgram } from './binaries.js';
import type { Cluster } from './cluster.js';

export const requestsPath = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
export const apiServicePath = '/apis/apiregistration.k8s.io/v1/apiservices/v1.certificates.k8s.io';

type ClusterCsr = {
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly spec: { readonly username: string; readonly groups: readonly string[] };
  readonly status: {
    readonly certificate?: string;
    readonly conditions?: readonly { readonly type: string; readonly reason: string }[];
  };
};

/** `rotunda kubernetes …` against a cluster, and the same cluster through kubectl. */
export type AttachedCluster = {
  readonly kubernetes: (...args: string[]) => Promise<Ran>;
  /** Throws with what kubectl said when it fails. */
  readonly kubectl: (...args: string[]) => Promise<string>;
  readonly createCsr: (name: string, spec?: Readonly<Record<string, unknown>>) => Promise<ClusterCsr>;
  readonly getCsr: (name: string) => Promise<ClusterCsr>;
  /** Waits for what becomes of a request. */
  readonly untilCsr: (name: string, is: (csr: ClusterCsr) => boolean) => Promise<ClusterCsr>;
  readonly apiService: () => Promise<{ metadata: { labels?: Record<string, string> }; spec: Record<string, unknown> }>;
};

export function attachedCluster(cluster: () => Cluster, kubeconfig = () => cluster().kubeconfig): AttachedCluster {
  const getCsr = async (name: string): Promise<ClusterCsr> => {
    const answer = await cluster().send('GET', `${requestsPath}/${name}`);
    expect(answer.status, answer.text).toBe(200);
    return answer.json();
  };
  return {
    kubernetes: (...args) =>
      inProcess([
        ...['kubernetes', ...args],
        ...['--kubeconfig', cluster().rotunda.kubeconfig, '--cluster-kubeconfig', kubeconfig()],
      ]),
    kubectl: (...args) => kubectl(kubeconfig(), args),
    createCsr: async (name, spec = {}) => {
      const request = csrPem(newEcKey(), { subject: [['CN', name]] });
      const answer = await cluster().send('POST', requestsPath, {
        apiVersion: 'certificates.k8s.io/v1',
        kind: 'CertificateSigningRequest',
        metadata: { name, labels: { of: 'test' } },
        spec: {
          request: Buffer.from(request).toString('base64'),
          signerName: 'kubernetes.io/kube-apiserver-client',
          usages: ['client auth'],
          ...spec,
        },
      });
      expect(answer.status, answer.text).toBe(201);
      return answer.json();
    },
    getCsr,
    untilCsr: async (name, is) => {
      for (let tries = 0; tries < 100; tries += 1) {
        const found = await getCsr(name);
        if (is(found)) return found;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      throw new Error(`${name} stays ${JSON.stringify((await getCsr(name)).status)}`);
    },
    apiService: async () => (await cluster().send('GET', apiServicePath)).json(),
  };
}

function kubectl(kubeconfig: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const all = ['--kubeconfig', kubeconfig, ...args];
    execFile(kubernetesProgram('kubectl'), all, { timeout: 60_000 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`kubectl ${args.join(' ')}: ${stderr}${stdout}`));
    });
  });
}
