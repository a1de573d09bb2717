import { readFileSync } from 'node:fs';

import type { Command } from 'commander';

import type { KeySetView } from '../api/rest/key-sets.js';
import { pathOf } from './client.js';
import { localFailure } from './failure.js';
import type { Io } from './io.js';
import { printList, printObject, type View } from './output.js';
import { action, examples } from './verb.js';

const view: View<KeySetView> = {
  kind: 'keyset',
  name: (set) => set.ring,
  columns: [
    { title: 'RING', value: (set) => set.ring },
    { title: 'GENERATION', value: (set) => String(set.generation) },
    { title: 'KEYS', value: (set) => String(set.keys.length) },
    { title: 'ACTIVE', value: (set) => set.active },
    { title: 'DIGEST', wide: true, value: (set) => set.digest },
  ],
};

export function keysetNoun(program: Command, io: Io): void {
  const noun = program
    .command('keyset')
    .description("Rings of keys that sign tokens, such as the cluster's service accounts");
  noun
    .command('create')
    .argument('<ring>')
    .description('Begin a ring with the key that signs now; its private half stays where it is')
    .requiredOption('--public-key <file>', 'the public key, PEM')
    .addHelpText(
      'after',
      examples(
        [
          'From the key pair that kubeadm made',
          'rotunda keyset create service-account --public-key /etc/kubernetes/pki/sa.pub',
        ],
        ['The next key', 'rotunda rotation start service-account --public-key next.pub --reason "yearly"'],
      ),
    )
    .action(
      action<{ publicKey: string }>(io, ({ withClient, format, options, args: [ring = ''] }) =>
        withClient(async (client) => {
          const body = { ring, publicKey: readKey(options.publicKey) };
          printObject(io, format, await client.json<KeySetView>('POST', '/keysets', { body }), view);
        }),
      ),
    );
  noun
    .command('list')
    .description('List rings of signing keys')
    .addHelpText('after', examples(['All of them', 'rotunda keyset list']))
    .action(
      action(io, ({ withClient, format }) =>
        withClient(async (client) => {
          printList(io, format, await client.list<KeySetView>('/keysets'), view);
        }),
      ),
    );
  getVerb(noun, io);
}

function getVerb(noun: Command, io: Io): void {
  noun
    .command('get')
    .argument('<ring>')
    .description('Show one ring, or what it publishes')
    .option('--jwks', 'the JSON Web Key Set')
    .addHelpText(
      'after',
      examples(
        ['For --service-account-key-file of an API server', 'rotunda keyset get service-account -o pem > sa.pub'],
        ['For a relying party', 'rotunda keyset get service-account --jwks'],
      ),
    )
    .action(
      action<{ jwks?: boolean }>(io, ({ withClient, format, options, args: [ring = ''] }) =>
        withClient(async (client) => {
          const path = `/keysets${pathOf(ring)}`;
          if (options.jwks === true) io.out(`${(await client.send('GET', `${path}/jwks`, { accept: '*/*' })).text}\n`);
          else if (options.output === 'pem') io.out((await client.send('GET', `${path}/pem`, { accept: '*/*' })).text);
          else printObject(io, format, await client.json<KeySetView>('GET', path), view);
        }),
      ),
    );
}

/** A public key from a file. Throws a local failure. */
export function readKey(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw localFailure(`cannot read ${file}: ${(error as Error).message}`);
  }
}
