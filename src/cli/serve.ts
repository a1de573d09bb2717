import { type Command, Option } from 'commander';

import type { Io } from './io.js';
import { action, examples } from './verb.js';

type ServeFlags = { readonly listen?: string; readonly config?: string; readonly renewAdmin?: boolean };

export function serveNoun(program: Command, io: Io): void {
  program
    .command('serve')
    .description(
      'Run the service until SIGTERM; makes its database, rings, keys and admin.kubeconfig when they are not there',
    )
    .addOption(new Option('--listen <address>', 'HOST:PORT to listen on; default :8443').env('ROTUNDA_LISTEN'))
    .addOption(new Option('--config <file>', 'configuration file').env('ROTUNDA_CONFIG'))
    .addOption(
      new Option('--renew-admin', "write a new admin.kubeconfig, when the old one's certificate is lost or expired"),
    )
    .addHelpText(
      'after',
      examples(
        ['Start with everything in one directory', 'rotunda serve --data-dir /var/lib/rotunda --listen 0.0.0.0:8443'],
        ['Get back in after the admin certificate was lost', 'rotunda serve --data-dir /var/lib/rotunda --renew-admin'],
      ),
    )
    .action(
      action<ServeFlags>(io, async ({ options }) => {
        // Only this command needs the whole service; all others start faster without.
        const { serve } = await import('../service/serve.js');
        await serve({
          ...(options.config === undefined ? {} : { configFile: options.config }),
          ...(options.dataDir === undefined ? {} : { dataDir: options.dataDir }),
          ...(options.listen === undefined ? {} : { listen: options.listen }),
          ...(options.renewAdmin === undefined ? {} : { renewAdmin: options.renewAdmin }),
        });
      }),
    );
}
