import type { Command } from 'commander';

import type { CertificateView } from '../api/rest/certificate-view.js';
import { certificateView } from './cert-view.js';
import { pathOf } from './client.js';
import type { Io } from './io.js';
import { printObject } from './output.js';
import { action, examples } from './verb.js';

export function supersedeVerb(noun: Command, io: Io): void {
  noun
    .command('supersede')
    .argument('<serial>', 'hex, with or without colons')
    .description('Say that nothing presents a certificate any more; it stays valid and keeps no rotation waiting')
    .requiredOption('--reason <text>', 'how that is known, for the record')
    .addHelpText(
      'after',
      examples([
        'A machine that is gone for good',
        'rotunda cert supersede SERIAL --reason "scrapped in March, ticket 4711"',
      ]),
    )
    .action(
      action<{ reason: string }>(io, ({ withClient, format, options: { reason }, args: [serial = ''] }) =>
        withClient(async (client) => {
          const path = `/certificates${pathOf(serial)}/supersede`;
          printObject(
            io,
            format,
            await client.json<CertificateView>('POST', path, { body: { reason } }),
            certificateView,
          );
        }),
      ),
    );
}
