import { type Command, Option } from 'commander';

import type { DryRunView } from '../../api/rest/rotation-dry-run.js';
import type { RotationView } from '../../api/rest/rotation-views.js';
import type { Client } from '../client.js';
import { localFailure, remoteFailure } from '../failure.js';
import type { Io } from '../io.js';
import { readKey } from '../keyset.js';
import { printObject } from '../output.js';
import { action, type Call, examples } from '../verb.js';
import { isDocument, printDocument } from './documents.js';
import { follow } from './follow.js';
import { progressOn, screenFor } from './screen.js';
import { intervalOf, isOver } from './status.js';
import { rotationTable } from './views.js';

type Flags = {
  readonly dryRun?: true;
  readonly emergency?: true;
  readonly reissue?: true;
  readonly publicKey?: string;
  readonly deadline?: string;
  readonly compromised?: string;
  readonly securityFirst?: true;
  readonly yes?: true;
  readonly keyType?: string;
  readonly policy?: string;
  readonly crossSign: boolean;
  readonly reason?: string;
  readonly wait?: true;
  readonly interval?: string;
};

export function startVerb(noun: Command, io: Io): void {
  noun
    .command('start')
    .argument('<ring>')
    .description('Begin to replace the authority of a ring; nothing is published before its first gate passes')
    .option('--dry-run', 'print the plan, or in an emergency also who would be cut off, and do nothing')
    .option('--key-type <type>', 'of the new authority: ec-p256, ec-p384, rsa-2048, rsa-3072, rsa-4096, ed25519')
    .addOption(
      new Option('--policy <policy>', 'go on by itself, or wait for advance in each state').choices([
        'automatic',
        'manual',
      ]),
    )
    .option('--no-cross-sign', 'the old authority does not vouch for the new one: joiners have to wait meanwhile')
    .addOption(new Option('--reissue', 'another certificate of the same key').conflicts(['emergency', 'publicKey']))
    .addOption(new Option('--public-key <file>', 'the next key of a ring of signing keys, PEM').conflicts('emergency'))
    .option('--emergency', "the key may be somebody else's too: never sign with it again, and cut off at a deadline")
    .option(
      '--compromised <key>',
      "of an emergency: which key may be somebody else's too; the one that signs when left out",
    )
    .option('--deadline <time>', 'of an emergency: RFC 3339, or a duration from now such as 4h')
    .option('--security-first', 'of an emergency: issue anew at once, without waiting for trust')
    .option('--yes', 'an emergency is meant, and who would be cut off was read')
    .option('--reason <text>', 'why, for the record; an emergency needs one')
    .option('--wait', 'until it is over, with its progress; ends with 2 where it was rolled back')
    .option('--interval <duration>', 'with --wait: how often to look; default 2s')
    .addHelpText(
      'after',
      examples(
        ['What would be done, by whom, and how long it takes', 'rotunda rotation start kubernetes --dry-run'],
        ['Do it', 'rotunda rotation start kubernetes --reason yearly'],
        ['To another algorithm, state by state', 'rotunda rotation start etcd --key-type ec-p384 --policy manual'],
        ['Who would be cut off', 'rotunda rotation start kubernetes --emergency --deadline 4h --dry-run'],
        [
          'A CA key was stolen',
          'rotunda rotation start kubernetes --emergency --deadline 4h --reason "stolen backup" --yes',
        ],
        ['The next service-account key', 'rotunda rotation start service-account --public-key next.pub'],
      ),
    )
    .action(action<Flags>(io, (call) => start(call)));
}

async function start(call: Call<Flags>): Promise<void> {
  const { io, format, options, args } = call;
  const [ring = ''] = args;
  const draft = draftOf(ring, options);
  if (options.dryRun === true) return call.withClient((client) => look(call, client, draft));
  if (options.emergency === true && options.yes !== true) {
    const body = { ...draft, dryRun: true };
    const { blastRadius } = await call.withClient((client) => client.json<DryRunView>('POST', '/rotations', { body }));
    io.out(blastRadius?.text ?? '');
    throw localFailure('an emergency is not begun without --yes', {
      hints: ['read above who would be cut off, then say --yes', '--dry-run prints the plan as well'],
    });
  }
  const confirm = options.emergency === true ? ring : undefined;
  const started = await call.withClient((client) =>
    client.json<RotationView>('POST', '/rotations', { body: { ...draft, confirm } }),
  );
  if (options.wait !== true) printObject(io, format, started, rotationTable);
  else await waitFor(call, started);
}

/** What it would do: text for people, or all of it as data. */
async function look(
  { io, format }: Call<Flags>,
  client: Client,
  draft: Readonly<Record<string, unknown>>,
): Promise<void> {
  const data = isDocument(format);
  const body = { ...draft, dryRun: true };
  if (data) printDocument(io, format, await client.json('POST', '/rotations', { body }));
  else io.out((await client.send('POST', '/rotations', { body, accept: 'text/plain' })).text);
}

async function waitFor(call: Call<Flags>, { id }: RotationView): Promise<void> {
  const { io, format } = call;
  const text = format === 'table' || format === 'wide';
  const show = text ? screenFor(io, format) : progressOn(io.err);
  const last = await follow(call, { id, intervalMs: intervalOf(call.options), show, until: isOver });
  if (!text) printObject(io, format, last.rotation, rotationTable);
  const { state } = last.rotation;
  if (state !== 'finished') throw remoteFailure(`the rotation ${id} is ${state}`);
}

function draftOf(ring: string, flags: Flags): Readonly<Record<string, unknown>> {
  const {
    compromised,
    emergency,
    reissue,
    publicKey,
    deadline,
    securityFirst,
    keyType,
    policy,
    crossSign,
    reason,
    yes,
  } = flags;
  if (emergency !== true && [deadline, securityFirst, yes, compromised].some((flag) => flag !== undefined))
    throw localFailure('--compromised, --deadline, --security-first and --yes belong to --emergency');
  return {
    ring,
    kind: emergency === true ? 'emergency' : reissue === true ? 'reissue' : undefined,
    ...{ keyType, policy, deadline, compromised, reason },
    // Said only where it differs, so that the configuration of the ring holds otherwise.
    crossSign: crossSign || emergency === true ? undefined : false,
    preference: securityFirst === true ? 'security-first' : undefined,
    publicKey: publicKey === undefined ? undefined : readKey(publicKey),
  };
}
