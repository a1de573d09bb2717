import { type Command, Option } from 'commander';
import { stringify } from 'yaml';

import type { AttachmentView } from '../../api/rest/attachment.js';
import {
  apply,
  awaitAvailable,
  giveBack,
  handOver,
  probeFromApiServer,
  removeOurs,
} from '../../attach/api-services.js';
import type { ClusterClient, ClusterObject } from '../../attach/client.js';
import { requestsPath } from '../../attach/controllers.js';
import {
  accessManifests,
  apiServiceManifest,
  certificatesApiService,
  giveBackCommand,
  serviceManifests,
  servingNameOf,
} from '../../attach/manifests.js';
import type { Backend, ServiceReference } from '../../attach/types.js';
import { readKubeconfig } from '../../kubeconfig.js';
import { seconds } from '../arguments.js';
import { type Client, pathOf } from '../client.js';
import { localFailure, remoteFailure } from '../failure.js';
import type { Io } from '../io.js';
import { printObject, type View } from '../output.js';
import { action, type Call, collect, examples } from '../verb.js';
import { checkBefore } from './checks.js';
import { refuseUnless, risks, withCluster } from './cluster.js';
import { type Imported, importPending } from './migration.js';
import { backendFrom, type ClusterFlags, clusterOption, type ServiceFlags, serviceOptions } from './options.js';
import { awaitServingName } from './serving-name.js';

type Flags = ClusterFlags &
  ServiceFlags & {
    readonly dryRun?: boolean;
    readonly print?: boolean;
    readonly credential: boolean;
    readonly keepApprovals?: boolean;
    readonly accept?: readonly string[];
    readonly wait?: string;
  };

export function attachVerb(noun: Command, io: Io): void {
  serviceOptions(noun.command('attach'))
    .description(
      'Hand certificates.k8s.io of a cluster to this service; without --cluster-kubeconfig, print the manifests that do',
    )
    .addOption(clusterOption())
    .option('--print', 'print the manifests although --cluster-kubeconfig is given')
    .option(
      '--dry-run',
      'change nothing, neither there nor here; look at what can be looked at and print the manifests',
    )
    .option('--no-credential', 'do not let this service follow the cluster; the bundle is then kept by hand')
    .option('--keep-approvals', 'approve what a person had approved there and nobody has signed yet')
    .option('--wait <duration>', 'how long the API server may take to find this service; default 60s')
    .addOption(new Option('--accept <risk>', `go on although ${riskTexts()}; repeat for more`).argParser(checkedRisk))
    .addHelpText(
      'after',
      examples(
        [
          'On a control-plane machine',
          'rotunda kubernetes attach --cluster-kubeconfig /etc/kubernetes/admin.conf --external-name pki.example.org',
        ],
        [
          'Two replicas by address',
          'rotunda kubernetes attach --cluster-kubeconfig admin.conf --endpoint 10.0.0.5 --endpoint 10.0.0.6 --port 8443',
        ],
        ['With kubectl instead', 'rotunda kubernetes attach --external-name pki.example.org | kubectl apply -f -'],
      ),
    )
    .action(action<Flags>(io, (call) => call.withClient((client) => attach(call, client))));
}

function riskTexts(): string {
  return Object.entries(risks)
    .map(([risk, text]) => `${text} (${risk})`)
    .join('; ');
}

function checkedRisk(value: string, previous: readonly string[] | undefined): string[] {
  if (Object.hasOwn(risks, value)) return collect(value, previous);
  throw localFailure(`--accept ${value} is not a risk`, { hints: [`use one of ${Object.keys(risks).join(', ')}`] });
}

type Attach = {
  readonly call: Call<Flags>;
  readonly client: Client;
  readonly service: ServiceReference;
  readonly backend: Backend;
  /** Of the ring that serves, PEM. */
  readonly bundle: string;
};

async function attach(call: Call<Flags>, client: Client): Promise<void> {
  const { options } = call;
  const { service, backend } = backendFrom(options, client.server);
  const it = { call, client, service, backend, bundle: await servingBundle(client) };
  if (options.clusterKubeconfig === undefined || options.print === true) return print(it);
  return withCluster(options.clusterKubeconfig, (cluster) =>
    options.dryRun === true ? look(it, cluster) : applyAll(it, cluster),
  );
}

/** The bundle of the ring that the serving certificate is from. */
async function servingBundle(client: Client): Promise<string> {
  const { ring } = await client
    .json<AttachmentView>('GET', '/attachment')
    .then(({ servingRing }) => ({ ring: servingRing }));
  return (await client.send('GET', `/rings${pathOf(ring)}/bundle`, { accept: 'application/pem-certificate-chain' }))
    .text;
}

function manifests({ service, backend, bundle, call }: Attach): ClusterObject[] {
  const access = call.options.credential ? accessManifests() : [];
  return [...serviceManifests(service, backend), ...access, apiServiceManifest('certificates.k8s.io', service, bundle)];
}

/** The manifests for kubectl. The service gets ready for them, so that its certificate has the name by then. */
async function print(it: Attach): Promise<void> {
  const { call, client, service } = it;
  if (call.options.dryRun !== true) await prepare(it, undefined);
  const objects = manifests(it);
  call.io.out(
    call.format === 'json'
      ? `${JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }, undefined, 2)}\n`
      : objects.map((object) => `---\n${stringify(object, { lineWidth: 0 })}`).join(''),
  );
  call.io.err(
    [
      `the API server will look for ${servingNameOf(service)} at ${client.server}`,
      'not tried: whether it can reach this service, and whether it believes its certificates',
      `back, also while this service is down: ${giveBackCommand}`,
      '',
    ].join('\n'),
  );
}

async function look(it: Attach, cluster: ClusterClient): Promise<void> {
  const { call } = it;
  await checkBefore({ ...it, cluster, accepted: call.options.accept ?? [], warn: call.io.err, onlyLook: true });
  call.io.out(
    manifests(it)
      .map((object) => `---\n${stringify(object, { lineWidth: 0 })}`)
      .join(''),
  );
}

/** Tells the service its new name, and waits until its certificate has it. Throws a remote failure otherwise. */
async function prepare(
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

async function applyAll(it: Attach, cluster: ClusterClient): Promise<void> {
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
