import { type Command, Option } from 'commander';
import { stringify } from 'yaml';

import type { AttachmentView } from '../../api/rest/attachment.js';
import type { ClusterClient, ClusterObject } from '../../attach/client.js';
import {
  accessManifests,
  apiServiceManifest,
  giveBackCommand,
  serviceManifests,
  servingNameOf,
} from '../../attach/manifests.js';
import type { Backend } from '../../attach/types.js';
import { type Client, pathOf } from '../client.js';
import { localFailure } from '../failure.js';
import type { Io } from '../io.js';
import { action, type Call, collect, examples } from '../verb.js';
import { checkBefore } from './checks.js';
import { risks, withCluster } from './cluster.js';
import { backendFrom, clusterOption, serviceOptions } from './options.js';
import { applyAll, type Attach, type AttachFlags, prepare } from './take-over.js';

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
    .action(action<AttachFlags>(io, (call) => call.withClient((client) => attach(call, client))));
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

async function attach(call: Call<AttachFlags>, client: Client): Promise<void> {
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

function placeOf(backend: Backend): string {
  if (backend.kind === 'external-name') return backend.host;
  return backend.kind === 'endpoints' ? backend.addresses.join(', ') : 'the pods with its labels';
}

/** The manifests for kubectl. The service gets ready for them, so that its certificate has the name by then. */
async function print(it: Attach): Promise<void> {
  const { call, service } = it;
  if (call.options.dryRun !== true) await prepare(it, undefined);
  const objects = manifests(it);
  call.io.out(
    call.format === 'json'
      ? `${JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }, undefined, 2)}\n`
      : objects.map((object) => `---\n${stringify(object, { lineWidth: 0, aliasDuplicateObjects: false })}`).join(''),
  );
  call.io.err(
    [
      `the API server will look for ${servingNameOf(service)} at ${placeOf(it.backend)}, port ${String(service.port)}`,
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
      .map((object) => `---\n${stringify(object, { lineWidth: 0, aliasDuplicateObjects: false })}`)
      .join(''),
  );
}

function manifests({ service, backend, bundle, call }: Attach): ClusterObject[] {
  const access = call.options.credential ? accessManifests() : [];
  return [...serviceManifests(service, backend), ...access, apiServiceManifest('certificates.k8s.io', service, bundle)];
}
