import { generateKeyPairSync } from 'node:crypto';

import { type ClusterClient, createClusterClient } from '../../attach/client.js';
import { RotundaError } from '../../errors.js';
import { readKubeconfig } from '../../kubeconfig.js';
import { makeCsr } from '../csr.js';
import { isFailure, localFailure, remoteFailure } from '../failure.js';

/** What may be accepted although `attach` would refuse. */
export const risks = {
  'unbelieved-certificates': 'the API server does not believe client certificates of the ring',
  'running-controllers': "kube-controller-manager's controllers for requests run",
  'any-front-proxy': 'every certificate of the request-header CA may speak for anybody',
  'other-backend': 'the group is handed to another service',
  unreachable: 'the API server cannot reach the service',
} as const;

export type Risk = keyof typeof risks;

/** Refuses, unless the operator accepts this very risk. The way to accept it is in the hint. */
export function refuseUnless(
  accepted: readonly string[],
  risk: Risk,
  message: string,
  hints: readonly string[],
  warn: (text: string) => void,
): void {
  if (accepted.includes(risk)) {
    warn(`warning: ${message}\n`);
    return;
  }
  throw remoteFailure(message, { hints: [...hints, `--accept ${risk} goes on nevertheless`] });
}

/** `work` with a client for the API server that a kubeconfig names; what it refuses is a remote failure. */
export async function withCluster<T>(
  file: string | undefined,
  work: (cluster: ClusterClient) => Promise<T>,
  timeoutMs?: number,
): Promise<T> {
  if (file === undefined) {
    throw localFailure('--cluster-kubeconfig is missing', {
      hints: ["give the kubeconfig of the cluster's administrator, such as /etc/kubernetes/admin.conf"],
    });
  }
  const client = createClusterClient(readKubeconfig(file), timeoutMs === undefined ? {} : { timeoutMs });
  try {
    return await work(client);
  } catch (error) {
    throw asRemote(error);
  } finally {
    await client.close();
  }
}

function asRemote(error: unknown): unknown {
  if (isFailure(error) || !(error instanceof RotundaError)) return error;
  const { hint } = error.details;
  return remoteFailure(error.message, { cause: error, hints: hint === undefined ? [] : [hint] });
}

/** A CSR for a key that is thrown away, PEM; and that key, where the certificate is to be used once. */
export function throwawayCsr(commonName: string, organizations: readonly string[]): { csr: string; key: string } {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return {
    csr: makeCsr(privateKey, { commonName, organizations, names: [] }),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}
