import { setTimeout as sleep } from 'node:timers/promises';

import { type Command, Option } from 'commander';

import type { RequestView } from '../api/rest/request-view.js';
import type { BundleView } from '../api/rest/bundles.js';
import { seconds, wholeNumber } from './arguments.js';
import { type Client, pathOf } from './client.js';
import { isFailure, localFailure, remoteFailure } from './failure.js';
import { writeBundle } from './held-bundle.js';
import type { Io } from './io.js';
import { readText } from '../kubeconfig.js';
import { collect } from './verb.js';

export type SubmitFlags = {
  readonly signer: string;
  readonly usage?: readonly string[];
  readonly expires?: string;
  readonly name?: string;
  readonly wait?: string;
  readonly bundleFile?: string;
  readonly bundleGeneration?: string;
};

/** What the certificate's user verifies with. */
export type Stated = { readonly generation: number; readonly digest?: string };

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
    .option('--wait <duration>', 'how long to wait while it is held or pending')
    .option(
      '--bundle-file <file>',
      "CA file of the certificate's user: written anew (0644) before, so that nobody joins with an old one",
    )
    .option('--bundle-generation <number>', 'generation of the bundle that its user has already');
}

/** Submits a CSR (PEM) and waits as told. The request as it is then; throws a remote failure when it was refused. */
export async function submit(client: Client, csr: string, flags: SubmitFlags, stated?: Stated): Promise<RequestView> {
  const { signer, usage, expires, name, wait } = flags;
  const waitMs = wait === undefined ? 0 : seconds('--wait', wait) * 1000;
  const submitted = await client.json<RequestView>('POST', '/requests', {
    body: {
      signerName: signer,
      request: csr,
      usages: usage,
      expirationSeconds: expires === undefined ? undefined : seconds('--expires', expires),
      name,
      bundleGeneration: stated?.generation,
      bundleDigest: stated?.digest,
    },
  });
  return waitFor(client, submitted, Date.now() + waitMs);
}

/** As `submit`, with the bundle that the flags tell of. */
export async function submitAsTold(io: Io, client: Client, csr: string, flags: SubmitFlags): Promise<RequestView> {
  const { bundleFile, bundleGeneration } = flags;
  if (bundleFile !== undefined && bundleGeneration !== undefined)
    throw localFailure('--bundle-file and --bundle-generation are two statements', { hints: ['give one of them'] });
  if (bundleFile !== undefined)
    return submitHolding(io, client, { csr, flags, hold: (bundle) => writeBundle(bundleFile, bundle) });
  const generation = wholeNumber('--bundle-generation', bundleGeneration);
  try {
    return await submit(client, csr, flags, generation === undefined ? undefined : { generation });
  } catch (error) {
    if (staleBundle(error) === undefined || !isFailure(error)) throw error;
    const hints = [
      ...error.hints,
      '--bundle-file FILE writes them there first; --bundle-generation states what is there already',
    ];
    throw remoteFailure(error.message, { hints, cause: error });
  }
}

/**
 * Submits with the signer's current bundle, which `hold` has put in place before: a certificate must not be there before
 * what verifies its peers. When the ring asks for a newer one, that is put in place and it is tried once more.
 */
export async function submitHolding(
  io: Io,
  client: Client,
  { csr, flags, hold }: { csr: string; flags: SubmitFlags; hold: (bundle: BundleView) => void },
): Promise<RequestView> {
  const bundle = await readableBundle(client, flags.signer);
  if (bundle !== undefined) hold(bundle);
  try {
    return await submit(client, csr, flags, bundle);
  } catch (error) {
    const newer = staleBundle(error);
    if (newer === undefined) throw error;
    io.err(`the ring ${newer.ring} asks for bundle ${String(newer.generation)}: written, trying again\n`);
    hold(newer);
    return submit(client, csr, flags, newer);
  }
}

/** Undefined for a credential that reads nothing, as a certificate that has expired: then the service names it if it must. */
async function readableBundle(client: Client, signer: string): Promise<BundleView | undefined> {
  try {
    return await client.json<BundleView>('GET', `/signers${pathOf(signer)}/bundle`);
  } catch (error) {
    if (isFailure(error) && error.problem?.code === 'unauthorized') return undefined;
    throw error;
  }
}

/** The bundle in an answer that refuses another one. */
function staleBundle(error: unknown): BundleView | undefined {
  if (!isFailure(error) || error.problem?.code !== 'stale-bundle') return undefined;
  return error.problem.bundle as BundleView | undefined;
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
