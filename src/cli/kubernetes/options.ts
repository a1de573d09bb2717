import { isIP } from 'node:net';

import { type Command, Option } from 'commander';

import type { Backend, ServiceReference } from '../../attach/types.js';
import { count, pairs } from '../arguments.js';
import { localFailure } from '../failure.js';
import { collect } from '../verb.js';

export type ClusterFlags = { readonly clusterKubeconfig?: string };

export type ServiceFlags = {
  readonly service?: string;
  readonly namespace?: string;
  readonly port?: string;
  readonly externalName?: string;
  readonly endpoint?: readonly string[];
  readonly selector?: readonly string[];
};

/** The credential for the cluster, which is another one than the one for Rotunda. */
export function clusterOption(): Option {
  return new Option(
    '--cluster-kubeconfig <file>',
    "the cluster's own administrator, such as /etc/kubernetes/admin.conf",
  ).env('ROTUNDA_CLUSTER_KUBECONFIG');
}

export function serviceOptions(command: Command): Command {
  return command
    .option('--service <name>', 'name of the Service object; default rotunda')
    .option('--namespace <namespace>', 'its namespace; default kube-system')
    .option('--port <number>', 'port that this service listens on; default that of --server')
    .addOption(
      new Option('--external-name <host>', 'DNS name by which the API server finds this service').conflicts([
        'endpoint',
        'selector',
      ]),
    )
    .addOption(
      new Option('--endpoint <ip>', 'address at which the API server finds it; repeat for each replica')
        .argParser(collect)
        .conflicts('selector'),
    )
    .option('--selector <key=value>', 'labels of the pods that are the replicas; repeat for more', collect);
}

/** As Kubernetes takes an ExternalName: RFC 1123 labels. */
const dnsName = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*$/;

/** The Service object, and what is behind it. Without a flag that says it, the address of the server that this command speaks to. */
export function backendFrom(flags: ServiceFlags, server: string): { service: ServiceReference; backend: Backend } {
  const url = new URL(server);
  const port = count('--port', flags.port) ?? Number(url.port === '' ? 443 : url.port);
  if (port > 65_535) throw localFailure(`--port ${String(port)} is no port: 65535 is the last one`);
  const service = { name: flags.service ?? 'rotunda', namespace: flags.namespace ?? 'kube-system', port };
  return { service, backend: backendOf(flags, url.hostname.replace(/^\[|\]$/g, '')) };
}

function backendOf({ externalName, endpoint, selector }: ServiceFlags, host: string): Backend {
  if (externalName !== undefined) {
    if (isIP(externalName) !== 0 || externalName.length > 253 || !dnsName.test(externalName)) {
      throw localFailure(`--external-name ${JSON.stringify(externalName)} is not a DNS name in lower case`, {
        hints: ['give --endpoint IP for an address, and --port NUMBER for the port'],
      });
    }
    return { kind: 'external-name', host: externalName };
  }
  if (selector !== undefined) return { kind: 'selector', labels: pairs('--selector', selector) };
  const addresses = (endpoint ?? []).flatMap((text) => text.split(','));
  const wrong = addresses.find((address) => isIP(address) === 0);
  if (wrong !== undefined) {
    throw localFailure(`--endpoint ${JSON.stringify(wrong)} is not an IP address`, {
      hints: ['give --external-name HOST for a name, and --port NUMBER for the port'],
    });
  }
  if (addresses.length > 0) return { kind: 'endpoints', addresses };
  // Kubernetes takes no loopback address as an endpoint; a name is looked up by the API server on its own machine.
  if (host === '127.0.0.1' || host === '::1') return { kind: 'external-name', host: 'localhost' };
  return isIP(host) === 0 ? { kind: 'external-name', host } : { kind: 'endpoints', addresses: [host] };
}
