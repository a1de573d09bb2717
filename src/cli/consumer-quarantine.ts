import type { Command } from 'commander';

import type { BlastRadiusView } from '../api/rest/acknowledgements.js';
import { pathOf } from './client.js';
import type { Io } from './io.js';
import { printable, printObject, until, type View } from './output.js';
import { action, examples } from './verb.js';

const view: View<BlastRadiusView> = {
  kind: 'consumer',
  name: (radius) => radius.consumer,
  columns: [],
};

type Flags = { readonly reason: string; readonly dryRun?: true };

const mostShown = 10;

export function quarantineVerb(noun: Command, io: Io): void {
  noun
    .command('quarantine')
    .argument('<class/name>')
    .description('Leave a consumer behind: rotations do not wait for it, and it gets no renewal')
    .requiredOption('--reason <text>', 'why, for the record')
    .option('--dry-run', 'show what it breaks, and change nothing')
    .addHelpText(
      'after',
      examples(
        ['What it would break', "rotunda consumer quarantine kubelet/worker-1 --reason 'disk dead' --dry-run"],
        ['Do it', "rotunda consumer quarantine kubelet/worker-1 --reason 'disk dead'"],
      ),
    )
    .action(
      action<Flags>(io, ({ withClient, format, options: { reason, dryRun }, args: [name = ''] }) =>
        withClient(async (client) => {
          const path = `/consumers${pathOf(name)}/quarantine`;
          const body = { reason, dryRun: dryRun === true };
          const radius = await client.json<BlastRadiusView>('POST', path, { body });
          if (format === 'table' || format === 'wide') io.out(textOf(radius));
          else printObject(io, format, radius, view);
          io.err(dryRun === true ? `nothing was changed\n` : `quarantined ${name}\n`);
        }),
      ),
    );
}

function textOf({ breaks, leaves, moreLeaves }: BlastRadiusView): string {
  const shown = leaves.slice(0, mostShown);
  const rest = leaves.length > shown.length || moreLeaves;
  return [
    ...breaks.map((sentence) => `- ${sentence}`),
    ...shown.map(({ serial, profile, notAfter }) => `  ${serial} ${profile}, ends in ${until(notAfter)}`),
    ...(rest ? ['  and more'] : []),
  ]
    .map((line) => `${printable(line)}\n`)
    .join('');
}
