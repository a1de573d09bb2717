import type { Command } from 'commander';

import type { RingView } from '../api/rest/rings.js';
import { pathOf } from './client.js';
import type { Io } from './io.js';
import { printList, printObject, type View } from './output.js';
import { action, examples } from './verb.js';

const view: View<RingView> = {
  kind: 'ring',
  name: (ring) => ring.name,
  columns: [
    { title: 'NAME', value: (ring) => ring.name },
    { title: 'GENERATION', value: (ring) => String(ring.generation) },
    { title: 'SUBJECT', value: (ring) => ring.subject },
    { title: 'AUTHORITY', wide: true, value: (ring) => ring.activeAuthority },
    { title: 'EPOCH', wide: true, value: (ring) => String(ring.epoch) },
  ],
};

export function ringNoun(program: Command, io: Io): void {
  const noun = program.command('ring').description('Trust domains');
  noun
    .command('list')
    .description('List rings')
    .addHelpText('after', examples(['All rings with their signing authorities', 'rotunda ring list -o wide']))
    .action(
      action(io, ({ withClient, format }) =>
        withClient(async (client) => {
          printList(io, format, await client.list<RingView>('/rings'), view);
        }),
      ),
    );
  noun
    .command('get')
    .argument('<ring>')
    .description('Show one ring')
    .addHelpText('after', examples(['The ring of etcd', 'rotunda ring get etcd -o json']))
    .action(
      action(io, ({ withClient, format, args: [ring = ''] }) =>
        withClient(async (client) => {
          printObject(io, format, await client.json<RingView>('GET', `/rings${pathOf(ring)}`), view);
        }),
      ),
    );
}
