import type { Command } from 'commander';
import { parseDocument } from 'yaml';

import type { ReplayView } from '../api/rest/request-replay.js';
import { policyFields } from '../config/policy-fields.js';
import { seconds } from './arguments.js';
import { foundDifferent, localFailure } from './failure.js';
import type { Io } from './io.js';
import { age, type Format, printable, printList, printObject, type View } from './output.js';
import { readInput } from './submit.js';
import { action, examples } from './verb.js';

type Change = ReplayView['changes'][number];
type Said = Change['before'];

const view: View<Change> = {
  kind: 'request',
  name: (change) => change.request,
  columns: [
    { title: 'REQUEST', value: (change) => change.request },
    { title: 'COUNT', value: ({ count }) => String(count) },
    { title: 'AGE', value: (change) => age(change.createdAt) },
    { title: 'SIGNERNAME', value: (change) => change.signerName },
    { title: 'REQUESTOR', value: (change) => change.requester },
    { title: 'BEFORE', value: ({ before }) => said(before) },
    { title: 'AFTER', value: ({ after }) => said(after) },
    { title: 'RULES', value: ({ rules }) => rules.map(ruleText).join('; ') },
    { title: 'MESSAGE', wide: true, value: ({ after }) => after.message },
  ],
};

type Flags = { readonly config: string; readonly since?: string; readonly days?: string; readonly facts?: string };

/** `request replay`: another policy on requests of the past. */
export function replayVerb(noun: Command, io: Io): void {
  noun
    .command('replay')
    .description('Try another configuration on requests of the past; changes nothing and signs nothing')
    .requiredOption('--config <file>', 'the configuration file to try; only what decides about requests is looked at')
    .option('--since <duration>', 'how far to go back; default 7d')
    .option('--days <number>', 'the same in days')
    .option('--facts <which>', 'recorded: enrolment as it was when each was decided; today: as it is now')
    .addHelpText(
      'after',
      `${examples(
        ['Before a new configuration is switched on', 'rotunda request replay --since 7d --config new-config.yaml'],
        [
          'In a pipeline: exit code 3 when anything would be different',
          'rotunda request replay --config new.yaml -o json',
        ],
      )}

Only ${policyFields.join(', ')} of the file are sent and looked at.`,
    )
    .action(
      action<Flags>(io, async ({ withClient, format, options }) => {
        const { config, since, days, facts } = options;
        if (since !== undefined && days !== undefined) throw localFailure('give one of --since and --days');
        const span = days === undefined ? (since ?? '7d') : `${days}d`;
        const body = {
          since: `${String(seconds('--since', span))}s`,
          facts,
          config: policyOf(await readInput(io, config)),
        };
        const replay = await withClient((client) => client.json<ReplayView>('POST', '/requests/replay', { body }));
        print(io, format, replay);
        if (replay.changed > 0) throw foundDifferent();
      }),
    );
}

/** What of the file decides about requests; nothing else leaves this machine. */
function policyOf(text: string): Record<string, unknown> {
  const document = parseDocument(text);
  const [problem] = document.errors;
  if (problem !== undefined) throw localFailure(`the configuration file is not YAML: ${problem.message}`);
  const value: unknown = document.toJS();
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw localFailure(
      'the configuration file must be a YAML mapping that starts with apiVersion: rotunda.dev/v1alpha1',
    );
  const fields: readonly string[] = ['apiVersion', ...policyFields];
  return Object.fromEntries(Object.entries(value).filter(([field]) => fields.includes(field)));
}

function print(io: Io, format: Format, replay: ReplayView): void {
  if (format === 'json' || format === 'yaml') {
    printObject(io, format, replay, { kind: 'replay', name: () => 'replay', columns: [] });
  } else if (replay.changes.length > 0) printList(io, format, replay.changes, view);
  const { requests, changed, before, after, factsOfToday, truncated, omitted } = replay;
  io.err(`${String(requests)} requests since ${replay.since}, ${String(changed)} would be answered differently\n`);
  io.err(`now: ${tally(before)}; then: ${tally(after)}\n`);
  if (omitted > 0) io.err(`${String(omitted)} more changes are not listed\n`);
  if (factsOfToday > 0)
    io.err(`${String(factsOfToday)} requests were looked at with enrolment as of today, which was not recorded\n`);
  if (truncated) io.err('there are more requests than are looked at in one go: take a shorter --since\n');
}

function tally(counts: Readonly<Record<string, number>>): string {
  const parts = Object.entries(counts).map(([outcome, count]) => `${outcome} ${String(count)}`);
  return parts.length === 0 ? 'nothing' : parts.join(', ');
}

function said({ outcome, ring, lifetimeSeconds }: Said): string {
  const given = ring === undefined ? '' : ` (${ring}, ${String(lifetimeSeconds ?? 0)}s)`;
  return `${outcome}${given}`;
}

function ruleText({ rule, before, after }: Change['rules'][number]): string {
  return printable(`${rule}: ${before?.outcome ?? 'not asked'} -> ${after?.outcome ?? 'not asked'}`);
}
