import { readFileSync } from 'node:fs';
import { connect, type TLSSocket } from 'node:tls';

import { createReader, type HttpReader } from './storm-http.js';

// One process of the storm: kubelets that all begin when told to on standard input. Each has a TLS connection of its own,
// on which it sends what a kubelet 1.36 sends: POST, GET with the field selector, WatchList until the certificate is
// there. Little more than bytes on a socket, because it shares the machine with what it measures.

export type StormJob = { readonly token: string; readonly body: string };
export type StormPlan = {
  readonly host: string;
  readonly port: number;
  readonly ca: string;
  readonly jobs: StormJob[];
};
export type StormOutcome = { readonly latencies: number[]; readonly failures: string[] };

const collection = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
const waitMs = 120_000;
const mostAttempts = 20;

const plan = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as StormPlan;

/** client-go's answer to 429: waits as told, and asks again. */
async function create(reader: HttpReader, send: (text: string, body?: Buffer) => void, job: StormJob): Promise<string> {
  const body = Buffer.from(job.body, 'base64');
  for (let attempt = 1; ; attempt += 1) {
    send(
      `POST ${collection} HTTP/1.1\r\ncontent-type: application/vnd.kubernetes.protobuf\r\ncontent-length: ${String(body.length)}`,
      body,
    );
    const answer = await reader.answer();
    if (answer.status === 201) return /"name":"([^"]+)"/.exec(answer.body)?.[1] ?? '';
    if (answer.status !== 429 || attempt === mostAttempts)
      throw new Error(`POST: ${String(answer.status)} ${answer.body}`);
    await new Promise((resolve) => setTimeout(resolve, Number(answer.headers.get('retry-after') ?? '1') * 1000));
  }
}

async function bootstrap(job: StormJob): Promise<void> {
  const socket = connect({ host: plan.host, port: plan.port, ca: plan.ca, servername: 'localhost' });
  const timer = setTimeout(() => socket.destroy(new Error('no certificate in time')), waitMs);
  try {
    await opened(socket);
    const reader = createReader(socket);
    const common = `\r\nhost: ${plan.host}:${String(plan.port)}\r\nauthorization: Bearer ${job.token}\r\naccept: application/vnd.kubernetes.protobuf,application/json\r\naccept-encoding: gzip\r\nuser-agent: kubelet/v1.36.3 (linux/amd64) kubernetes/0000000\r\n\r\n`;
    const send = (head: string, body?: Buffer): void => {
      socket.write(body === undefined ? head + common : Buffer.concat([Buffer.from(head + common), body]));
    };
    const name = await create(reader, send, job);
    const selector = `fieldSelector=metadata.name%3D${name}`;
    send(`GET ${collection}?${selector} HTTP/1.1`);
    const list = await reader.answer();
    if (list.status !== 200) throw new Error(`GET: ${String(list.status)} ${list.body}`);
    send(
      `GET ${collection}?allowWatchBookmarks=true&${selector}&resourceVersionMatch=NotOlderThan&sendInitialEvents=true&timeoutSeconds=522&watch=true HTTP/1.1`,
    );
    for (;;) {
      const line = await reader.line();
      if (line.includes('"type":"Denied"') || line.startsWith('{"type":"ERROR"')) throw new Error(line.slice(0, 500));
      if (line.includes('"type":"Approved"') && line.includes('"certificate":"')) return;
    }
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
}

function opened(socket: TLSSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('secureConnect', resolve);
    socket.once('error', reject);
  });
}

async function storm(): Promise<void> {
  const latencies: number[] = [];
  const failures: string[] = [];
  await Promise.all(
    plan.jobs.map(async (job) => {
      const start = performance.now();
      try {
        await bootstrap(job);
        latencies.push(performance.now() - start);
      } catch (error) {
        failures.push(error instanceof Error ? error.message : String(error));
      }
    }),
  );
  const outcome: StormOutcome = { latencies, failures };
  process.stdout.write(`${JSON.stringify(outcome)}\n`);
}

process.stdout.write('ready\n');
process.stdin.once('data', () => {
  process.stdin.unref();
  void storm();
});
