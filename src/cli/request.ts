import { setTimeout as sleep } from 'node:timers/promises';

import { type Command, Option } from 'commander';

import type { DecidedView } from '../api/rest/request-decisions.js';
import type { RequestView } from '../api/rest/request-view.js';
import { pathOf } from './client.js';
import type { Io } from './io.js';
import { age, type Format, joined, printable, printList, printObject, type View } from './output.js';
import { explainVerb } from './request-explain.js';
import { replayVerb } from './request-replay.js';
import { readInput, submitAsTold, type SubmitFlags, submitOptions } from './submit.js';
import { action, examples } from './verb.js';

const view: View<RequestView> = {
  kind: 'request',
  name: (request) => request.name,
  columns: [
    { title: 'NAME', value: (request) => request.name },
    { title: 'AGE', value: (request) => age(request.createdAt) },
    { title: 'SIGNERNAME', value: (request) => request.signerName },
    { title: 'REQUESTOR', value: (request) => request.requester },
    { title: 'STATE', value: (request) => request.state },
    { title: 'USAGES', wide: true, value: (request) => joined(request.usages) },
    { title: 'MESSAGE', wide: true, value: (request) => request.message },
  ],
};

const watchMs = 2000;

export function requestNoun(program: Command, io: Io): void {
  const noun = program.command('request').description('Certificate signing requests');
  create(noun, io);
  list(noun, io);
  get(noun, io);
  explainVerb(noun, io);
  replayVerb(noun, io);
  decide(noun, io, 'approve', 'Approve a request as a person');
  decide(noun, io, 'deny', 'Deny a request as a person');
  remove(noun, io);
}

function create(noun: Command, io: Io): void {
  submitOptions(noun.command('create').description('Submit a request'))
    .addOption(new Option('-f, --file <file>', 'the CSR in PEM, - for standard input').makeOptionMandatory())
    .addHelpText(
      'after',
      examples([
        'As an administrator',
        'rotunda request create -f user.csr --signer kubernetes.io/kube-apiserver-client',
      ]),
    )
    .action(
      action<SubmitFlags & { file: string }>(io, ({ withClient, format, options }) =>
        withClient(async (client) => {
          const request = await submitAsTold(io, client, await readInput(io, options.file), options);
          if (options.output === 'pem' && request.certificate !== undefined) io.out(request.certificate);
          else printObject(io, format, request, view);
          if (request.certificate === undefined)
            io.err(`request ${request.name} is ${request.state}: ${request.message ?? 'nothing decided yet'}\n`);
        }),
      ),
    );
}

type ListFlags = {
  readonly state?: string;
  readonly signer?: string;
  readonly requester?: string;
  readonly watch?: true;
};

function list(noun: Command, io: Io): void {
  noun
    .command('list')
    .description('List requests')
    .option('--state <state>', 'pending, held, approved, denied, failed or issued')
    .option('--signer <name>', 'only those to this signer')
    .option('--requester <user>', 'only those of this user name')
    .option('-w, --watch', 'then print each that is new or changed, until interrupted')
    .addHelpText('after', examples(['What waits for a person', 'rotunda request list --state held -o wide']))
    .action(
      action<ListFlags>(io, ({ withClient, format, options }) =>
        withClient(async (client) => {
          const { state, signer, requester } = options;
          const query = { state, signerName: signer, requester };
          const read = (): Promise<RequestView[]> => client.list<RequestView>('/requests', query);
          const items = await read();
          printList(io, format, items, view);
          if (options.watch === true) await watch(io, format, items, read);
        }),
      ),
    );
}

/** Asks again and prints what differs; ends with the process. */
async function watch(
  io: Io,
  format: Format,
  first: readonly RequestView[],
  read: () => Promise<RequestView[]>,
): Promise<never> {
  let seen = new Map(first.map((request) => [request.uid, request.state]));
  for (;;) {
    await sleep(watchMs);
    const items = await read();
    const changed = items.filter((request) => seen.get(request.uid) !== request.state);
    for (const request of changed) printObject(io, format, request, view);
    seen = new Map(items.map((request) => [request.uid, request.state]));
  }
}

function get(noun: Command, io: Io): void {
  noun
    .command('get')
    .argument('<name>')
    .description('Show one request')
    .addHelpText('after', examples(['Its certificate', 'rotunda request get NAME -o pem']))
    .action(
      action(io, ({ withClient, format, options, args: [name = ''] }) =>
        withClient(async (client) => {
          const path = `/requests${pathOf(name)}`;
          if (options.output === 'pem')
            io.out((await client.send('GET', path, { accept: 'application/pem-certificate-chain' })).text);
          else printObject(io, format, await client.json<RequestView>('GET', path), view);
        }),
      ),
    );
}

function decide(noun: Command, io: Io, verb: 'approve' | 'deny', description: string): void {
  noun
    .command(verb)
    .argument('<name...>')
    .description(description)
    .option('--reason <reason>', 'CamelCase, for the condition')
    .option('--message <text>', 'why, for the record')
    .addHelpText('after', examples(['After having read it', `rotunda request ${verb} NAME`]))
    .action(
      action<{ reason?: string; message?: string }>(io, ({ withClient, format, options: { reason, message }, args }) =>
        withClient(async (client) => {
          const decided: RequestView[] = [];
          for (const name of args) {
            const path = `/requests${pathOf(name)}/${verb}`;
            const { overrides, ...request } = await client.json<DecidedView>('POST', path, {
              body: { reason, message },
            });
            for (const rule of overrides ?? []) io.err(overrideText(request.name, rule));
            decided.push(request);
          }
          const [only] = decided;
          if (decided.length === 1 && only !== undefined) printObject(io, format, only, view);
          else printList(io, format, decided, view);
        }),
      ),
    );
}

/** What an approval gives that the rules would not have given, or why it gives nothing. */
function overrideText(name: string, { rule, kind, message }: NonNullable<DecidedView['overrides']>[number]): string {
  const what = kind === 'hard' ? 'cannot be overridden, the request fails' : 'overridden';
  return printable(`${name}: ${rule} ${what}: ${message}`) + '\n';
}

function remove(noun: Command, io: Io): void {
  noun
    .command('delete')
    .argument('<name>')
    .description('Delete a request; its certificate stays in the inventory')
    .addHelpText('after', examples(['By its name', 'rotunda request delete NAME']))
    .action(
      action(io, ({ withClient, args: [name = ''] }) =>
        withClient(async (client) => {
          await client.send('DELETE', `/requests${pathOf(name)}`);
          io.err(`deleted request ${name}\n`);
        }),
      ),
    );
}
