import { requestClientCertificate, requestServingCertificate } from '../test/support/kubelet.js';
import type { ServiceProcess } from '../test/support/service-process.js';
import { agentWith, nodeToken } from './https.js';
import { inParallel, percentile, type Row } from './report.js';

export type BootstrapOptions = { readonly nodes: number; readonly width: number };

/**
 * (c) Kubelets that start with a bound token: a new TLS connection, POST (protobuf), GET with the field selector,
 * WatchList until the certificate is there. Then, apart, the serving certificate over a second new connection with the
 * first certificate.
 */
export async function benchBootstrap(service: ServiceProcess, options: BootstrapOptions): Promise<Row[]> {
  const admin = agentWith(service, service.admin);
  const names = Array.from({ length: options.nodes }, (_, index) => `boot-${String(index)}`);
  const tokens = new Map<string, string>();
  await inParallel(names.length, 8, async (index) => {
    const name = names[index] ?? '';
    tokens.set(name, await nodeToken(service, admin, name));
  });
  await admin.destroy();
  const credentials = new Map<string, { cert: string; key: string }>();
  const client = await timed(service, options, async (index) => {
    const name = names[index] ?? '';
    const token = tokens.get(name) ?? '';
    credentials.set(name, await requestClientCertificate({ url: service.url, ca: service.ca, nodeName: name, token }));
  });
  const serving = await timed(service, options, async (index) => {
    const name = names[index] ?? '';
    const credential = credentials.get(name) ?? { cert: '', key: '' };
    await requestServingCertificate({
      url: service.url,
      ca: service.ca,
      nodeName: name,
      credential,
      dns: [name],
      ips: [],
    });
  });
  return [
    { what: `bootstraps, ${String(options.width)} at once`, value: client.perSecond, unit: '/s' },
    { what: 'server CPU per bootstrap', value: client.cpuMs, unit: 'ms', aim: 'at most 3 ms' },
    { what: 'latency, median', value: client.median, unit: 'ms' },
    { what: 'latency, 99th percentile', value: client.p99, unit: 'ms' },
    { what: 'server CPU per serving certificate after it', value: serving.cpuMs, unit: 'ms' },
    { what: 'memory of the server afterwards', value: service.memory() / 1e6, unit: 'MB' },
  ];
}

type Timed = { perSecond: number; cpuMs: number; median: number; p99: number };

async function timed(
  service: ServiceProcess,
  options: BootstrapOptions,
  work: (index: number) => Promise<void>,
): Promise<Timed> {
  const latencies: number[] = [];
  const cpu = service.cpuMs();
  const start = performance.now();
  await inParallel(options.nodes, options.width, async (index) => {
    const begun = performance.now();
    await work(index);
    latencies.push(performance.now() - begun);
  });
  const seconds = (performance.now() - start) / 1000;
  return {
    perSecond: options.nodes / seconds,
    cpuMs: (service.cpuMs() - cpu) / options.nodes,
    median: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
  };
}
