import type { Command } from 'commander';

import type { EtcdClusterView } from '../api/rest/etcd-clusters.js';
import { pathOf } from './client.js';
import type { Io } from './io.js';
import { age, joined, printList, printObject, type View } from './output.js';
import { action, collect, examples } from './verb.js';

const view: View<EtcdClusterView> = {
  kind: 'etcd-cluster',
  name: (cluster) => cluster.name,
  columns: [
    { title: 'NAME', value: (cluster) => cluster.name },
    { title: 'CLIENT NAMES', value: (cluster) => joined(cluster.clientNames) },
    { title: 'AGE', value: (cluster) => age(cluster.createdAt) },
  ],
};

export function clusterCommands(noun: Command, io: Io): void {
  const cluster = noun.command('cluster').description('etcd clusters');
  cluster
    .command('list')
    .description('List etcd clusters')
    .addHelpText('after', examples(['All of them', 'rotunda etcd cluster list']))
    .action(
      action(io, ({ withClient, format }) =>
        withClient(async (client) => {
          printList(io, format, await client.list<EtcdClusterView>('/etcd-clusters'), view);
        }),
      ),
    );
  write(cluster, io, 'create', 'Enrol an etcd cluster');
  write(cluster, io, 'update', 'Replace the client names of an etcd cluster');
  one(cluster, io, 'get', 'Show one etcd cluster');
  one(cluster, io, 'delete', 'Delete an etcd cluster that has no members');
}

function write(noun: Command, io: Io, verb: 'create' | 'update', description: string): void {
  noun
    .command(verb)
    .argument('<name>')
    .description(description)
    .option('--client-name <name>', 'a common name that client certificates may carry; repeat for more', collect)
    .addHelpText(
      'after',
      examples([
        'With the API server as its client',
        `rotunda etcd cluster ${verb} main --client-name kube-apiserver-etcd-client`,
      ]),
    )
    .action(
      action<{ clientName?: readonly string[] }>(
        io,
        ({ withClient, format, options: { clientName }, args: [name = ''] }) =>
          withClient(async (client) => {
            const cluster =
              verb === 'create'
                ? await client.json<EtcdClusterView>('POST', '/etcd-clusters', {
                    body: { name, clientNames: clientName },
                  })
                : await client.json<EtcdClusterView>('PATCH', `/etcd-clusters${pathOf(name)}`, {
                    body: { clientNames: clientName ?? [] },
                  });
            printObject(io, format, cluster, view);
          }),
      ),
    );
}

function one(noun: Command, io: Io, verb: 'get' | 'delete', description: string): void {
  noun
    .command(verb)
    .argument('<name>')
    .description(description)
    .addHelpText('after', examples(['By its name', `rotunda etcd cluster ${verb} main`]))
    .action(
      action(io, ({ withClient, format, args: [name = ''] }) =>
        withClient(async (client) => {
          const path = `/etcd-clusters${pathOf(name)}`;
          if (verb === 'get') printObject(io, format, await client.json<EtcdClusterView>('GET', path), view);
          else {
            await client.send('DELETE', path);
            io.err(`deleted etcd cluster ${name}\n`);
          }
        }),
      ),
    );
}
