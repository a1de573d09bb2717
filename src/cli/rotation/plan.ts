import type { Command } from 'commander';

import type { Client } from '../client.js';
import type { Io } from '../io.js';
import type { Format } from '../output.js';
import { action, examples } from '../verb.js';
import { isDocument, printDocument } from './documents.js';
import { idText, pathOfRotation } from './pick.js';

export function planVerb(noun: Command, io: Io): void {
  noun
    .command('plan')
    .argument('[id]', idText)
    .description('Show what a rotation still has to do: steps, restarts, what is in the way, and until when')
    .option('--rollback', 'the way back instead')
    .addHelpText(
      'after',
      examples(
        ['Of the one that runs', 'rotunda rotation plan'],
        ['What turning back would do', 'rotunda rotation plan kubernetes-3 --rollback'],
      ),
    )
    .action(
      action<{ rollback?: true }>(io, ({ withClient, format, options: { rollback }, args: [id] }) =>
        withClient(async (client) => {
          await printPlan(io, format, client, { id, rollback: rollback === true });
        }),
      ),
    );
}

/** The way on of a rotation, or its way back. */
export async function printPlan(
  io: Io,
  format: Format,
  client: Client,
  { id, rollback }: { readonly id: string | undefined; readonly rollback: boolean },
): Promise<void> {
  const data = isDocument(format);
  const path = `${await pathOfRotation(client, id)}/plan`;
  const query = { rollback: rollback ? 'true' : undefined };
  if (data) printDocument(io, format, await client.json('GET', path, { query }));
  else io.out((await client.send('GET', path, { query, accept: 'text/plain' })).text);
}
