import type { AttachmentView } from '../../api/rest/attachment.js';
import type { BundleView } from '../../api/rest/bundles.js';
import type { RequestView } from '../../api/rest/request-view.js';
import { availabilityOf, backendOf, certificatesApi } from '../../attach/api-services.js';
import type { ClusterClient, ClusterObject } from '../../attach/client.js';
import { controllersByFlags } from '../../attach/controllers.js';
import { publishedFrontProxy } from '../../attach/front-proxy.js';
import { servingNameOf } from '../../attach/manifests.js';
import type { ServiceReference } from '../../attach/types.js';
import { RotundaError } from '../../errors.js';
import { type Client, pathOf } from '../client.js';
import { servingCertificate } from './serving-name.js';

export type AttachmentReport = {
  readonly attached: boolean;
  readonly service?: ServiceReference;
  readonly available: {
    readonly status: string;
    readonly reason?: string;
    readonly message?: string;
    readonly since?: string;
  };
  readonly caBundle: { readonly current: boolean; readonly generation: number; readonly keptBy: 'service' | 'hand' };
  readonly serving: { readonly name?: string; readonly notAfter?: string; readonly problem?: string };
  readonly frontProxy: { readonly allowedNames: readonly string[]; readonly problem?: string };
  /** How many addresses are ready behind the Service; absent where it is a name outside of the cluster. */
  readonly replicas?: number;
  readonly controllers: { readonly approver: string; readonly signer: string; readonly how: string };
  readonly credential: AttachmentView['credential'];
  readonly tokenSecrets: AttachmentView['tokenSecrets'];
  readonly requests: { readonly pending: number; readonly held: number };
  /** What somebody should look at; empty when all is well. */
  readonly problems: readonly string[];
};

type Seen = Omit<AttachmentReport, 'problems'>;

/** What both sides say: the API server, and the service. */
export async function reportOf(client: Client, cluster: ClusterClient): Promise<AttachmentReport> {
  const stored = await client.json<AttachmentView>('GET', '/attachment');
  const found = await certificatesApi(cluster);
  const backend = backendOf(found);
  const condition = availabilityOf(found);
  const path = `/rings${pathOf(stored.servingRing)}/bundle`;
  const bundle = await client.json<BundleView>('GET', path);
  const { text: pem } = await client.send('GET', path, { accept: 'application/pem-certificate-chain' });
  const proxy = await publishedFrontProxy(cluster);
  const since = condition?.lastTransitionTime;
  const seen: Seen = {
    attached: backend !== undefined,
    ...(backend === undefined ? {} : { service: backend }),
    available: { ...condition, status: condition?.status ?? 'Unknown', ...(since === undefined ? {} : { since }) },
    caBundle: {
      current: found.spec.caBundle === Buffer.from(pem).toString('base64'),
      generation: bundle.generation,
      keptBy: stored.credential.state === 'none' ? 'hand' : 'service',
    },
    serving: await servingOf(client.server, backend ?? stored.service, pem),
    frontProxy: {
      allowedNames: proxy.allowedNames,
      ...(stored.frontProxyProblem === undefined ? {} : { problem: stored.frontProxyProblem }),
    },
    ...(await replicasOf(cluster, backend)),
    controllers: await controllersOf(cluster),
    credential: stored.credential,
    tokenSecrets: stored.tokenSecrets,
    requests: {
      pending: (await client.list<RequestView>('/requests', { state: 'pending' })).length,
      held: (await client.list<RequestView>('/requests', { state: 'held' })).length,
    },
  };
  return { ...seen, problems: backend === undefined ? [] : problemsOf(seen, stored) };
}

async function servingOf(
  server: string,
  service: ServiceReference | undefined,
  ca: string,
): Promise<AttachmentReport['serving']> {
  if (service === undefined) return {};
  const url = new URL(server);
  const address = { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port === '' ? 443 : url.port) };
  const name = servingNameOf(service);
  const seen = await servingCertificate(address, name, ca);
  return 'problem' in seen ? { name, problem: seen.problem } : { name, notAfter: seen.notAfter };
}

type Slice = ClusterObject & {
  readonly endpoints?:
    readonly { readonly addresses: readonly string[]; readonly conditions?: { readonly ready?: boolean } }[] | null;
};

async function replicasOf(
  cluster: ClusterClient,
  service: ServiceReference | undefined,
): Promise<{ replicas?: number }> {
  if (service === undefined) return {};
  const { namespace, name } = service;
  const object = await cluster.get<{ spec?: { type?: string } }>(`/api/v1/namespaces/${namespace}/services/${name}`);
  if (object?.spec?.type === 'ExternalName') return {};
  const { items } = await cluster.list<Slice>(`/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`, {
    labelSelector: `kubernetes.io/service-name=${name}`,
  });
  const ready = items
    .flatMap(({ endpoints }) => endpoints ?? [])
    .filter(({ conditions }) => conditions?.ready !== false);
  return { replicas: new Set(ready.flatMap(({ addresses }) => addresses)).size };
}

async function controllersOf(cluster: ClusterClient): Promise<AttachmentReport['controllers']> {
  try {
    return await controllersByFlags(cluster);
  } catch (error) {
    if (!(error instanceof RotundaError) || error.code !== 'forbidden') throw error;
    return { approver: 'unknown', signer: 'unknown', how: error.message };
  }
}

function problemsOf(seen: Seen, stored: AttachmentView): string[] {
  const { available, caBundle, serving, frontProxy, replicas, controllers, service, tokenSecrets } = seen;
  const other = stored.service?.name !== service?.name || stored.service?.namespace !== service?.namespace;
  const found = [
    other &&
      `the group is handed to ${service?.namespace ?? ''}/${service?.name ?? ''}, which this service does not know as its own: attach again`,
    available.status !== 'True' &&
      `the API server does not reach the service: ${available.reason ?? ''}: ${available.message ?? ''}`,
    !caBundle.current &&
      `the bundle in the APIService is not the current one (generation ${String(caBundle.generation)})`,
    caBundle.keptBy === 'hand' && 'the bundle in the APIService is kept by hand: it blocks every rotation of its ring',
    serving.problem !== undefined &&
      `the serving certificate is not good for ${serving.name ?? ''}: ${serving.problem}`,
    frontProxy.allowedNames.length === 0 && 'the API server has an empty list of requestheader-allowed-names',
    frontProxy.problem !== undefined &&
      caBundle.keptBy === 'service' &&
      `whose headers to believe is not known: ${frontProxy.problem}`,
    replicas !== undefined &&
      replicas < 2 &&
      `there ${replicas === 1 ? 'is one replica' : 'are no replicas'} behind the Service`,
    (controllers.approver === 'runs' || controllers.signer === 'runs') &&
      `kube-controller-manager's controllers for requests run (${controllers.how})`,
    ...tokenSecrets.problems,
  ];
  return found.filter((problem) => problem !== false);
}
