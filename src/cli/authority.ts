import type { Command } from 'commander';

import type { AuthorityView } from '../api/rest/authorities.js';
import { pathOf } from './client.js';
import type { Io } from './io.js';
import { printList, printObject, until, type View } from './output.js';
import { action, examples } from './verb.js';

const view: View<AuthorityView> = {
  kind: 'authority',
  name: (authority) => authority.ski,
  columns: [
    { title: 'SKI', value: (authority) => authority.ski },
    { title: 'RING', value: (authority) => authority.ring },
    { title: 'STATE', value: (authority) => (authority.tainted ? `${authority.state} (tainted)` : authority.state) },
    { title: 'KEY', value: (authority) => authority.keyType },
    { title: 'EXPIRES IN', value: (authority) => until(lastDay(authority)) },
    { title: 'SUBJECT', wide: true, value: (authority) => authority.subject },
  ],
};

export function authorityNoun(program: Command, io: Io): void {
  const noun = program.command('authority').description('CA generations of the rings');
  noun
    .command('list')
    .description('List authorities')
    .option('--ring <ring>', 'only those of this ring')
    .addHelpText('after', examples(['The authorities of etcd', 'rotunda authority list --ring etcd']))
    .action(
      action<{ ring?: string }>(io, ({ withClient, format, options: { ring } }) =>
        withClient(async (client) => {
          printList(io, format, await client.list<AuthorityView>('/authorities', { ring }), view);
        }),
      ),
    );
  noun
    .command('get')
    .argument('<ski>', 'subject key identifier, hex')
    .description('Show one authority')
    .addHelpText('after', examples(['Its certificate', 'rotunda authority get SKI -o pem | openssl x509 -text -noout']))
    .action(
      action(io, ({ withClient, format, options, args: [ski = ''] }) =>
        withClient(async (client) => {
          const path = `/authorities${pathOf(ski)}`;
          if (options.output === 'pem')
            io.out((await client.send('GET', path, { accept: 'application/pem-certificate-chain' })).text);
          else printObject(io, format, await client.json<AuthorityView>('GET', path), view);
        }),
      ),
    );
}

function lastDay(authority: AuthorityView): string | undefined {
  return authority.certificates
    .map(({ notAfter }) => notAfter)
    .sort()
    .at(-1);
}
