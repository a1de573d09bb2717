import { setTimeout as sleep } from 'node:timers/promises';

import type { Command } from 'commander';

import type { BundleView } from '../api/rest/bundles.js';
import type { CertificateFacts } from '../ca/x509/types.js';
import { RotundaError } from '../errors.js';
import { believe, parseBundle, readAnchors } from './bundle-trust.js';
import { type Client, pathOf } from './client.js';
import { exitCodes, type Failure, isFailure, localFailure, remoteFailure } from './failure.js';
import { pemOf, readBundleFile, writeBundle } from './held-bundle.js';
import type { Io } from './io.js';
import { type Format, printObject } from './output.js';
import { bundleView } from './bundle-view.js';
import { action, type Call, examples } from './verb.js';

type WatchFlags = { readonly outputFile?: string; readonly verify?: true; readonly anchor?: string };

/** What the service is asked to wait with its answer; a change is answered at once. */
const waitMs = 60_000;
const firstPauseMs = 1000;
const longestPauseMs = 30_000;

export function watchVerb(noun: Command, io: Io): void {
  noun
    .command('watch')
    .argument('<ring>')
    .description('Print each new bundle of a ring, or keep a CA file up to date with it, until interrupted')
    .option('--output-file <file>', 'written anew (0644) with each generation; never with an earlier one')
    .option('--verify', 'only what an authority at hand has signed; it begins with --anchor, or with the file itself')
    .option('--anchor <file>', 'the CA file that is in use now')
    .addHelpText(
      'after',
      examples(
        ['Keep the CA file of etcd', 'rotunda bundle watch etcd --output-file /etc/etcd/pki/ca.crt'],
        [
          'The ring that the service itself is recognised by: the same file for both',
          'rotunda bundle watch kubernetes --server https://pki:8443 --ca ca.crt --output-file ca.crt --verify',
        ],
      ),
    )
    .action(action<WatchFlags>(io, (call) => watch(call)));
}

type Held = {
  readonly generation: number;
  /** Who may vouch for what comes next; undefined where the connection to the service is enough. */
  readonly anchors: readonly CertificateFacts[] | undefined;
};

async function watch(call: Call<WatchFlags>): Promise<never> {
  const { io, options } = call;
  const [ring = ''] = call.args;
  const state = { held: heldAtFirst(options, ring), pause: firstPauseMs, answered: false };
  for (;;) {
    try {
      // Once more from the flags: the CA file may be the one that is written here.
      await call.withClient(async (client) => {
        for (;;) {
          state.held = await next(call, client, ring, state.held);
          state.answered = true;
          state.pause = firstPauseMs;
        }
      }, 'none');
    } catch (error) {
      if (!state.answered || !isPassing(error)) throw error;
      io.err(`${error.message}; trying again\n`);
      await sleep(state.pause * (0.5 + Math.random() / 2));
      state.pause = Math.min(longestPauseMs, state.pause * 2);
    }
  }
}

function heldAtFirst({ outputFile, verify, anchor }: WatchFlags, ring: string): Held {
  const file = outputFile === undefined ? undefined : readBundleFile(outputFile);
  const generation = file?.ring === ring ? file.generation : 0;
  const from = anchor ?? (verify === true && file !== undefined ? outputFile : undefined);
  if (from !== undefined) return { generation, anchors: readAnchors(from) };
  if (verify !== true) return { generation, anchors: undefined };
  throw localFailure('--verify needs a CA file to begin with', { hints: ['give it with --anchor'] });
}

/** Waits for a generation above the one that is held, and writes or prints it. */
async function next(
  { io, format, options }: Call<WatchFlags>,
  client: Client,
  ring: string,
  held: Held,
): Promise<Held> {
  const query = { after: held.generation, wait: `${String(waitMs / 1000)}s` };
  const start = performance.now();
  const answer = await client.send('GET', `/rings${pathOf(ring)}/bundle`, { query, waitMs });
  if (answer.status === 304) {
    // A service that stops does not wait, and must not be asked in a circle.
    if (performance.now() - start < firstPauseMs) await sleep(firstPauseMs);
    return held;
  }
  const bundle = parseBundle(answer.text, 'the answer');
  if (bundle.generation <= held.generation) throw remoteFailure(`${client.server} answers with what is held already`);
  const anchors = held.anchors && (await believe(client, bundle, held.anchors));
  const view = JSON.parse(answer.text) as BundleView;
  if (options.outputFile === undefined) print(io, format, options.output, view);
  else {
    writeBundle(options.outputFile, view);
    io.err(`${options.outputFile} holds bundle ${String(bundle.generation)} of the ring ${ring}\n`);
  }
  return { generation: bundle.generation, anchors };
}

function print(io: Io, format: Format, output: string | undefined, bundle: BundleView): void {
  if (output === 'pem') io.out(pemOf(bundle));
  else printObject(io, format, bundle, bundleView);
}

const passing = ['internal', 'unavailable', 'timeout', 'too-many-requests'];

/** Whether it may go by itself: the service is away, or does not answer properly. */
function isPassing(error: unknown): error is Failure {
  if (!isFailure(error) || error.exitCode !== exitCodes.remote) return false;
  const { problem, cause } = error;
  return problem === undefined ? !(cause instanceof RotundaError) : passing.includes(problem.code ?? '');
}
