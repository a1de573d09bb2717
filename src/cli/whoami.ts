import type { Command } from 'commander';

import type { WhoamiView } from '../api/rest/whoami.js';
import type { Io } from './io.js';
import { joined, printObject, type View } from './output.js';
import { action, examples } from './verb.js';

const view: View<WhoamiView> = {
  kind: 'user',
  name: (caller) => caller.username,
  columns: [
    { title: 'USERNAME', value: (caller) => caller.username },
    { title: 'KIND', value: (caller) => caller.kind },
    { title: 'RING', value: (caller) => caller.ring },
    { title: 'ROLES', value: (caller) => joined(caller.roles) },
    { title: 'GROUPS', wide: true, value: (caller) => joined(caller.groups) },
  ],
};

export function whoamiNoun(program: Command, io: Io): void {
  program
    .command('whoami')
    .description('Show the caller as the service sees it')
    .addHelpText('after', examples(['Which groups does this credential have?', 'rotunda whoami -o wide']))
    .action(
      action(io, ({ withClient, format }) =>
        withClient(async (client) => {
          printObject(io, format, await client.json<WhoamiView>('GET', '/whoami'), view);
        }),
      ),
    );
}
