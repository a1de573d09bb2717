import type { Command } from 'commander';

import type { RotationEventView } from '../../api/rest/rotation-history.js';
import { count } from '../arguments.js';
import type { Io } from '../io.js';
import { printList } from '../output.js';
import { action, examples } from '../verb.js';
import { idText, pathOfRotation } from './pick.js';
import { eventTable } from './views.js';

export function eventsVerb(noun: Command, io: Io): void {
  noun
    .command('events')
    .argument('[id]', idText)
    .description('List what happened to a rotation, oldest first')
    .option('--limit <number>', 'the first so many')
    .addHelpText(
      'after',
      examples(
        ['Who did what', 'rotunda rotation events kubernetes-3'],
        ['As it happens', 'rotunda rotation status kubernetes-3 --watch | cat'],
      ),
    )
    .action(
      action<{ limit?: string }>(io, ({ withClient, format, options, args: [id] }) =>
        withClient(async (client) => {
          const path = `${await pathOfRotation(client, id)}/events`;
          printList(
            io,
            format,
            await client.list<RotationEventView>(path, {}, count('--limit', options.limit)),
            eventTable,
          );
        }),
      ),
    );
}
