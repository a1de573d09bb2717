import type { Command } from 'commander';

import type { RotationView } from '../../api/rest/rotation-views.js';
import { count } from '../arguments.js';
import type { Io } from '../io.js';
import { printList } from '../output.js';
import { action, examples } from '../verb.js';
import { rotationTable } from './views.js';

type Flags = { readonly ring?: string; readonly running?: true; readonly limit?: string };

export function listVerb(noun: Command, io: Io): void {
  noun
    .command('list')
    .description('List rotations, newest first')
    .option('--ring <ring>', 'only those of this ring')
    .option('--running', 'only those that are not over')
    .option('--limit <number>', 'at most so many')
    .addHelpText(
      'after',
      examples(
        ['What is going on', 'rotunda rotation list --running'],
        ['Who replaced what, and why', 'rotunda rotation list --ring kubernetes -o wide'],
      ),
    )
    .action(
      action<Flags>(io, ({ withClient, format, options: { ring, running, limit } }) =>
        withClient(async (client) => {
          const query = { ring, running: running === true ? 'true' : undefined };
          printList(
            io,
            format,
            await client.list<RotationView>('/rotations', query, count('--limit', limit)),
            rotationTable,
          );
        }),
      ),
    );
}
