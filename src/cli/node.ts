import { type Command, Option } from 'commander';

import type { NodeView } from '../api/rest/nodes.js';
import { count, pairs, seconds } from './arguments.js';
import { pathOf } from './client.js';
import type { Io } from './io.js';
import { localFailure } from './failure.js';
import { importVerb } from './node-import.js';
import { createToken } from './node-tokens.js';
import { age, joined, printList, printObject, until, type View } from './output.js';
import { createdView } from './token.js';
import { action, collect, examples } from './verb.js';

const view: View<NodeView> = {
  kind: 'node',
  name: (node) => node.name,
  columns: [
    { title: 'NAME', value: (node) => node.name },
    { title: 'STATE', value: (node) => node.state },
    { title: 'ADDRESSES', value: (node) => joined(node.addresses) },
    { title: 'DNS NAMES', wide: true, value: (node) => joined(node.dnsNames) },
    {
      title: 'LABELS',
      wide: true,
      value: (node) => joined(Object.entries(node.labels).map(([key, value]) => `${key}=${value}`)),
    },
    { title: 'AGE', value: (node) => age(node.createdAt) },
    { title: 'CERTIFICATE', wide: true, value: (node) => node.certificate?.serial },
    { title: 'EXPIRES IN', wide: true, value: ({ certificate }) => certificate && until(certificate.notAfter) },
  ],
};

type ListFlags = { readonly state?: string; readonly selector?: string; readonly limit?: string };

function list(noun: Command, io: Io): void {
  noun
    .command('list')
    .description('List nodes')
    .addOption(new Option('--state <state>', 'only nodes in this state').choices(['expected', 'joined', 'disabled']))
    .option('-l, --selector <labels>', 'only nodes with these labels, key=value or key, separated by commas')
    .option('--limit <count>', 'at most so many')
    .addHelpText(
      'after',
      examples(
        ['With names, labels, and when their certificates expire', 'rotunda node list -o wide'],
        ['What is still to be installed in a rack', 'rotunda node list --state expected -l rack=r7'],
      ),
    )
    .action(
      action<ListFlags>(io, ({ withClient, format, options: { state, selector, limit } }) =>
        withClient(async (client) => {
          const items = await client.list<NodeView>('/nodes', { state, selector }, count('--limit', limit));
          printList(io, format, items, view);
        }),
      ),
    );
}

type FactFlags = {
  readonly address?: readonly string[];
  readonly dns?: readonly string[];
  readonly label?: readonly string[];
  readonly addAddress?: readonly string[];
  readonly addDns?: readonly string[];
  readonly removeAddress?: readonly string[];
  readonly removeDns?: readonly string[];
};

export function nodeNoun(program: Command, io: Io): void {
  const noun = program.command('node').description('Enrolled machines');
  list(noun, io);
  write(noun, io, 'create', 'Enrol a node');
  const update = write(
    noun,
    io,
    'update',
    'Replace the addresses, DNS names or labels of a node: those that are given',
  );
  update
    .option('--add-address <ip>', 'an address beside those that it has; repeat for more', collect)
    .option('--add-dns <name>', 'a DNS name beside those that it has; repeat for more', collect)
    .option('--remove-address <ip>', 'an address that is no longer its own; repeat for more', collect)
    .option('--remove-dns <name>', 'a DNS name that is no longer its own; repeat for more', collect);
  importVerb(noun, io);
  act(noun, io, 'get', 'Show one node');
  act(noun, io, 'disable', 'Refuse a node and its certificates at once');
  act(noun, io, 'enable', 'Accept a disabled node again');
  replace(noun, io);
  act(noun, io, 'delete', 'Delete a node');
}

function write(noun: Command, io: Io, verb: 'create' | 'update', description: string): Command {
  return noun
    .command(verb)
    .argument('<name>')
    .description(description)
    .option('--address <ip>', 'an address; repeat for more', collect)
    .option('--dns <name>', 'a DNS name beside its own; repeat for more', collect)
    .option('--label <key=value>', 'a label; repeat for more', collect)
    .addHelpText('after', examples(['With its address', `rotunda node ${verb} n1 --address 10.0.0.11`]))
    .action(
      action<FactFlags>(io, ({ withClient, format, options, args: [name = ''] }) =>
        withClient(async (client) => {
          const { address, dns, label, addAddress, addDns, removeAddress, removeDns } = options;
          const facts = {
            addresses: address,
            dnsNames: dns,
            labels: label === undefined ? undefined : pairs('--label', label),
            addAddresses: addAddress,
            addDnsNames: addDns,
            removeAddresses: removeAddress,
            removeDnsNames: removeDns,
          };
          const node =
            verb === 'create'
              ? await client.json<NodeView>('POST', '/nodes', { body: { name, ...facts } })
              : await client.json<NodeView>('PATCH', `/nodes${pathOf(name)}`, { body: facts });
          printObject(io, format, node, view);
        }),
      ),
    );
}

function act(noun: Command, io: Io, verb: 'get' | 'disable' | 'enable' | 'delete', description: string): void {
  const command = noun.command(verb).argument('<name>').description(description);
  if (verb === 'disable') command.option('--reason <text>', 'why, for the record');
  command.addHelpText('after', examples(['By its name', `rotunda node ${verb} n1`])).action(
    action<{ reason?: string }>(io, ({ withClient, format, options: { reason }, args: [name = ''] }) =>
      withClient(async (client) => {
        const path = `/nodes${pathOf(name)}`;
        if (verb === 'delete') {
          await client.send('DELETE', path);
          io.err(`deleted node ${name}\n`);
        } else if (verb === 'get') printObject(io, format, await client.json<NodeView>('GET', path), view);
        else
          printObject(io, format, await client.json<NodeView>('POST', `${path}/${verb}`, { body: { reason } }), view);
      }),
    ),
  );
}

type ReplaceFlags = { readonly createToken?: true; readonly ttl?: string };

function replace(noun: Command, io: Io): void {
  noun
    .command('replace')
    .argument('<name>')
    .description('Expect a node again: another machine, or the same one rebuilt, takes its name')
    .option('--create-token', 'print a bootstrap token for it')
    .option('--ttl <duration>', 'lifetime of the token; default 1h')
    .addHelpText('after', replaceHelp)
    .action(
      action<ReplaceFlags>(io, ({ withClient, format, options: { createToken: wanted, ttl }, args: [name = ''] }) => {
        if (ttl !== undefined && wanted !== true) throw localFailure('--ttl belongs to --create-token');
        const ttlSeconds = ttl === undefined ? undefined : seconds('--ttl', ttl);
        return withClient(async (client) => {
          const node = await client.json<NodeView>('POST', `/nodes${pathOf(name)}/replace`, { body: {} });
          if (wanted !== true) printObject(io, format, node, view);
          else printObject(io, format, await createToken({ client, ttlSeconds }, name), createdView);
        });
      }),
    );
}

const replaceHelp = `
The certificates that the old machine has go on working until the new one is given its own; then they are refused. A
request that already waits for this is approved at once.
${examples(
  ['The machine asks with a token that is bound to nothing', 'rotunda node replace n1'],
  ['With a token for this machine alone', 'rotunda node replace n1 --create-token --ttl 4h -o json'],
)}`;
