import type { Command } from 'commander';

import type { ExplanationView } from '../../api/rest/rotation-views.js';
import { seconds } from '../arguments.js';
import { localFailure, remoteFailure } from '../failure.js';
import type { Io } from '../io.js';
import { action, type Call, examples } from '../verb.js';
import { isDocument, printDocument } from './documents.js';
import { follow } from './follow.js';
import { idText, pathOfRotation } from './pick.js';
import { statusLines } from './progress.js';
import { screenFor, statusDocument } from './screen.js';

type Flags = { readonly watch?: true; readonly waitFor?: string; readonly interval?: string };

const usualInterval = '2s';

export function statusVerb(noun: Command, io: Io): void {
  noun
    .command('status')
    .argument('[id]', idText)
    .description('Show where a rotation is: states, the gate that it waits at, who is missing, how long it may take')
    .option('-w, --watch', 'until it is over: drawn anew on a terminal, a line for each change elsewhere')
    .option('--wait-for <state>', 'until it has reached this state; ends with 2 where it ends without')
    .option('--interval <duration>', `how often to look; default ${usualInterval}`)
    .addHelpText(
      'after',
      examples(
        ['Of the one that runs', 'rotunda rotation status --watch'],
        ['Everybody who is missing', 'rotunda rotation status kubernetes -o wide'],
        ['In a script', 'rotunda rotation status kubernetes-3 --wait-for issuing'],
      ),
    )
    .action(action<Flags>(io, (call) => status(call)));
}

async function status(call: Call<Flags>): Promise<void> {
  const { io, format, options, args } = call;
  const { watch, waitFor } = options;
  const [id] = args;
  if (waitFor !== undefined) await waitUntil(call, waitFor, id);
  else if (watch === true) {
    const show = screenFor(io, format);
    await follow(call, { id, intervalMs: intervalOf(options), show, until: isOver });
  } else
    await call.withClient(async (client) => {
      const path = await pathOfRotation(client, id);
      const view = await client.json<ExplanationView>('GET', `${path}/explanation`);
      if (format === 'name') io.out(`rotation/${view.rotation.id}\n`);
      else if (isDocument(format)) printDocument(io, format, statusDocument(view));
      else
        io.out(
          statusLines(view, format === 'wide')
            .map((line) => `${line}\n`)
            .join(''),
        );
    });
}

const states: readonly string[] = [
  ...['staged', 'trusting', 'canary', 'issuing', 'drained', 'distrusting', 'cooling', 'untrusting', 'returning'],
  ...['retrusting', 'declared', 'spreading', 'reissuing', 'cut', 'recovering', 'finished', 'rolled-back', 'aborted'],
];

async function waitUntil(call: Call<Flags>, state: string, id: string | undefined): Promise<void> {
  if (!states.includes(state))
    throw localFailure(`${JSON.stringify(state)} is no state of a rotation`, {
      hints: [`one of ${states.join(', ')}`],
    });
  const reached = ({ rotation }: ExplanationView): boolean =>
    rotation.path.some((step) => step.state === state && step.phase !== 'ahead');
  const show = screenFor(call.io, call.format);
  const intervalMs = intervalOf(call.options);
  const last = await follow(call, { id, intervalMs, show, until: (view) => reached(view) || isOver(view) });
  if (!reached(last))
    throw remoteFailure(
      `the rotation ${last.rotation.id} is over, and was never ${state}: it is ${last.rotation.state}`,
    );
}

export function isOver({ rotation }: ExplanationView): boolean {
  return rotation.finishedAt !== undefined;
}

/** Milliseconds. Throws a local failure. */
export function intervalOf({ interval = usualInterval }: { readonly interval?: string }): number {
  const found = seconds('--interval', interval) * 1000;
  if (found > 0) return found;
  throw localFailure('--interval must be a second at least');
}
