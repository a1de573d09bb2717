import { randomBytes } from 'node:crypto';

import { backendOf, certificatesApi } from '../../attach/api-services.js';
import type { ClusterClient } from '../../attach/client.js';
import {
  controllersByFlags,
  controllersByProbe,
  controllersOff,
  type ControllersSeen,
} from '../../attach/controllers.js';
import { publishedFrontProxy } from '../../attach/front-proxy.js';
import type { ServiceReference } from '../../attach/types.js';
import { RotundaError } from '../../errors.js';
import type { Client } from '../client.js';
import { localFailure, remoteFailure } from '../failure.js';
import type { Call } from '../verb.js';
import { canaryProblem } from './canary.js';
import { refuseUnless, throwawayCsr } from './cluster.js';
import type { ClusterFlags } from './options.js';

/** How long kube-controller-manager gets to show itself; it answers within a second where it runs. */
const probeMs = 6000;

export type Before = {
  readonly call: Call<ClusterFlags>;
  readonly client: Client;
  readonly cluster: ClusterClient;
  readonly service: ServiceReference;
  readonly accepted: readonly string[];
  readonly warn: (text: string) => void;
  /** Nothing may be made, neither there nor here: what takes a trial is left out. */
  readonly onlyLook: boolean;
};

/** Everything that can be known before the group is handed over. Throws a remote failure for what is not accepted. */
export async function checkBefore(it: Before): Promise<void> {
  const isOurs = await checkBackend(it);
  await checkFrontProxy(it);
  if (it.onlyLook) {
    it.warn('not tried, as that takes a certificate: whether the API server believes this service\n');
    if (!isOurs) checkControllers(it, await flags(it.cluster));
    return;
  }
  await checkCanary(it);
  // Behind the API server already, the probes would be answered here.
  if (isOurs) return;
  const seen = await flags(it.cluster);
  const known = seen.approver !== 'unknown' && seen.signer !== 'unknown';
  checkControllers(it, known ? seen : await tried(it.cluster));
}

/** Whether the group is this service's already: then attaching again repairs. */
async function checkBackend({ cluster, service, accepted, warn }: Before): Promise<boolean> {
  const backend = backendOf(await certificatesApi(cluster));
  if (backend === undefined) return false;
  const isOurs = backend.name === service.name && backend.namespace === service.namespace;
  if (!isOurs) {
    const where = `${backend.namespace}/${backend.name}`;
    const hints = ['rotunda kubernetes detach gives the group back to the API server first'];
    refuseUnless(accepted, 'other-backend', `certificates.k8s.io is handed to the service ${where}`, hints, warn);
  }
  return true;
}

async function checkFrontProxy({ cluster, accepted, warn }: Before): Promise<void> {
  const { clientCa, allowedNames } = await publishedFrontProxy(cluster);
  if (clientCa === undefined) {
    throw remoteFailure('the API server does not say who asks: it runs without --requestheader-client-ca-file', {
      hints: [
        'it needs --requestheader-client-ca-file, --requestheader-allowed-names, --proxy-client-cert-file and --proxy-client-key-file, as kubeadm gives them',
      ],
    });
  }
  if (allowedNames.length > 0) return;
  refuseUnless(
    accepted,
    'any-front-proxy',
    'the API server runs without --requestheader-allowed-names: every certificate of that CA could speak for anybody',
    [
      'give it --requestheader-allowed-names=front-proxy-client',
      'or set frontProxy.allowedNames in the configuration of this service',
    ],
    warn,
  );
}

async function checkCanary({ client, call, accepted, warn }: Before): Promise<void> {
  const file = call.options.clusterKubeconfig;
  if (file === undefined) throw localFailure('--cluster-kubeconfig is missing');
  const problem = await canaryProblem(client, file);
  if (problem === undefined) return;
  refuseUnless(
    accepted,
    'unbelieved-certificates',
    `the API server does not believe certificates that this service issues: ${problem}`,
    [
      'add the bundle to the file of its --client-ca-file, which it reads within a second: rotunda bundle get kubernetes',
    ],
    warn,
  );
}

async function flags(cluster: ClusterClient): Promise<ControllersSeen> {
  try {
    return await controllersByFlags(cluster);
  } catch (error) {
    if (!(error instanceof RotundaError) || error.code !== 'forbidden') throw error;
    return { approver: 'unknown', signer: 'unknown', how: 'the pods of kube-system may not be read' };
  }
}

function tried(cluster: ClusterClient): Promise<ControllersSeen> {
  const id = randomBytes(4).toString('hex');
  const kubelet = throwawayCsr(`system:node:rotunda-probe-${id}`, ['system:nodes']).csr;
  return controllersByProbe(cluster, { kubelet, user: throwawayCsr(`rotunda-probe-${id}`, []).csr }, probeMs);
}

function checkControllers({ accepted, warn }: Before, { approver, signer, how }: ControllersSeen): void {
  const running = [approver === 'runs' ? 'approver' : '', signer === 'runs' ? 'signer' : ''].filter(
    (one) => one !== '',
  );
  if (running.length === 0) {
    if (approver === 'unknown') warn(`warning: not known whether kube-controller-manager signs requests: ${how}\n`);
    return;
  }
  refuseUnless(
    accepted,
    'running-controllers',
    `kube-controller-manager's ${running.join(' and ')} for requests still ${running.length === 1 ? 'runs' : 'run'} (${how})`,
    [
      `append to the list of its --controllers: ${controllersOff} (kubeadm: in /etc/kubernetes/manifests/kube-controller-manager.yaml)`,
    ],
    warn,
  );
}
