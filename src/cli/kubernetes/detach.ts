import type { Command } from 'commander';

import type { RequestView } from '../../api/rest/request-view.js';
import { backendOf, certificatesApi, giveBack, removeOurs } from '../../attach/api-services.js';
import type { ClusterClient, ClusterObject } from '../../attach/client.js';
import { accessManifests, giveBackCommand, managedBy } from '../../attach/manifests.js';
import type { Client } from '../client.js';
import { isFailure } from '../failure.js';
import type { Io } from '../io.js';
import { printObject, type View } from '../output.js';
import { action, type Call, examples } from '../verb.js';
import { withCluster } from './cluster.js';
import { type ClusterFlags, clusterOption } from './options.js';

type Outcome = {
  readonly group: 'given back' | 'was not handed over';
  readonly deleted: readonly string[];
  /** Requests that wait here, where kubectl does not see them any more. */
  readonly pending: readonly string[];
};

const view: View<Outcome> = {
  kind: 'attachment',
  name: () => 'certificates.k8s.io',
  columns: [
    { title: 'GROUP', value: ({ group }) => group },
    { title: 'DELETED', value: ({ deleted }) => String(deleted.length) },
    { title: 'STILL PENDING HERE', value: ({ pending }) => String(pending.length) },
  ],
};

export function detachVerb(noun: Command, io: Io): void {
  noun
    .command('detach')
    .description('Give certificates.k8s.io back to the API server, and remove what attach made there')
    .addOption(clusterOption())
    .addHelpText(
      'after',
      examples(
        ['Back to the API server', 'rotunda kubernetes detach --cluster-kubeconfig /etc/kubernetes/admin.conf'],
        ['The same while this service is down', giveBackCommand],
      ),
    )
    .action(
      action<ClusterFlags>(io, (call) =>
        withCluster(call.options.clusterKubeconfig, (cluster) =>
          call.withClient((client) => detach(call, client, cluster)),
        ),
      ),
    );
}

async function detach(call: Call<ClusterFlags>, client: Client, cluster: ClusterClient): Promise<void> {
  const found = await certificatesApi(cluster);
  const backend = backendOf(found);
  // The group first: it must work again whatever becomes of the rest.
  if (backend !== undefined) await giveBack(cluster);
  const deleted = await removeObjects(cluster);
  await orUnreachable(call, () => client.send('DELETE', '/attachment'));
  const pending = (await orUnreachable(call, () => pendingHere(client))) ?? [];
  const group = backend === undefined ? 'was not handed over' : 'given back';
  printObject(call.io, call.format, { group, deleted, pending } satisfies Outcome, view);
  if (pending.length > 0) {
    call.io.err(
      `warning: ${String(pending.length)} requests wait here, and kubectl shows the API server's own again; who made them makes new ones: ${pending.slice(0, 10).join(', ')}\n`,
    );
  }
}

/** The service may be down: giving back must not need it. */
async function orUnreachable<T>({ io }: Call<ClusterFlags>, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!isFailure(error)) throw error;
    io.err(`warning: ${error.message}\n`);
    return undefined;
  }
}

/** By label, so that it needs neither this service nor the name that the Service was given. */
async function removeObjects(cluster: ClusterClient): Promise<string[]> {
  const deleted = [
    ...(await removeLabelled(cluster, 'Service', '/api/v1', 'services')),
    ...(await removeLabelled(cluster, 'EndpointSlice', '/apis/discovery.k8s.io/v1', 'endpointslices')),
    // Without this service, nobody would delete the Secrets of tokens that are used up.
    ...(await removeLabelled(cluster, 'Secret', '/api/v1', 'secrets', 'bootstrap.kubernetes.io/token')),
  ];
  for (const object of accessManifests()) {
    if ((await removeOurs(cluster, object)) === 'deleted') deleted.push(`${object.kind ?? ''}/${object.metadata.name}`);
  }
  return deleted;
}

async function removeLabelled(
  cluster: ClusterClient,
  kind: string,
  root: string,
  plural: string,
  type?: string,
): Promise<string[]> {
  const labelSelector = Object.entries(managedBy)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
  const list = await cluster.list<ClusterObject & { readonly type?: string }>(`${root}/${plural}`, {
    labelSelector,
    ...(type === undefined ? {} : { fieldSelector: `type=${type}` }),
  });
  const deleted: string[] = [];
  for (const { metadata } of list.items) {
    const { namespace = '', name, uid } = metadata;
    const gone = await cluster.remove(`${root}/namespaces/${namespace}/${plural}/${name}`, uid);
    if (gone) deleted.push(`${kind}/${name}`);
  }
  return deleted;
}

/** What nobody has answered: undecided, held, and approved for a signer that has not signed. */
async function pendingHere(client: Client): Promise<string[]> {
  const names = new Set<string>();
  for (const state of ['pending', 'held', 'approved'])
    for (const { name } of await client.list<RequestView>('/requests', { state })) names.add(name);
  return [...names].sort();
}
