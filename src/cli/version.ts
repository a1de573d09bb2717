import type { Command } from 'commander';

import type { Io } from './io.js';
import { printObject, type View } from './output.js';
import { action, examples } from './verb.js';

type Version = { readonly version: string; readonly node: string };

const view: View<Version> = {
  kind: 'version',
  name: ({ version }) => version,
  columns: [
    { title: 'ROTUNDA', value: ({ version }) => version },
    { title: 'NODE', value: ({ node }) => node },
  ],
};

export function versionNoun(program: Command, io: Io): void {
  program
    .command('version')
    .description('Print the version of this program and of Node')
    .addHelpText('after', examples(['For a bug report', 'rotunda version -o yaml']))
    .action(
      action(io, async ({ format }) => {
        await Promise.resolve();
        printObject(io, format, { version: program.version() ?? 'unknown', node: process.version }, view);
      }),
    );
}
