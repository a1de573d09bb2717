import { Agent, request } from 'undici';

import { requestClientCertificate } from '../test/support/kubelet.js';
import { csrPem, newEcKey } from '../test/support/pkcs10.js';
import type { ServiceProcess } from '../test/support/service-process.js';
import type { TlsCredential } from '../test/support/service.js';
import { inParallel, percentile, type Row } from './report.js';

export type HttpsOptions = { readonly certificates: number; readonly connections: number };

/** (b) One POST per certificate over kept-alive HTTPS connections, each a node that renews itself with its certificate. */
export async function benchHttps(service: ServiceProcess, options: HttpsOptions): Promise<Row[]> {
  const clients = await Promise.all(
    Array.from({ length: options.connections }, (_, index) => nodeClient(service, `bench-${String(index)}`)),
  );
  const bodies = clients.map(({ name }) => Array.from({ length: 32 }, () => bodyFor(name)));
  const latencies: number[] = [];
  const run = async (count: number): Promise<void> => {
    await Promise.all(
      clients.map(({ agent }, lane) =>
        inParallel(Math.ceil(count / clients.length), 1, async (index) => {
          const start = performance.now();
          const answer = await request(`${service.url}/pki/v1/requests`, {
            method: 'POST',
            dispatcher: agent,
            headers: { 'content-type': 'application/json' },
            body: bodies[lane]?.[index % 32] ?? '',
          });
          const text = await answer.body.text();
          if (answer.statusCode !== 201) throw new Error(`${String(answer.statusCode)} ${text}`);
          latencies.push(performance.now() - start);
        }),
      ),
    );
  };
  await run(Math.ceil(options.certificates / 5));
  latencies.length = 0;
  const cpu = service.cpuMs();
  const start = performance.now();
  await run(options.certificates);
  const seconds = (performance.now() - start) / 1000;
  const issued = latencies.length;
  const rows = [
    { what: `certificates, ${String(options.connections)} connections`, value: issued / seconds, unit: '/s' },
    {
      what: 'server CPU per durable certificate',
      value: (service.cpuMs() - cpu) / issued,
      unit: 'ms',
      aim: 'at most 0.6 ms',
    },
    { what: 'latency, median', value: percentile(latencies, 0.5), unit: 'ms' },
    { what: 'latency, 99th percentile', value: percentile(latencies, 0.99), unit: 'ms' },
  ];
  await Promise.all(clients.map(({ agent }) => agent.destroy()));
  return rows;
}

/** A new bound token, as an administrator makes it. */
export function nodeToken(service: ServiceProcess, admin: Agent, name: string): Promise<string> {
  return newToken(service, admin, { node: { name } });
}

/** A new token; unbound where the draft names nobody. */
export async function newToken(service: ServiceProcess, admin: Agent, draft: object): Promise<string> {
  const answer = await request(`${service.url}/pki/v1/tokens`, {
    method: 'POST',
    dispatcher: admin,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(draft),
  });
  if (answer.statusCode !== 201) throw new Error(`${String(answer.statusCode)} ${await answer.body.text()}`);
  return ((await answer.body.json()) as { token: string }).token;
}

export function agentWith(service: ServiceProcess, credential: TlsCredential): Agent {
  return new Agent({
    connect: { ca: service.ca, cert: credential.cert, key: credential.key },
    connections: 1,
    pipelining: 1,
  });
}

async function nodeClient(service: ServiceProcess, name: string): Promise<{ name: string; agent: Agent }> {
  const admin = agentWith(service, service.admin);
  const token = await nodeToken(service, admin, name);
  await admin.destroy();
  const credential = await requestClientCertificate({ url: service.url, ca: service.ca, nodeName: name, token });
  return { name, agent: agentWith(service, credential) };
}

function bodyFor(name: string): string {
  const subject = [
    ['O', 'system:nodes'],
    ['CN', `system:node:${name}`],
  ] as const;
  return JSON.stringify({
    signerName: 'kubernetes.io/kube-apiserver-client-kubelet',
    request: csrPem(newEcKey(), { subject }),
  });
}
