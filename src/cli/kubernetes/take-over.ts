import type { AttachmentView } from '../../api/rest/attachment.js';
import {
  apply,
  awaitAvailable,
  giveBack,
  handOver,
  probeFromApiServer,
  removeOurs,
} from '../../attach/api-services.js';
import type { ClusterClient } from '../../attach/client.js';
import { requestsPath } from '../../attach/controllers.js';
import {
  accessManifests,
  certificatesApiService,
  giveBackCommand,
  serviceManifests,
  servingNameOf,
} from '../../attach/manifests.js';
import type { Backend, ServiceReference } from '../../attach/types.js';
import { readKubeconfig } from '../../kubeconfig.js';
import { seconds } from '../arguments.js';
import type { Client } from '../client.js';
import { remoteFailure } from '../failure.js';
import { printObject, type View } from '../output.js';
import type { Call } from '../verb.js';
import { checkBefore } from './checks.js';
import { refuseUnless } from './cluster.js';
import { type Imported, importPending } from './migration.js';
import type { ClusterFlags, ServiceFlags } from './options.js';
import { awaitServingName } from './serving-name.js';

export type AttachFlags = ClusterFlags &
  ServiceFlags & {
    readonly dryRun?: boolean;
    readonly print?: boolean;
    readonly credential: boolean;
    readonly keepApprovals?: boolean;
    readonly accept?: readonly string[];
    readonly wait?: string;
  };

export type Attach = {
  readonly call: Call<AttachFlags>;
  readonly client: Client;
  readonly service: ServiceReference;
  readonly backend: Backend;
  /** Of the ring that serves, PEM. */
  readonly bundle: string;
};

/** Tells the service its new name, and waits until its certificate has it. Throws a remote failure otherwise. */
export async function prepare(
  { client, service, bundle, call }: Attach,
  clusterKubeconfig: string | undefined,
): Promise<void> {
  const config = clusterKubeconfig === undefined ? undefined : readKubeconfig(clusterKubeconfig);
  const known = call.options.credential && config?.ca !== undefined;
  const cluster = known ? { server: config.server, certificateAuthority: config.ca } : undefined;
  await client.json('PUT', '/attachment', { body: { service, cluster } });
  const url = new URL(client.server);
  const address = { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port === '' ? 443 : url.port) };
  const name = servingNameOf(service);
  const seen = await awaitServingName(address, name, bundle, 30_000);
  if (!('problem' in seen)) return;
  throw remoteFailure(`the certificate of ${client.server} is not good for ${name}: ${seen.problem}`, {
    hints: [`what answers there may be something in front of the service; or add ${name} to serving.names`],
  });
}

type Outcome = {
  readonly service: string;
  readonly namespace: string;
  readonly port: number;
  readonly available: true;
  readonly imported: Imported;
};

const view: View<Outcome> = {
  kind: 'attachment',
  name: ({ service, namespace }) => `${namespace}/${service}`,
  columns: [
    { title: 'SERVICE', value: ({ service, namespace }) => `${namespace}/${service}` },
    { title: 'PORT', value: ({ port }) => String(port) },
    { title: 'AVAILABLE', value: () => 'yes' },
    { title: 'IMPORTED', value: ({ imported }) => String(imported.imported.length) },
  ],
};

/** Checks, tries the way, takes along what waits, hands over. What was made is taken away again when a step fails. */
export async function applyAll(it: Attach, cluster: ClusterClient): Promise<void> {
  const { call, client, service, backend, bundle } = it;
  const { accept: accepted = [], wait, clusterKubeconfig } = call.options;
  const warn = call.io.err;
  const waitMs = seconds('--wait', wait ?? '60s') * 1000;
  await checkBefore({ ...it, cluster, accepted, warn, onlyLook: false });
  const undo: (() => Promise<unknown>)[] = [];
  try {
    const access = call.options.credential ? accessManifests() : [];
    for (const object of [...serviceManifests(service, backend), ...access]) {
      if ((await apply(cluster, object)) === 'created') undo.push(() => removeOurs(cluster, object));
    }
    // What stands already must go on standing when this fails.
    const { service: before } = await client.json<AttachmentView>('GET', '/attachment');
    if (before === undefined) undo.push(() => client.send('DELETE', '/attachment'));
    await prepare(it, clusterKubeconfig);
    await awaitCredential(it, warn);
    const { problem } = await probeFromApiServer(cluster, service, bundle, waitMs);
    if (problem !== undefined) {
      const hints = [
        ...(problem.includes('unsupported service type')
          ? ['this API server runs with --enable-aggregator-routing, and wants addresses: --endpoint IP']
          : []),
        `from the API server's machine: curl --cacert ca.crt --resolve ${servingNameOf(service)}:${String(service.port)}:ADDRESS https://${servingNameOf(service)}:${String(service.port)}/livez`,
      ];
      refuseUnless(accepted, 'unreachable', `the API server cannot use this service: ${problem}`, hints, warn);
    }
    if (backend.kind !== 'selector' && (backend.kind !== 'endpoints' || backend.addresses.length < 2))
      warn(
        'warning: there is one replica or one name: while it is down, nobody gets a certificate, and kubelets wait\n',
      );
    const imported = await importPending({ cluster, client, keepApprovals: call.options.keepApprovals === true, warn });
    await takeOver(it, cluster, waitMs);
    const { name, namespace, port } = service;
    printObject(call.io, call.format, { service: name, namespace, port, available: true, imported }, view);
    warn(`back, also while this service is down: ${giveBackCommand}\n`);
  } catch (error) {
    for (const step of undo.reverse()) await step().catch((failed: unknown) => warn(`warning: ${String(failed)}\n`));
    throw error;
  }
}

/** Until the service has asked the API server whose headers to believe; without a credential its configuration says so. */
async function awaitCredential({ client, call }: Attach, warn: (text: string) => void): Promise<void> {
  if (!call.options.credential) return;
  let problem: string | undefined = '';
  for (let tries = 0; tries < 40; tries += 1) {
    ({ frontProxyProblem: problem } = await client.json<AttachmentView>('GET', '/attachment'));
    if (problem === undefined) return;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  warn(`warning: the service does not hear from the API server whose headers to believe: ${problem}\n`);
}

/** Hands the group over, and gives it back when the API server does not find the service in time. */
async function takeOver({ service, bundle }: Attach, cluster: ClusterClient, waitMs: number): Promise<void> {
  await handOver(cluster, service, bundle);
  let why: string;
  try {
    const { available, condition } = await awaitAvailable(cluster, certificatesApiService, waitMs);
    if (available) {
      await cluster.list(requestsPath);
      return;
    }
    why = condition === undefined ? 'no answer' : `${condition.reason ?? ''}: ${condition.message ?? ''}`;
  } catch (error) {
    why = error instanceof Error ? error.message : String(error);
  }
  await giveBack(cluster);
  throw remoteFailure(`the API server did not find the service in time, and has the group back: ${why}`, {
    hints: ['--wait 3m waits longer'],
  });
}
