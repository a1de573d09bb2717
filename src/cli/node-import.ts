import { type Command, Option } from 'commander';

import type { ImportedNodeView } from '../api/rest/node-imports.js';
import { seconds } from './arguments.js';
import type { Client } from './client.js';
import { type Failure, isFailure, localFailure, remoteFailure } from './failure.js';
import type { Io } from './io.js';
import { type Entry, readEntries } from './node-entries.js';
import { refuseRepeats } from './node-repeats.js';
import { createTokens } from './node-tokens.js';
import { joined, printList, type View } from './output.js';
import { action, examples } from './verb.js';

type Flags = {
  readonly filename: string;
  readonly existing: 'refuse' | 'merge' | 'replace';
  readonly allowShared?: true;
  readonly labels: boolean;
  readonly dryRun?: true;
  readonly createTokens?: true;
  readonly ttl?: string;
};

const view: View<ImportedNodeView> = {
  kind: 'node',
  name: (node) => node.name,
  columns: [
    { title: 'NAME', value: (node) => node.name },
    { title: 'OUTCOME', value: (node) => node.outcome },
    { title: 'STATE', value: (node) => node.state },
    {
      title: 'WHAT',
      value: ({ outcome, changes, errors }) =>
        outcome === 'conflict' ? errors.map(textOf).join('; ') : joined(changes),
    },
  ],
};

/** Nodes of one call, which is one transaction. */
const perCall = 500;
/** Problems shown at once. */
const mostShown = 50;

export function importVerb(noun: Command, io: Io): void {
  noun
    .command('import')
    .description('Enrol many nodes from a file: CSV, YAML or JSON, or the Node objects of a live cluster')
    .requiredOption('-f, --filename <file>', 'the file, or - for standard input')
    .addOption(
      new Option('--existing <what>', 'what becomes of a node that is enrolled with other facts')
        .choices(['refuse', 'merge', 'replace'])
        .default('refuse'),
    )
    .option('--allow-shared', 'let several nodes have the same address or DNS name')
    .option('--no-labels', 'leave the labels in the file alone')
    .option('--dry-run', 'show what would become of each node, and change nothing')
    .option('--create-tokens', 'print a bootstrap token for each node that has not joined, as CSV (or -o json)')
    .option('--ttl <duration>', 'lifetime of these tokens; default 1h')
    .addHelpText('after', help)
    .action(
      action<Flags>(io, async ({ withClient, format, options }) => {
        if (options.ttl !== undefined && options.createTokens === undefined)
          throw localFailure('--ttl belongs to --create-tokens');
        const ttlSeconds = options.ttl === undefined ? undefined : seconds('--ttl', options.ttl);
        const entries = (await readEntries(io, options.filename)).map((entry) => withoutLabels(entry, options.labels));
        await withClient(async (client) => {
          const nodes = await importAll(client, entries, options);
          if (options.createTokens !== true || options.dryRun === true) printList(io, format, nodes, view);
          io.err(`${summary(nodes)}${options.dryRun === true ? ' (dry run)' : ''}\n`);
          if (options.createTokens === true && options.dryRun !== true)
            await createTokens({ client, io, format, ttlSeconds }, nodes);
          if (nodes.some(({ outcome }) => outcome === 'conflict'))
            throw remoteFailure('nodes are in conflict: nothing would be enrolled', { hints: conflictHints });
        });
      }),
    );
}

const help = `
CSV has a header of name and any of addresses, dnsNames, labels. Entries within a cell are separated by blanks or
semicolons, a label is key=value. YAML and JSON are lists of objects with these fields, or Kubernetes' Node objects, of
which the addresses and labels are taken. A fact that is left out, or an empty cell, is left alone.

All nodes are checked before the first one is enrolled. Running it again changes nothing.
${examples(
  ['What would become of these machines', 'rotunda node import -f nodes.csv --dry-run'],
  ['The nodes of a live cluster', 'kubectl get nodes -o json | rotunda node import -f -'],
  ['A rack that is to be installed', 'rotunda node import -f rack.csv --create-tokens --ttl 24h > tokens.csv'],
)}`;

const conflictHints = [
  '--existing merge adds to what is enrolled, --existing replace replaces it',
  '--allow-shared lets several nodes have the same address or DNS name',
];

function withoutLabels(entry: Entry, keep: boolean): Entry {
  const { draft } = entry;
  if (keep || typeof draft !== 'object' || draft === null) return entry;
  return { ...entry, draft: Object.fromEntries(Object.entries(draft).filter(([key]) => key !== 'labels')) };
}

/** Asks about all of them, and enrols them only when nothing is wrong with any. Throws a failure that names every place. */
async function importAll(
  client: Client,
  entries: readonly Entry[],
  options: Flags,
): Promise<readonly ImportedNodeView[]> {
  refuseRepeats(entries, options.allowShared === true);
  const order = { existing: options.existing, allowShared: options.allowShared === true };
  const parts = Array.from({ length: Math.ceil(entries.length / perCall) }, (_, at) =>
    entries.slice(at * perCall, (at + 1) * perCall),
  );
  const planned = await askAll(client, parts, order);
  const conflicts = planned.flatMap((node, index) =>
    node.outcome === 'conflict'
      ? node.errors.map((error) => `${entries[index]?.where ?? ''}: ${node.name}: ${textOf(error)}`)
      : [],
  );
  if (options.dryRun === true) return planned;
  if (conflicts.length > 0) throw refusal('in conflict', conflicts, conflictHints);
  const done: ImportedNodeView[] = [];
  for (const part of parts) {
    try {
      done.push(...(await send(client, part, { ...order, dryRun: false })));
    } catch (error) {
      throw done.length === 0 ? error : interrupted(error, done.length);
    }
  }
  return done;
}

async function askAll(
  client: Client,
  parts: readonly (readonly Entry[])[],
  order: object,
): Promise<readonly ImportedNodeView[]> {
  const planned: ImportedNodeView[] = [];
  const broken: Failure[] = [];
  for (const part of parts) {
    try {
      planned.push(...(await send(client, part, { ...order, dryRun: true })));
    } catch (error) {
      // Whatever else it is concerns more than single nodes.
      if (!isFailure(error) || !error.message.endsWith('(invalid)')) throw error;
      broken.push(error);
    }
  }
  if (broken.length === 0) return planned;
  const problems = broken.flatMap(({ message, details }) => (details.length > 0 ? details : [message]));
  const hints = broken.flatMap(({ hints }) => hints);
  throw refusal('not valid', problems, [...new Set(hints)]);
}

async function send(client: Client, part: readonly Entry[], order: object): Promise<readonly ImportedNodeView[]> {
  try {
    const body = { nodes: part.map(({ draft }) => draft), ...order };
    return (await client.json<{ items: ImportedNodeView[] }>('POST', '/node-imports', { body })).items;
  } catch (error) {
    if (!isFailure(error)) throw error;
    const placed = (text: string): string =>
      text.replace(/\bnodes\[(\d+)\]\.?/g, (_whole, index: string) => `${part[Number(index)]?.where ?? index}: `);
    throw remoteFailure(placed(error.message), {
      details: error.details.map(placed),
      hints: error.hints,
      cause: error,
    });
  }
}

function refusal(what: string, problems: readonly string[], hints: readonly string[]): Failure {
  const shown = problems.slice(0, mostShown);
  const rest = problems.length - shown.length;
  const details = rest > 0 ? [...shown, `and ${rest} more`] : shown;
  const [only] = details;
  if (details.length === 1 && only !== undefined)
    return remoteFailure(`${only.replace(/ \((invalid|conflict)\)$/, '')}; nothing was enrolled`, { hints });
  return remoteFailure(`${problems.length} entries are ${what}; nothing was enrolled`, { details, hints });
}

function interrupted(error: unknown, done: number): Failure {
  const { message, details, hints } = isFailure(error) ? error : { message: String(error), details: [], hints: [] };
  return remoteFailure(message, {
    details,
    hints: [...hints, `the first ${done} nodes are enrolled: run it again for the others`],
    cause: error,
  });
}

function textOf({ field, message }: ImportedNodeView['errors'][number]): string {
  return field === undefined ? message : `${field}: ${message}`;
}

function summary(nodes: readonly ImportedNodeView[]): string {
  const count = (outcome: ImportedNodeView['outcome']): string =>
    `${nodes.filter((node) => node.outcome === outcome).length} ${outcome}`;
  const outcomes = [count('created'), count('updated'), count('unchanged')];
  return [...outcomes, ...(nodes.some(({ outcome }) => outcome === 'conflict') ? [count('conflict')] : [])].join(', ');
}
