import type { Command } from 'commander';

import type { DecisionView } from '../api/rest/request-decisions.js';
import { seconds } from './arguments.js';
import { pathOf } from './client.js';
import { localFailure } from './failure.js';
import type { Io } from './io.js';
import { type Format, printable, printList, printObject, until, type View } from './output.js';
import { readInput } from './submit.js';
import { action, collect, examples } from './verb.js';

type Rule = DecisionView['rules'][number];

const ruleView: View<Rule> = {
  kind: 'rule',
  name: (rule) => rule.rule,
  columns: [
    { title: 'RULE', value: (rule) => rule.rule },
    { title: 'KIND', value: (rule) => rule.kind },
    { title: 'OUTCOME', value: (rule) => rule.outcome },
    { title: 'MESSAGE', value: (rule) => rule.message },
  ],
};

type Flags = {
  readonly file?: string;
  readonly signer?: string;
  readonly usage?: readonly string[];
  readonly expires?: string;
  readonly asNode?: string;
  readonly asToken?: string;
  readonly asEtcdMember?: string;
  readonly asUser?: string;
  readonly asGroup?: readonly string[];
};

/** `request explain`: of a request that is there, or with `-f` of one that was never submitted. */
export function explainVerb(noun: Command, io: Io): void {
  noun
    .command('explain')
    .argument('[name]')
    .description('Show rule by rule what is or would be decided; changes nothing')
    .option('-f, --file <file>', 'a CSR in PEM that was not submitted, - for standard input')
    .option('--signer <name>', 'with -f: the signer that it would be submitted to')
    .option('--usage <usage>', 'with -f: a key usage; repeat for more; what the signer requires when left out', collect)
    .option('--expires <duration>', 'with -f: lifetime to ask for, such as 30d')
    .option('--as-node <name>', 'with -f: submitted by this node')
    .option('--as-token <id>', 'with -f: submitted with this bootstrap token, by its id')
    .option('--as-etcd-member <cluster/name>', 'with -f: submitted by this etcd member')
    .option('--as-user <name>', 'with -f: submitted by this user')
    .option('--as-group <group>', 'with --as-user: a group of it; repeat for more', collect)
    .addHelpText(
      'after',
      examples(
        ['Why is it held?', 'rotunda request explain NAME'],
        [
          'Would the node get it?',
          'rotunda request explain -f n1.csr --signer kubernetes.io/kubelet-serving --as-node n1',
        ],
      ),
    )
    .action(
      action<Flags>(io, async ({ withClient, format, options, args: [name] }) => {
        const draft = options.file === undefined ? undefined : await draftOf(io, options, options.file);
        if ((name === undefined) === (draft === undefined))
          throw localFailure('give the name of a request, or a file with -f', {
            hints: ['rotunda request explain -h shows both'],
          });
        const decision = await withClient((client) =>
          draft === undefined
            ? client.json<DecisionView>('GET', `/requests${pathOf(name ?? '')}/explain`)
            : client.json<DecisionView>('POST', '/requests/explain', { body: draft }),
        );
        print(io, format, decision);
      }),
    );
}

async function draftOf(io: Io, flags: Flags, file: string): Promise<object> {
  const { signer, usage, expires } = flags;
  if (signer === undefined) throw localFailure('-f needs --signer, the signer that it would be submitted to');
  return {
    signerName: signer,
    request: await readInput(io, file),
    usages: usage,
    expirationSeconds: expires === undefined ? undefined : seconds('--expires', expires),
    as: requesterOf(flags),
  };
}

function requesterOf({ asNode, asToken, asEtcdMember, asUser, asGroup }: Flags): object | undefined {
  const [cluster = '', name = ''] = asEtcdMember?.split('/') ?? [];
  const given = [
    asNode === undefined ? undefined : { node: asNode },
    asToken === undefined ? undefined : { token: asToken.split('.')[0] },
    asEtcdMember === undefined ? undefined : { etcdMember: { cluster, name } },
    asUser === undefined ? undefined : { user: asUser, groups: asGroup ?? [] },
  ].filter((one) => one !== undefined);
  if (given.length > 1) throw localFailure('give at most one of --as-node, --as-token, --as-etcd-member and --as-user');
  return given[0];
}

function print(io: Io, format: Format, decision: DecisionView): void {
  if (format === 'json' || format === 'yaml') {
    printObject(io, format, decision, { kind: 'decision', name: () => decision.outcome, columns: [] });
    return;
  }
  if (decision.rules.length > 0) printList(io, format, decision.rules, ruleView);
  const { decided, facts, outcome, message, retryAt } = decision;
  const again = retryAt === undefined ? '' : ` (looked at again in ${until(retryAt)})`;
  if (decided !== undefined) io.err(`${printable(`${decided.condition} (${decided.reason}): ${decided.message}`)}\n`);
  const when = facts === 'recorded' ? 'as things were when it was decided' : 'as things are now';
  io.err(`${when}, the rules say ${printable(`${outcome}: ${message}`)}${again}\n`);
}
