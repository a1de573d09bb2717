import { type Command, Option } from 'commander';

import type { ConsumerView } from '../api/rest/consumers.js';
import { count, seconds } from './arguments.js';
import { pathOf } from './client.js';
import { acknowledgeVerb } from './consumer-acknowledge.js';
import { quarantineVerb } from './consumer-quarantine.js';
import { consumerColumns } from './consumer-view.js';
import type { Io } from './io.js';
import { printList, printObject } from './output.js';
import { action, collect, examples } from './verb.js';

export function consumerNoun(program: Command, io: Io): void {
  const noun = program
    .command('consumer')
    .description('Who presents and verifies certificates, and what each has loaded');
  list(noun, io);
  one(noun, io, 'get', 'Show one consumer', 'rotunda consumer get kubelet/worker-1 -o yaml');
  register(noun, io);
  acknowledgeVerb(noun, io);
  quarantineVerb(noun, io);
  one(
    noun,
    io,
    'unquarantine',
    'Wait for a consumer again, once it has shown that it holds the current bundles',
    'rotunda consumer unquarantine kubelet/worker-1',
  );
  one(
    noun,
    io,
    'delete',
    'Forget a consumer that holds no live certificate',
    'rotunda consumer delete etcd-client/backup',
  );
}

type ListFlags = { readonly ring?: string; readonly class?: string; readonly state?: string; readonly limit?: string };

function list(noun: Command, io: Io): void {
  noun
    .command('list')
    .description('List consumers')
    .option('--ring <ring>', 'only those that have to do with this ring')
    .option('--class <class>', 'only those of this class, such as kubelet')
    .addOption(
      new Option('--state <state>', 'only consumers in this state').choices(['live', 'silent', 'quarantined', 'gone']),
    )
    .option('--limit <count>', 'at most so many')
    .addHelpText(
      'after',
      examples(
        ['What every kubelet has loaded', 'rotunda consumer list --ring kubernetes --class kubelet'],
        ['Who says nothing any more', 'rotunda consumer list --state silent -o wide'],
      ),
    )
    .action(
      action<ListFlags>(io, ({ withClient, format, options: { ring, class: of, state, limit } }) =>
        withClient(async (client) => {
          const query = { ring, class: of, state };
          const items = await client.list<ConsumerView>('/consumers', query, count('--limit', limit));
          printList(io, format, items, consumerColumns);
        }),
      ),
    );
}

function one(
  noun: Command,
  io: Io,
  verb: 'get' | 'unquarantine' | 'delete',
  description: string,
  example: string,
): void {
  noun
    .command(verb)
    .argument('<class/name>')
    .description(description)
    .addHelpText('after', examples(['By its name', example]))
    .action(
      action(io, ({ withClient, format, args: [name = ''] }) =>
        withClient(async (client) => {
          const path = `/consumers${pathOf(name)}`;
          if (verb === 'delete') {
            await client.send('DELETE', path);
            io.err(`deleted consumer ${name}\n`);
            return;
          }
          const asked =
            verb === 'get'
              ? client.json<ConsumerView>('GET', path)
              : client.json<ConsumerView>('POST', `${path}/unquarantine`, { body: {} });
          printObject(io, format, await asked, consumerColumns);
        }),
      ),
    );
}

type RegisterFlags = {
  readonly node?: string;
  readonly endpoint?: readonly string[];
  readonly verifies?: readonly string[];
  readonly presents?: readonly string[];
  readonly software?: string;
  readonly algorithm?: readonly string[];
  readonly lease?: string;
  readonly forgetProcess?: true;
};

function register(noun: Command, io: Io): void {
  noun
    .command('register')
    .argument('<class/name>')
    .description('Register a consumer, or change one: what is left out stays')
    .option('--node <name>', 'the machine that it runs on, whose node may report for it')
    .option('--endpoint <host:port>', 'where it can be probed; repeat for more', collect)
    .option('--verifies <ring>', 'a ring that it verifies, where its class does not say so; repeat for more', collect)
    .option('--presents <ring>', 'a ring that it presents in; repeat for more', collect)
    .option('--software <text>', "program and version, such as 'kubelet 1.36.3'")
    .option('--algorithm <key-type>', 'a key type that it verifies, such as ed25519; repeat for more', collect)
    .option('--lease <duration>', 'without a word for as long it is silent')
    .option('--forget-process', 'forget its present process, where its clock was far ahead')
    .addHelpText(
      'after',
      examples(
        [
          'An API server that can be probed',
          "rotunda consumer register kube-apiserver/cp-1 --endpoint 10.0.0.11:6443 --software 'kube-apiserver 1.36.3'",
        ],
        ['A program of no built-in class', 'rotunda consumer register mesh/gateway --verifies etcd --lease 10m'],
      ),
    )
    .action(
      action<RegisterFlags>(io, ({ withClient, format, options, args: [name = ''] }) =>
        withClient(async (client) => {
          const { node, endpoint, verifies, presents, software, algorithm, lease, forgetProcess } = options;
          const body = {
            ...{ name, node, software, forgetProcess },
            endpoints: endpoint,
            algorithms: algorithm,
            leaseSeconds: lease === undefined ? undefined : seconds('--lease', lease),
            rings: rolesOf(verifies, presents),
          };
          printObject(io, format, await client.json<ConsumerView>('POST', '/consumers', { body }), consumerColumns);
        }),
      ),
    );
}

type Role = { readonly ring: string; readonly verifies?: true; readonly presents?: true };

/** Says nothing of what was not asked for: that stays. */
function rolesOf(verifies: readonly string[] = [], presents: readonly string[] = []): Role[] | undefined {
  const rings = [...new Set([...verifies, ...presents])];
  if (rings.length === 0) return undefined;
  return rings.map((ring) => ({
    ring,
    ...(verifies.includes(ring) && { verifies: true }),
    ...(presents.includes(ring) && { presents: true }),
  }));
}
