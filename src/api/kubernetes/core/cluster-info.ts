import type { FastifyReply } from 'fastify';

import { RotundaError } from '../../../errors.js';
import type { Call } from '../call.js';
import { stringifyYaml } from '../codec/yaml.js';
import { sendValue } from '../render.js';

/**
 * `kube-public/cluster-info`: where this service is and whom to trust, for whoever has no credential yet. Where clients
 * and servers have separate authorities one bundle cannot serve a plain `kubeadm join`, so there it does not exist.
 */
export function clusterInfo(call: Call): FastifyReply {
  const { api, target } = call;
  const { topology, advertiseUrl } = api.config;
  const split = topology.kubernetesClient !== topology.kubernetesServer;
  if (target.namespace !== 'kube-public' || target.name !== 'cluster-info' || split)
    throw new RotundaError('not-found', 'no such configmap');
  const server = advertiseUrl ?? `https://${call.request.host}`;
  const certificateAuthority = Buffer.from(api.ca.bundle(topology.kubernetesServer).pem).toString('base64');
  const kubeconfig = stringifyYaml({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: '', cluster: { server, 'certificate-authority-data': certificateAuthority } }],
    contexts: null,
    users: null,
    preferences: {},
    'current-context': '',
  });
  const metadata = { name: 'cluster-info', namespace: 'kube-public' };
  return sendValue(
    call.reply,
    200,
    { kind: 'ConfigMap', apiVersion: 'v1', metadata, data: { kubeconfig } },
    { format: call.representation.format },
  );
}
