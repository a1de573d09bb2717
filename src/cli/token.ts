import { type Command, Option } from 'commander';

import type { DiscoveryView } from '../api/rest/discovery.js';
import type { CreatedTokenView, TokenView } from '../api/rest/tokens.js';
import { pathOf } from './client.js';
import { localFailure } from './failure.js';
import { memberName, seconds } from './arguments.js';
import type { Io } from './io.js';
import { type Format, joined, printList, printObject, until, type View } from './output.js';
import { action, collect, examples } from './verb.js';

const view: View<TokenView> = {
  kind: 'token',
  name: (token) => token.id,
  columns: [
    { title: 'ID', value: (token) => token.id },
    { title: 'KIND', value: (token) => token.kind },
    {
      title: 'FOR',
      value: (token) =>
        token.node ?? (token.cluster === undefined ? undefined : `${token.cluster}/${token.member ?? ''}`),
    },
    { title: 'STATE', value: (token) => token.state },
    { title: 'EXPIRES IN', value: (token) => until(token.expiresAt) },
    { title: 'REUSABLE', wide: true, value: (token) => (token.reusable ? 'yes' : 'no') },
    { title: 'GROUPS', wide: true, value: (token) => joined(token.groups) },
    { title: 'DESCRIPTION', value: (token) => token.description },
  ],
};

/** A new token's secret belongs to what is shown of it, once. */
export const createdView: View<CreatedTokenView> = {
  ...view,
  columns: [{ title: 'TOKEN', value: ({ token }) => token }, ...view.columns.slice(1)],
};

export function tokenNoun(program: Command, io: Io): void {
  const noun = program.command('token').description('Bootstrap tokens');
  create(noun, io);
  noun
    .command('list')
    .description('List tokens, without their secrets')
    .addHelpText('after', examples(['Ids only', 'rotunda token list -o name']))
    .action(
      action(io, ({ withClient, format }) =>
        withClient(async (client) => {
          printList(io, format, await client.list<TokenView>('/tokens'), view);
        }),
      ),
    );
  one(noun, io, 'get', 'GET', 'Show one token, without its secret');
  one(noun, io, 'revoke', 'DELETE', 'Revoke a token; certificates that it was given stay good');
}

function one(noun: Command, io: Io, verb: string, method: 'GET' | 'DELETE', description: string): void {
  noun
    .command(verb)
    .argument('<id>', 'the 6 characters before the dot')
    .description(description)
    .addHelpText('after', examples(['By its id', `rotunda token ${verb} abcdef`]))
    .action(
      action(io, ({ withClient, format, args: [id = ''] }) =>
        withClient(async (client) => {
          // A whole token pasted here would put its secret into a URL, and that into logs.
          if (id.includes('.')) throw localFailure('give the id only, the part before the dot');
          printObject(io, format, await client.json<TokenView>(method, `/tokens${pathOf(id)}`), view);
        }),
      ),
    );
}

type CreateFlags = {
  readonly node?: string;
  readonly address?: readonly string[];
  readonly dns?: readonly string[];
  readonly etcdMember?: string;
  readonly controlPlane?: string;
  readonly ttl?: string;
  readonly reusable?: true;
  readonly group?: readonly string[];
  readonly description?: string;
  readonly usage?: readonly string[];
  readonly printJoinCommand?: true;
};

function create(noun: Command, io: Io): void {
  noun
    .command('create')
    .description('Create a token and print it; bound to nothing, it serves nodes that are enrolled and expected')
    .addOption(new Option('--node <name>', 'bind to this node, and enrol it').conflicts(['etcdMember', 'controlPlane']))
    .option('--address <ip>', 'an address of the node; repeat for more', collect)
    .option('--dns <name>', 'a DNS name of the node beside its own; repeat for more', collect)
    .addOption(
      new Option('--etcd-member <cluster/name>', 'bind to this enrolled etcd member').conflicts([
        'node',
        'controlPlane',
      ]),
    )
    .addOption(
      new Option('--control-plane <name>', 'bind to this control-plane machine').conflicts(['node', 'etcdMember']),
    )
    .option('--ttl <duration>', 'lifetime such as 1h; 0s for none')
    .option('--reusable', 'do not use it up with its first certificate')
    .option('--group <group>', 'an extra group, system:bootstrappers:…; repeat for more', collect)
    .option('--description <text>', 'what it is for')
    .option('--usage <usage>', 'authentication, or signing (of cluster-info); repeat for both', collect)
    .addOption(
      new Option('--print-join-command', 'print the kubeadm join command for it; it signs cluster-info then').conflicts(
        ['etcdMember', 'controlPlane', 'usage'],
      ),
    )
    .addHelpText(
      'after',
      examples(
        ['A node that may join within the hour', 'rotunda token create --node n1 --address 10.0.0.11 --ttl 1h -o json'],
        ['The command that joins a node with kubeadm', 'rotunda token create --node n1 --print-join-command'],
        ['A member of an enrolled etcd cluster', 'rotunda token create --etcd-member main/m1 -o json'],
      ),
    )
    .action(
      action<CreateFlags>(io, ({ withClient, format, options }) =>
        withClient(async (client) => {
          const join = options.printJoinCommand === true;
          // Asked first: where nobody can join this way, no token is left behind.
          const discovery = join ? await client.json<DiscoveryView>('GET', '/discovery') : undefined;
          const created = await client.json<CreatedTokenView>('POST', '/tokens', { body: draftOf(options) });
          if (discovery === undefined) printObject(io, format, created, createdView);
          else printJoinCommand(io, format, { ...created, joinCommand: joinCommand(created.token, discovery) });
        }),
      ),
    );
}

/** As `kubeadm token create --print-join-command` prints it, with a pin for each anchor. */
export function joinCommand(token: string, { server, pins }: DiscoveryView): string {
  const hashes = pins.map((pin) => ` --discovery-token-ca-cert-hash ${pin}`).join('');
  const { hostname, port } = new URL(server);
  return `kubeadm join ${hostname}:${port === '' ? '443' : port} --token ${token}${hashes}`;
}

function printJoinCommand(io: Io, format: Format, created: CreatedTokenView & { joinCommand: string }): void {
  if (format === 'json' || format === 'yaml') printObject(io, format, created, createdView);
  else io.out(`${created.joinCommand}\n`);
}

/** Checked by the server. */
function usagesOf({ usage, printJoinCommand: join }: CreateFlags): readonly string[] | undefined {
  return join === true ? ['authentication', 'signing'] : usage;
}

function draftOf(flags: CreateFlags): Record<string, unknown> {
  const { node, address, dns, etcdMember, controlPlane, ttl, reusable, group, description } = flags;
  if (node === undefined && (address !== undefined || dns !== undefined)) {
    throw localFailure('--address and --dns belong to --node', { hints: ['give --node NAME'] });
  }
  return {
    ...(node === undefined ? {} : { node: { name: node, addresses: address ?? [], dnsNames: dns ?? [] } }),
    ...(etcdMember === undefined ? {} : { etcdMember: memberName(etcdMember) }),
    controlPlane,
    ttlSeconds: ttl === undefined ? undefined : seconds('--ttl', ttl),
    reusable,
    groups: group,
    usages: usagesOf(flags),
    description,
  };
}
