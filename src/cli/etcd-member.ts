import type { Command } from 'commander';

import type { EtcdMemberView } from '../api/rest/etcd-members.js';
import { memberName } from './arguments.js';
import { pathOf } from './client.js';
import type { Io } from './io.js';
import { joined, printList, printObject, type View } from './output.js';
import { action, collect, examples } from './verb.js';

const view: View<EtcdMemberView> = {
  kind: 'etcd-member',
  name: (member) => `${member.cluster}/${member.name}`,
  columns: [
    { title: 'CLUSTER', value: (member) => member.cluster },
    { title: 'NAME', value: (member) => member.name },
    { title: 'STATE', value: (member) => member.state },
    { title: 'PEER URLS', value: (member) => joined(member.peerUrls) },
    { title: 'CLIENT URLS', value: (member) => joined(member.clientUrls) },
    { title: 'ADDRESSES', wide: true, value: (member) => joined(member.addresses) },
    { title: 'DNS NAMES', wide: true, value: (member) => joined(member.dnsNames) },
  ],
};

type FactFlags = {
  readonly peerUrl?: readonly string[];
  readonly clientUrl?: readonly string[];
  readonly address?: readonly string[];
  readonly dns?: readonly string[];
};

export function memberCommands(noun: Command, io: Io): void {
  const member = noun.command('member').description('Members of etcd clusters');
  member
    .command('list')
    .argument('<cluster>')
    .description('List the members of an etcd cluster')
    .addHelpText(
      'after',
      examples(['With the names that their certificates may carry', 'rotunda etcd member list main -o wide']),
    )
    .action(
      action(io, ({ withClient, format, args: [cluster = ''] }) =>
        withClient(async (client) => {
          printList(io, format, await client.list<EtcdMemberView>(`/etcd-clusters${pathOf(cluster)}/members`), view);
        }),
      ),
    );
  write(member, io, 'create', 'Enrol a member');
  write(member, io, 'update', 'Replace the URLs, addresses or DNS names of a member: those that are given');
  one(member, io, 'get', 'Show one member');
  one(member, io, 'delete', 'Remove a member and ban its certificates');
}

function write(noun: Command, io: Io, verb: 'create' | 'update', description: string): void {
  noun
    .command(verb)
    .argument('<cluster/name>')
    .description(description)
    .option('--peer-url <url>', 'where other members reach it; repeat for more', collect)
    .option('--client-url <url>', 'where clients reach it; repeat for more', collect)
    .option('--address <ip>', 'an address beside those of the URLs; repeat for more', collect)
    .option('--dns <name>', 'a DNS name beside those of the URLs; repeat for more', collect)
    .addHelpText(
      'after',
      examples([
        'With both URLs',
        `rotunda etcd member ${verb} main/m1 --peer-url https://10.0.0.21:2380 --client-url https://10.0.0.21:2379`,
      ]),
    )
    .action(
      action<FactFlags>(io, ({ withClient, format, options, args: [text = ''] }) =>
        withClient(async (client) => {
          const { cluster, name } = memberName(text);
          const { peerUrl, clientUrl, address, dns } = options;
          const members = `/etcd-clusters${pathOf(cluster)}/members`;
          const facts = { addresses: address, dnsNames: dns };
          const member =
            verb === 'create'
              ? await client.json<EtcdMemberView>('POST', members, {
                  body: { name, peerUrls: peerUrl ?? [], clientUrls: clientUrl ?? [], ...facts },
                })
              : await client.json<EtcdMemberView>('PATCH', members + pathOf(name), {
                  body: { peerUrls: peerUrl, clientUrls: clientUrl, ...facts },
                });
          printObject(io, format, member, view);
        }),
      ),
    );
}

function one(noun: Command, io: Io, verb: 'get' | 'delete', description: string): void {
  noun
    .command(verb)
    .argument('<cluster/name>')
    .description(description)
    .addHelpText('after', examples(['By its name', `rotunda etcd member ${verb} main/m1`]))
    .action(
      action(io, ({ withClient, format, args: [text = ''] }) =>
        withClient(async (client) => {
          const { cluster, name } = memberName(text);
          const path = `/etcd-clusters${pathOf(cluster)}/members${pathOf(name)}`;
          if (verb === 'get') printObject(io, format, await client.json<EtcdMemberView>('GET', path), view);
          else {
            await client.send('DELETE', path);
            io.err(`removed etcd member ${cluster}/${name} and banned its certificates\n`);
          }
        }),
      ),
    );
}
