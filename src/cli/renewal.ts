import { type Command, Option } from 'commander';

import type { RenewalInfoView } from '../api/rest/renewal-info.js';
import type { RenewalRuleListView, RenewalRuleView } from '../api/rest/renewal-rules.js';
import { seconds } from './arguments.js';
import { pathOf } from './client.js';
import type { Io } from './io.js';
import { printList, printObject, span, type View } from './output.js';
import { action, examples } from './verb.js';

const ruleView: View<RenewalRuleView> = {
  kind: 'renewal',
  name: (rule) => rule.id,
  columns: [
    { title: 'ID', value: (rule) => rule.id },
    { title: 'RING', value: (rule) => rule.ring },
    { title: 'REASON', value: (rule) => rule.reason },
    { title: 'START', value: (rule) => rule.start },
    { title: 'OVER', value: (rule) => span(0, rule.widthSeconds * 1000) },
    { title: 'AUTHORITY', wide: true, value: (rule) => rule.authority },
    { title: 'PROFILE', wide: true, value: (rule) => rule.profile },
    { title: 'ISSUED UNTIL', wide: true, value: (rule) => rule.issuedUntil },
  ],
};

export function renewalNoun(program: Command, io: Io): void {
  const noun = program.command('renewal').description('Having certificates renewed apart from their plan');
  list(noun, io);
  create(noun, io);
  remove(noun, io);
}

function list(noun: Command, io: Io): void {
  noun
    .command('list')
    .description('List the rules that count; anyone may read them')
    .addHelpText('after', examples(['What certificates are renewed for now', 'rotunda renewal list -o wide']))
    .action(
      action(io, ({ withClient, format }) =>
        withClient(async (client) => {
          const { rules } = await client.json<RenewalRuleListView>('GET', '/renewal-rules');
          printList(io, format, rules, ruleView);
        }, 'none'),
      ),
    );
}

type CreateFlags = {
  readonly ring: string;
  readonly reason: string;
  readonly authority?: string;
  readonly profile?: string;
  readonly start?: string;
  readonly over?: string;
};

function create(noun: Command, io: Io): void {
  noun
    .command('create')
    .description('Ask the holders of some certificates to renew in a wave')
    .requiredOption('--ring <ring>')
    .addOption(
      new Option('--reason <reason>', 'capacity may put renewals off, the others bring them forward')
        .choices(['rotation', 'compromise', 'capacity'])
        .makeOptionMandatory(),
    )
    .option('--authority <ski>', 'only those that this authority has signed')
    .option('--profile <signer>', 'only those of this signer name')
    .option('--start <time>', 'RFC 3339; now for a compromise, otherwise when everybody has heard of it')
    .option('--over <duration>', 'how long the wave is; when left out, so that it takes half of what can be issued')
    .addHelpText(
      'after',
      examples(
        ['After a key was stolen', 'rotunda renewal create --ring etcd --authority SKI --reason compromise'],
        ['Kubernetes users, tonight', 'rotunda renewal create --ring kubernetes --reason rotation --over 6h'],
      ),
    )
    .action(
      action<CreateFlags>(io, ({ withClient, format, options }) =>
        withClient(async (client) => {
          const { ring, reason, authority, profile, start, over } = options;
          const widthSeconds = over === undefined ? undefined : seconds('--over', over);
          const body = { ring, reason, authority, profile, start, widthSeconds };
          printObject(io, format, await client.json<RenewalRuleView>('POST', '/renewal-rules', { body }), ruleView);
        }),
      ),
    );
}

function remove(noun: Command, io: Io): void {
  noun
    .command('delete')
    .argument('<id>')
    .description('Delete a rule: certificates are renewed by their plan again')
    .addHelpText('after', examples(['By its id', 'rotunda renewal delete 0123456789abcdef']))
    .action(
      action(io, ({ withClient, args: [id = ''] }) =>
        withClient(async (client) => {
          await client.send('DELETE', `/renewal-rules${pathOf(id)}`);
        }),
      ),
    );
}

const infoView: View<RenewalInfoView> = {
  kind: 'window',
  name: (info) => info.suggestedWindow.start,
  columns: [
    { title: 'START', value: (info) => info.suggestedWindow.start },
    { title: 'END', value: (info) => info.suggestedWindow.end },
    { title: 'WHY', value: (info) => info.explanationURL },
  ],
};

/** `cert renewal-info`, which anybody may ask. */
export function renewalInfoVerb(noun: Command, io: Io): void {
  noun
    .command('renewal-info')
    .argument('<serial>', "hex, or the certificate's name as in RFC 9773")
    .description('Show when a certificate is to be renewed; a window in the past means now')
    .addHelpText('after', examples(['By its serial', 'rotunda cert renewal-info SERIAL']))
    .action(
      action(io, ({ withClient, format, args: [serial = ''] }) =>
        withClient(async (client) => {
          const path = `/renewal-info${pathOf(serial)}`;
          printObject(io, format, await client.json<RenewalInfoView>('GET', path), infoView);
        }, 'none'),
      ),
    );
}
