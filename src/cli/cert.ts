import { type Command, Option } from 'commander';

import type { CertificateView } from '../api/rest/certificate-view.js';
import { count } from './arguments.js';
import { supersedeVerb } from './cert-supersede.js';
import { certificateView } from './cert-view.js';
import { pathOf } from './client.js';
import { loadOrMakeKey, makeCsr } from './csr.js';
import { localFailure } from './failure.js';
import type { Io } from './io.js';
import { printList, printObject } from './output.js';
import { certificateOf, readInput, submitAsTold, type SubmitFlags, submitOptions } from './submit.js';
import { renewalInfoVerb } from './renewal.js';
import { action, collect, examples } from './verb.js';

export function certNoun(program: Command, io: Io): void {
  const noun = program.command('cert').description('Issued certificates, and asking for one');
  list(noun, io);
  get(noun, io);
  revoke(noun, io);
  supersedeVerb(noun, io);
  renewalInfoVerb(noun, io);
  issue(noun, io);
  csr(noun, io);
}

const filters = [
  'ring',
  'authority',
  'profile',
  'node',
  'cluster',
  'member',
  'name',
  'address',
  'serial',
  'expiringWithin',
  'expiresBefore',
] as const;
type ListFlags = Partial<Record<(typeof filters)[number] | 'limit', string>> & { readonly inUse?: true };

function list(noun: Command, io: Io): void {
  noun
    .command('list')
    .description('Search the inventory')
    .option('--ring <ring>')
    .option('--authority <ski>', 'signed by this authority')
    .option('--in-use', 'only those that may still be presented: neither expired nor revoked nor superseded')
    .option('--profile <signer>', 'signer name')
    .option('--node <name>')
    .option('--cluster <name>', 'etcd cluster')
    .option('--member <name>', 'etcd member')
    .option('--name <name>', 'common name or DNS name, exact')
    .option('--address <ip>')
    .option('--serial <hex>')
    .option('--expiring-within <duration>', 'good now and not any more after this time, such as 7d')
    .option('--expires-before <time>', 'RFC 3339, such as 2027-01-01T00:00:00Z')
    .option('--limit <number>', 'at most so many; all when left out')
    .addHelpText(
      'after',
      examples(
        ['What has to be renewed this week', 'rotunda cert list --expiring-within 7d'],
        ['Everything of one node', 'rotunda cert list --node n1 -o json'],
        ['What keeps an authority in use', 'rotunda cert list --authority SKI --in-use'],
      ),
    )
    .action(
      action<ListFlags>(io, ({ withClient, format, options }) =>
        withClient(async (client) => {
          const inUse = options.inUse === true ? 'true' : undefined;
          const query = { ...Object.fromEntries(filters.map((filter) => [filter, options[filter]])), inUse };
          printList(
            io,
            format,
            await client.list<CertificateView>('/certificates', query, count('--limit', options.limit)),
            certificateView,
          );
        }),
      ),
    );
}

function get(noun: Command, io: Io): void {
  noun
    .command('get')
    .argument('<serial>', 'hex, with or without colons')
    .description('Show one certificate')
    .addHelpText('after', examples(['For openssl', 'rotunda cert get SERIAL -o pem | openssl x509 -text -noout']))
    .action(
      action(io, ({ withClient, format, options, args: [serial = ''] }) =>
        withClient(async (client) => {
          const path = `/certificates${pathOf(serial)}`;
          if (options.output === 'pem')
            io.out((await client.send('GET', path, { accept: 'application/pem-certificate-chain' })).text);
          else printObject(io, format, await client.json<CertificateView>('GET', path), certificateView);
        }),
      ),
    );
}

function revoke(noun: Command, io: Io): void {
  noun
    .command('revoke')
    .argument('<serial>', 'hex, with or without colons')
    .description('Revoke a certificate: its holder is refused at once')
    .option(
      '--reason <reason>',
      'unspecified, keyCompromise, affiliationChanged, superseded, cessationOfOperation or privilegeWithdrawn',
    )
    .addHelpText('after', examples(['A key was stolen', 'rotunda cert revoke SERIAL --reason keyCompromise']))
    .action(
      action<{ reason?: string }>(io, ({ withClient, format, options: { reason }, args: [serial = ''] }) =>
        withClient(async (client) => {
          printObject(
            io,
            format,
            await client.json<CertificateView>('POST', `/certificates${pathOf(serial)}/revoke`, { body: { reason } }),
            certificateView,
          );
        }),
      ),
    );
}

function issue(noun: Command, io: Io): void {
  submitOptions(
    noun.command('issue').description('Submit a CSR and print the certificate chain, as PEM unless -o says otherwise'),
  )
    .addOption(new Option('--csr <file>', 'the CSR in PEM, - for standard input').makeOptionMandatory())
    .addHelpText(
      'after',
      examples(
        [
          'An etcd member with its token',
          'rotunda cert issue --signer etcd.rotunda.dev/peer --csr peer.csr --token TOKEN --bundle-file peer-ca.crt > peer.crt',
        ],
        [
          'A kubelet renews with the certificate it has',
          'rotunda cert issue --signer kubernetes.io/kube-apiserver-client-kubelet --csr n.csr --cert n.crt --key n.key --bundle-file ca.crt > n.crt.new && mv n.crt.new n.crt',
        ],
      ),
    )
    .action(
      action<SubmitFlags & { csr: string }>(io, ({ withClient, options }) =>
        withClient(async (client) => {
          const request = await submitAsTold(io, client, await readInput(io, options.csr), options);
          const pem = certificateOf(request);
          if (options.output === undefined || options.output === 'pem') io.out(pem);
          else io.out(`${JSON.stringify(request, undefined, 2)}\n`);
        }),
      ),
    );
}

type CsrFlags = {
  readonly key?: string;
  readonly cn?: string;
  readonly org?: readonly string[];
  readonly dns?: readonly string[];
  readonly address?: readonly string[];
};

function csr(noun: Command, io: Io): void {
  noun
    .command('csr')
    .description(
      'Print a CSR for the key in --key, which is made (P-256, 0600) when there is no such file; asks no server',
    )
    .option('--cn <name>', 'common name')
    .option('--org <name>', 'organization; repeat for more', collect)
    .option('--dns <name>', 'DNS name; repeat for more', collect)
    .option('--address <ip>', 'IP address; repeat for more', collect)
    .addHelpText(
      'after',
      examples([
        'For an etcd member',
        'rotunda cert csr --key peer.key --cn m1 --dns m1 --address 10.0.0.21 > peer.csr',
      ]),
    )
    .action(
      action<CsrFlags>(io, async ({ options: { key, cn = '', org = [], dns = [], address = [] } }) => {
        if (key === undefined)
          throw localFailure('--key is missing', { hints: ['give the file of the key, which may not be there yet'] });
        const names = [
          ...dns.map((value) => ({ kind: 'dns', value }) as const),
          ...address.map((value) => ({ kind: 'ip', value }) as const),
        ];
        await Promise.resolve();
        io.out(makeCsr(loadOrMakeKey(key), { commonName: cn, organizations: org, names }));
      }),
    );
}
