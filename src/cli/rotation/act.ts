import type { Command } from 'commander';

import type { RotationView } from '../../api/rest/rotation-views.js';
import { count } from '../arguments.js';
import type { Io } from '../io.js';
import { printObject } from '../output.js';
import { action, examples } from '../verb.js';
import { printPlan } from './plan.js';
import { idText, pathOfRotation } from './pick.js';
import { rotationTable } from './views.js';

type Flags = { readonly reason?: string; readonly ifVersion?: string; readonly dryRun?: true; readonly yes?: true };

const orders = [
  {
    verb: 'advance',
    description:
      'Allow the present state to be left, where a person has to say so; no other gate opens, but an emergency waits no longer',
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
    if (verb === 'advance') command.option('--yes', 'in an emergency: whoever has not followed may be left behind now');
    if (verb === 'rollback') command.option('--dry-run', 'print the way back, and do nothing');
    command.addHelpText('after', examples(example)).action(
      action<Flags>(io, ({ withClient, format, options: { reason, ifVersion, dryRun, yes }, args: [id] }) =>
        withClient(async (client) => {
          if (dryRun === true) {
            await printPlan(io, format, client, { id, rollback: true });
            return;
          }
          const path = await pathOfRotation(client, id);
          const confirm = yes === true ? (await client.json<RotationView>('GET', path)).ring : undefined;
          const body = { reason, version: count('--if-version', ifVersion), confirm };
          printObject(io, format, await client.json<RotationView>('POST', `${path}/${verb}`, { body }), rotationTable);
        }),
      ),
    );
  }
}
