import type { Command } from 'commander';

import type { ClusterClient } from '../../attach/client.js';
import type { Client } from '../client.js';
import { exitCodes, remoteFailure } from '../failure.js';
import type { Io } from '../io.js';
import { printObject, span, type View } from '../output.js';
import { action, type Call, examples } from '../verb.js';
import { withCluster } from './cluster.js';
import { type ClusterFlags, clusterOption } from './options.js';
import { type AttachmentReport, reportOf } from './status-report.js';

const view: View<AttachmentReport> = {
  kind: 'attachment',
  name: ({ service }) => (service === undefined ? 'none' : `${service.namespace}/${service.name}`),
  columns: [
    { title: 'ATTACHED', value: ({ attached }) => (attached ? 'yes' : 'no') },
    {
      title: 'SERVICE',
      value: ({ service }) => service && `${service.namespace}/${service.name}:${String(service.port)}`,
    },
    {
      title: 'AVAILABLE',
      value: ({ available }) =>
        `${available.status}${available.since === undefined ? '' : ` (${span(Date.parse(available.since), Date.now())})`}`,
    },
    { title: 'CA BUNDLE', value: ({ caBundle }) => (caBundle.current ? 'current' : 'outdated') },
    { title: 'PENDING', value: ({ requests }) => String(requests.pending) },
    { title: 'HELD', value: ({ requests }) => String(requests.held) },
    { title: 'PROBLEMS', value: ({ problems }) => String(problems.length) },
    { title: 'KEPT BY', wide: true, value: ({ caBundle }) => caBundle.keptBy },
    { title: 'REPLICAS', wide: true, value: ({ replicas }) => (replicas === undefined ? 'unknown' : String(replicas)) },
    { title: 'APPROVER', wide: true, value: ({ controllers }) => controllers.approver },
    { title: 'SIGNER', wide: true, value: ({ controllers }) => controllers.signer },
  ],
};

export function statusVerb(noun: Command, io: Io): void {
  noun
    .command('status')
    .description('Show how this service stands behind an API server, and what is wrong with that')
    .addOption(clusterOption())
    .addHelpText(
      'after',
      `${examples(['For a script', 'rotunda kubernetes status --cluster-kubeconfig admin.conf -o json'])}

Exit codes:
  0    attached, and all is well
  2    attached, and something is wrong, or cannot be seen
  3    not attached`,
    )
    .action(
      action<ClusterFlags>(io, (call) =>
        withCluster(call.options.clusterKubeconfig, (cluster) =>
          call.withClient((client) => status(call, client, cluster)),
        ),
      ),
    );
}

async function status(call: Call<ClusterFlags>, client: Client, cluster: ClusterClient): Promise<void> {
  const report = await reportOf(client, cluster);
  printObject(call.io, call.format, report, view);
  if (call.format === 'table' || call.format === 'wide')
    for (const problem of report.problems) call.io.err(`warning: ${problem}\n`);
  if (!report.attached) throw Object.assign(remoteFailure('not attached'), { exitCode: exitCodes.different });
  if (report.problems.length > 0) throw remoteFailure(`${String(report.problems.length)} problems`);
}
