import type { Command } from 'commander';

import type { NodeView } from '../api/rest/nodes.js';
import { pairs } from './arguments.js';
import { pathOf } from './client.js';
import type { Io } from './io.js';
import { importVerb } from './node-import.js';
import { age, joined, printList, printObject, type View } from './output.js';
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
  ],
};

type FactFlags = {
  readonly address?: readonly string[];
  readonly dns?: readonly string[];
  readonly label?: readonly string[];
};

export function nodeNoun(program: Command, io: Io): void {
  const noun = program.command('node').description('Enrolled machines');
  noun
    .command('list')
    .description('List nodes')
    .addHelpText('after', examples(['With names and labels', 'rotunda node list -o wide']))
    .action(
      action(io, ({ withClient, format }) =>
        withClient(async (client) => {
          printList(io, format, await client.list<NodeView>('/nodes'), view);
        }),
      ),
    );
  write(noun, io, 'create', 'Enrol a node');
  write(noun, io, 'update', 'Replace the addresses, DNS names or labels of a node: those that are given');
  importVerb(noun, io);
  act(noun, io, 'get', 'Show one node');
  act(noun, io, 'disable', 'Refuse a node and its certificates at once');
  act(noun, io, 'enable', 'Accept a disabled node again');
  act(noun, io, 'replace', 'Expect a node again that is being rebuilt under its name');
  act(noun, io, 'delete', 'Delete a node');
}

function write(noun: Command, io: Io, verb: 'create' | 'update', description: string): void {
  noun
    .command(verb)
    .argument('<name>')
    .description(description)
    .option('--address <ip>', 'an address; repeat for more', collect)
    .option('--dns <name>', 'a DNS name beside its own; repeat for more', collect)
    .option('--label <key=value>', 'a label; repeat for more', collect)
    .addHelpText('after', examples(['With its address', `rotunda node ${verb} n1 --address 10.0.0.11`]))
    .action(
      action<FactFlags>(io, ({ withClient, format, options: { address, dns, label }, args: [name = ''] }) =>
        withClient(async (client) => {
          const facts = {
            addresses: address,
            dnsNames: dns,
            labels: label === undefined ? undefined : pairs('--label', label),
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

function act(
  noun: Command,
  io: Io,
  verb: 'get' | 'disable' | 'enable' | 'replace' | 'delete',
  description: string,
): void {
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
