import type { Command } from 'commander';

import type { RotationView } from '../../api/rest/rotation-views.js';
import { count } from '../arguments.js';
import type { Io } from '../io.js';
import { printObject } from '../output.js';
import { action, examples } from '../verb.js';
import { printPlan } from './plan.js';
import { idText, pathOfRotation } from './pick.js';
import { rotationTable } from './views.js';

type Flags = { readonly reason?: string; readonly ifVersion?: string; readonly dryRun?: true };

const orders = [
  {
    verb: 'advance',
    description: 'Allow the present state to be left, where a person has to say so; every other gate stays shut',
    example: ['The old authority may be distrusted now', 'rotunda rotation advance --reason "backups were tested"'],
  },
  {
    verb: 'pause',
    description: 'Keep a rotation where it is; what is issued and served goes on',
    example: ['While something else is being looked into', 'rotunda rotation pause kubernetes --reason "ticket 4711"'],
  },
  {
    verb: 'resume',
    description: 'Let a paused rotation go on',
    example: ['All is well again', 'rotunda rotation resume kubernetes'],
  },
  {
    verb: 'rollback',
    description: 'Turn back to the old authority; works until its key is erased, and never in an emergency',
    example: ['The new one is not taken everywhere', 'rotunda rotation rollback kubernetes-3 --reason "old firmware"'],
  },
] as const;

/** What a person tells a rotation. */
export function orderVerbs(noun: Command, io: Io): void {
  for (const { verb, description, example } of orders) {
    const command = noun
      .command(verb)
      .argument('[id]', idText)
      .description(description)
      .option('--reason <text>', 'why, for the record')
      .option('--if-version <number>', 'only where the rotation is still of this version');
    if (verb === 'rollback') command.option('--dry-run', 'print the way back, and do nothing');
    command.addHelpText('after', examples(example)).action(
      action<Flags>(io, ({ withClient, format, options: { reason, ifVersion, dryRun }, args: [id] }) =>
        withClient(async (client) => {
          if (dryRun === true) {
            await printPlan(io, format, client, { id, rollback: true });
            return;
          }
          const body = { reason, version: count('--if-version', ifVersion) };
          const path = `${await pathOfRotation(client, id)}/${verb}`;
          printObject(io, format, await client.json<RotationView>('POST', path, { body }), rotationTable);
        }),
      ),
    );
  }
}
