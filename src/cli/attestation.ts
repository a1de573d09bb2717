import { type Command, Option } from 'commander';

import type { AttestationView } from '../api/rest/attestations.js';
import { count, seconds } from './arguments.js';
import { pathOf } from './client.js';
import type { Io } from './io.js';
import { printList, printObject, until, type View } from './output.js';
import { action, examples } from './verb.js';

const view: View<AttestationView> = {
  kind: 'attestation',
  name: ({ id }) => id,
  columns: [
    { title: 'ID', value: ({ id }) => id },
    { title: 'RING', value: ({ ring }) => ring },
    { title: 'ABOUT', value: ({ class: of, consumer }) => consumer ?? of },
    {
      title: 'STATEMENT',
      value: ({ statement, generation }) =>
        generation === undefined ? statement : `${statement} ${String(generation)}`,
    },
    { title: 'STATE', value: ({ state }) => state },
    { title: 'BY', value: ({ by }) => by },
    { title: 'EXPIRES IN', value: ({ expiresAt }) => until(expiresAt) },
    { title: 'REASON', wide: true, value: ({ reason }) => reason },
  ],
};

export function attestationNoun(program: Command, io: Io): void {
  const noun = program.command('attestation').description('What people answer for in place of evidence');
  create(noun, io);
  list(noun, io);
  one(noun, io, 'get', 'GET', 'Show one attestation');
  one(noun, io, 'revoke', 'DELETE', 'Take an attestation back');
}

type CreateFlags = {
  readonly ring: string;
  readonly class?: string;
  readonly consumer?: string;
  readonly statement: string;
  readonly generation?: string;
  readonly ttl?: string;
  readonly reason: string;
};

function create(noun: Command, io: Io): void {
  noun
    .command('create')
    .description('Answer by name, until a day, for what cannot be seen')
    .requiredOption('--ring <ring>', 'the ring whose certificates are verified')
    .addOption(new Option('--class <class>', 'about all of a class, such as pod').conflicts('consumer'))
    .addOption(new Option('--consumer <class/name>', 'about one consumer').conflicts('class'))
    .addOption(
      new Option('--statement <what>', 'what you answer for')
        .choices(['absent', 'loaded', 'streams-ended'])
        .makeOptionMandatory(),
    )
    .option('--generation <number>', 'for loaded: which bundle')
    .option('--ttl <duration>', 'until when; default 30d, at most 365d')
    .requiredOption('--reason <text>', 'what you have looked at')
    .addHelpText(
      'after',
      examples(
        [
          'There are no aggregated API servers',
          "rotunda attestation create --ring front-proxy --class extension-apiserver --statement absent --reason 'none in this cluster'",
        ],
        [
          'All kubeconfigs were given out anew',
          "rotunda attestation create --ring kubernetes --class kubeconfig --statement loaded --generation 2 --reason 'rolled out with the laptops' --ttl 14d",
        ],
        [
          'All watches were ended',
          "rotunda attestation create --ring kubernetes --class kube-apiserver --statement streams-ended --reason 'restarted all three'",
        ],
      ),
    )
    .action(
      action<CreateFlags>(io, ({ withClient, format, options }) =>
        withClient(async (client) => {
          const { ring, class: of, consumer, statement, generation, ttl, reason } = options;
          const body = {
            ...{ ring, class: of, consumer, statement, reason },
            generation: count('--generation', generation),
            ttlSeconds: ttl === undefined ? undefined : seconds('--ttl', ttl),
          };
          printObject(io, format, await client.json<AttestationView>('POST', '/attestations', { body }), view);
        }),
      ),
    );
}

type ListFlags = { readonly ring?: string; readonly state?: string };

function list(noun: Command, io: Io): void {
  noun
    .command('list')
    .description('List attestations, also those that are over')
    .option('--ring <ring>', 'only those of this ring')
    .addOption(new Option('--state <state>', 'only those in this state').choices(['live', 'expired', 'revoked']))
    .addHelpText('after', examples(['What somebody answers for now', 'rotunda attestation list --state live -o wide']))
    .action(
      action<ListFlags>(io, ({ withClient, format, options: { ring, state } }) =>
        withClient(async (client) => {
          printList(io, format, await client.list<AttestationView>('/attestations', { ring, state }), view);
        }),
      ),
    );
}

function one(noun: Command, io: Io, verb: string, method: 'GET' | 'DELETE', description: string): void {
  noun
    .command(verb)
    .argument('<id>')
    .description(description)
    .addHelpText('after', examples(['By its id', `rotunda attestation ${verb} 6b1f9c3e-5f0a-4d53-9a51-0c8e5a4b7d21`]))
    .action(
      action(io, ({ withClient, format, args: [id = ''] }) =>
        withClient(async (client) => {
          printObject(io, format, await client.json<AttestationView>(method, `/attestations${pathOf(id)}`), view);
        }),
      ),
    );
}
