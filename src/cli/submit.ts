import { setTimeout as sleep } from 'node:timers/promises';

import { type Command, Option } from 'commander';

import type { RequestView } from '../api/rest/request-view.js';
import { seconds } from './arguments.js';
import { type Client, pathOf } from './client.js';
import { localFailure, remoteFailure } from './failure.js';
import type { Io } from './io.js';
import { readText } from '../kubeconfig.js';
import { collect } from './verb.js';

export type SubmitFlags = {
  readonly signer: string;
  readonly usage?: readonly string[];
  readonly expires?: string;
  readonly name?: string;
  readonly wait?: string;
};

const pollMs = 2000;

/** The flags of every command that submits a request. */
export function submitOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--signer <name>', 'signer name, such as kubernetes.io/kubelet-serving').makeOptionMandatory(),
    )
    .option(
      '--usage <usage>',
      "a key usage by Kubernetes' name; repeat for more; what the signer requires when left out",
      collect,
    )
    .option('--expires <duration>', 'lifetime to ask for, such as 30d')
    .option('--name <name>', 'name of the request; made up when left out')
    .option('--wait <duration>', 'how long to wait while it is held or pending');
}

/** Submits a CSR (PEM) and waits as told. The request as it is then; throws a remote failure when it was refused. */
export async function submit(client: Client, csr: string, flags: SubmitFlags): Promise<RequestView> {
  const { signer, usage, expires, name, wait } = flags;
  const waitMs = wait === undefined ? 0 : seconds('--wait', wait) * 1000;
  const submitted = await client.json<RequestView>('POST', '/requests', {
    body: {
      signerName: signer,
      request: csr,
      usages: usage,
      expirationSeconds: expires === undefined ? undefined : seconds('--expires', expires),
      name,
    },
  });
  return waitFor(client, submitted, Date.now() + waitMs);
}

async function waitFor(client: Client, submitted: RequestView, deadline: number): Promise<RequestView> {
  let request = submitted;
  while (request.certificate === undefined && Date.now() < deadline) {
    if (request.state === 'denied' || request.state === 'failed') throw refused(request);
    await sleep(Math.min(pollMs, Math.max(deadline - Date.now(), 1)));
    request = await client.json<RequestView>('GET', `/requests${pathOf(request.name)}`);
  }
  return request;
}

/** The certificate chain of an issued request, PEM. Throws a remote failure that says what it waits for otherwise. */
export function certificateOf(request: RequestView): string {
  if (request.certificate !== undefined) return request.certificate;
  if (request.state === 'denied' || request.state === 'failed') throw refused(request);
  const why = request.message === undefined ? '' : `: ${request.message}`;
  throw remoteFailure(`request ${request.name} is ${request.state}${why}`, {
    hints: [
      `an administrator can look with rotunda request explain ${request.name} and approve it`,
      '--wait 10m waits for that',
    ],
  });
}

function refused(request: RequestView): Error {
  return remoteFailure(
    `request ${request.name} was ${request.state}: ${request.message ?? request.reason ?? 'no reason given'}`,
    {
      hints: [`rotunda request explain ${request.name} shows rule by rule why`],
    },
  );
}

/** A file's text, or standard input for `-`. */
export async function readInput(io: Io, file: string): Promise<string> {
  if (file !== '-') return readText(file);
  const text = await io.input();
  if (text.trim() === '') throw localFailure('standard input is empty');
  return text;
}
