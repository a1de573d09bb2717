import type { Command } from 'commander';

import type { BlockerView } from '../../api/rest/rotation-gate-view.js';
import type { ExplanationView } from '../../api/rest/rotation-views.js';
import type { Io } from '../io.js';
import { printable, span } from '../output.js';
import { action, examples } from '../verb.js';
import { isDocument, printDocument } from './documents.js';
import { idText, pathOfRotation } from './pick.js';
import { blockerText, statusLines } from './progress.js';
import { eventText } from './views.js';

export function explainVerb(noun: Command, io: Io): void {
  noun
    .command('explain')
    .argument('[id]', idText)
    .description('Show what a rotation waits for: every gate with who is in the way, what is known of it, what helps')
    .addHelpText(
      'after',
      examples(
        ['Of the one that runs', 'rotunda rotation explain'],
        [
          'Names of who is in the way',
          `rotunda rotation explain kubernetes -o json | jq -r '.ways[].gate.blockers[].subject'`,
        ],
      ),
    )
    .action(
      action(io, ({ withClient, format, args: [id] }) =>
        withClient(async (client) => {
          const data = isDocument(format);
          const view = await client.json<ExplanationView>('GET', `${await pathOfRotation(client, id)}/explanation`);
          if (data) printDocument(io, format, view);
          else
            io.out(
              explained(view)
                .map((line) => `${line}\n`)
                .join(''),
            );
        }),
      ),
    );
}

function explained(view: ExplanationView): string[] {
  const [head = ''] = statusLines(view);
  return [head, ...standstill(view), ...ways(view), ...left(view), ...end(view), '', 'history:', ...history(view)];
}

function standstill({ standstill: why, rotation }: ExplanationView): string[] {
  return why === undefined || rotation.finishedAt !== undefined ? [] : [printable(`stands still: ${why}`)];
}

function ways({ ways: all, checkedAt }: ExplanationView): string[] {
  return all.flatMap(({ to, by, gate }) => {
    if (by === 'operator') return ['', `to ${to}: rotunda rotation rollback leads there`];
    const { name, satisfied, required, blocked, blockers } = gate;
    const rest = blocked - blockers.length;
    const state = blocked === 0 ? 'it passes' : `${String(blocked)} in the way`;
    return [
      '',
      `to ${to}: gate ${name}, ${String(satisfied)} of ${String(required)}, ${state}`,
      ...blockers.flatMap((blocker) => blockerLines(blocker, checkedAt)),
      ...(rest > 0 ? [`  and ${String(rest)} more`] : []),
    ];
  });
}

function blockerLines(blocker: BlockerView, checkedAt: string): string[] {
  const { since, remedies } = blocker;
  const when = since === undefined ? '' : ` (${span(Date.parse(since), Date.parse(checkedAt))} ago)`;
  return [`  ${blockerText(blocker)}${when}`, ...remedies.map((remedy) => printable(`    - ${remedy}`))];
}

function left({ pending }: ExplanationView): string[] {
  if (pending.length === 0) return [];
  const line = ({ kind, attempts, problem }: ExplanationView['pending'][number]): string =>
    printable(`  ${kind}, tried ${String(attempts)} times${problem === undefined ? '' : `: ${problem}`}`);
  return ['', 'still to be done for earlier steps:', ...pending.map(line)];
}

function end(view: ExplanationView): string[] {
  if (view.rotation.finishedAt !== undefined) return [];
  const { estimate, opensAt } = view;
  return [
    '',
    ...(opensAt === undefined ? [] : [`it goes on by itself at ${opensAt}`]),
    ...(estimate === undefined
      ? []
      : [
          `it is over about ${estimate.usual}; ${estimate.latest === undefined ? 'how long at the most is up to people' : `at the latest ${estimate.latest}`}`,
        ]),
  ];
}

function history({ events }: ExplanationView): string[] {
  return events.map((event) => printable(`  ${event.at}  ${eventText(event)} (${event.actor})`));
}
