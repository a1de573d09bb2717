import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';

import { type Command, Option } from 'commander';

import type { EtcdClusterView } from '../api/rest/etcd-clusters.js';
import type { EtcdMemberView } from '../api/rest/etcd-members.js';
import { writePrivateFile } from '../service/private-file.js';
import { memberName } from './arguments.js';
import { type Client, pathOf } from './client.js';
import { type CsrContent, loadOrMakeKey, makeCsr } from './csr.js';
import { localFailure } from './failure.js';
import { pemOf } from './held-bundle.js';
import type { Io } from './io.js';
import { certificateOf, submitHolding } from './submit.js';
import { action, examples } from './verb.js';

type IssueFlags = { readonly out: string; readonly clientName?: string; readonly force?: true; readonly wait?: string };
type Purpose = 'peer' | 'server' | 'client';
type Files = { readonly key: string; readonly cert: string; readonly ca: string };

/** The guided way of a member: everything that it needs for TLS with nothing but its token. */
export function issueCommand(noun: Command, io: Io): void {
  noun
    .command('issue')
    .argument('<cluster/name>')
    .description('Make the keys of a member here and get its peer, server and client certificates')
    .addOption(new Option('--out <dir>', 'directory for the files, made when it is not there').makeOptionMandatory())
    .option(
      '--client-name <name>',
      "common name of the client certificate; the cluster's first client name when left out",
    )
    .option('--wait <duration>', 'how long to wait while a request is held')
    .option('--force', 'ask again where there is a certificate already; keys stay')
    .addHelpText('after', issueHelp)
    .action(
      action<IssueFlags>(io, ({ withClient, options, args: [text = ''] }) =>
        withClient(async (client) => {
          const { cluster, name } = memberName(text);
          await issueAll(io, client, { cluster, name }, options);
        }),
      ),
    );
}

const issueHelp = `${examples([
  'On the member, which knows its token and the pin of the service',
  'rotunda etcd issue main/m1 --server https://pki:8443 --pin sha256:HEX --token TOKEN --out /etc/etcd/pki',
])}

The same by hand:
  rotunda cert csr --key peer.key --cn m1 --dns m1 --address 10.0.0.21 > peer.csr
  rotunda cert issue --signer etcd.rotunda.dev/peer --csr peer.csr --token TOKEN --bundle-file peer-ca.crt > peer.crt

Writes KIND.key (0600), KIND.crt and KIND-ca.crt for peer, server and client: the authorities in
KIND-ca.crt are those of the certificate beside it.`;

async function issueAll(
  io: Io,
  client: Client,
  member: { cluster: string; name: string },
  flags: IssueFlags,
): Promise<void> {
  const directory = flags.out;
  const clusterPath = `/etcd-clusters${pathOf(member.cluster)}`;
  const facts = await client.json<EtcdMemberView>('GET', `${clusterPath}/members${pathOf(member.name)}`);
  const cluster = await client.json<EtcdClusterView>('GET', clusterPath);
  makeDirectory(directory);
  const clientName = flags.clientName ?? cluster.clientNames[0];
  const content: CsrContent = { commonName: facts.name, organizations: [], names: namesOf(facts) };
  await issueOne(io, client, 'peer', content, flags);
  await issueOne(io, client, 'server', content, flags);
  if (clientName === undefined) {
    io.err(`no client certificate: the etcd cluster ${cluster.name} has no client names\n`);
    io.err(`hint: an administrator adds them with rotunda etcd cluster update ${cluster.name} --client-name NAME\n`);
    return;
  }
  await issueOne(io, client, 'client', { commonName: clientName, organizations: [], names: [] }, flags);
}

/** As enrolled: that is what may be asked for. */
function namesOf({ dnsNames, addresses }: EtcdMemberView): CsrContent['names'] {
  return [
    ...dnsNames.map((value) => ({ kind: 'dns', value }) as const),
    ...addresses.map((value) => ({ kind: 'ip', value }) as const),
  ];
}

/** A key that is there already is used: after a crash nothing is asked for twice that was not lost. */
async function issueOne(
  io: Io,
  client: Client,
  purpose: Purpose,
  content: CsrContent,
  flags: IssueFlags,
): Promise<void> {
  const files = filesOf(flags.out, purpose);
  if (existsSync(files.cert) && flags.force !== true) {
    throw localFailure(`${files.cert} is there already`, { hints: ['--force asks for another one with the same key'] });
  }
  const key = loadOrMakeKey(files.key);
  const request = await submitHolding(io, client, {
    csr: makeCsr(key, content),
    flags: {
      signer: `etcd.rotunda.dev/${purpose}`,
      ...(flags.wait === undefined ? {} : { wait: flags.wait }),
    },
    hold: (bundle) => write(files.ca, pemOf(bundle)),
  });
  write(files.cert, certificateOf(request));
  io.out(`${files.key}\n${files.cert}\n${files.ca}\n`);
}

function filesOf(directory: string, purpose: Purpose): Files {
  const file = (ending: string): string => path.join(directory, `${purpose}${ending}`);
  return { key: file('.key'), cert: file('.crt'), ca: file('-ca.crt') };
}

function makeDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw localFailure(`cannot make the directory ${directory}: ${(error as Error).message}`, { cause: error });
  }
}

function write(file: string, content: string): void {
  try {
    writePrivateFile(file, content);
  } catch (error) {
    throw localFailure(`cannot write ${file}: ${(error as Error).message}`, { cause: error });
  }
}
