import { type Command, Option } from 'commander';

import type { ReportedView } from '../api/rest/acknowledgements.js';
import type { BundleView } from '../api/rest/bundles.js';
import type { KeySetView } from '../api/rest/key-sets.js';
import { count } from './arguments.js';
import { type Client, pathOf } from './client.js';
import { consumerColumns } from './consumer-view.js';
import { isFailure, localFailure } from './failure.js';
import type { Io } from './io.js';
import { printObject } from './output.js';
import { action, examples } from './verb.js';

type AcknowledgeFlags = {
  readonly ring: string;
  readonly generation?: string;
  readonly digest?: string;
  readonly evidence: string;
  readonly deliveredAt?: string;
  readonly startedAt?: string;
};

export function acknowledgeVerb(noun: Command, io: Io): void {
  noun
    .command('acknowledge')
    .argument('<class/name>')
    .description('Say for a consumer that its process has loaded a bundle')
    .requiredOption('--ring <ring>', 'the ring of the bundle, or of the signing keys')
    .option('--generation <number>', 'which one; the current one when left out')
    .option('--digest <digest>', 'of what it has loaded, to be sure that it is that bundle')
    .addOption(
      new Option('--evidence <kind>', 'how you know; restart where it reads the file only then')
        .choices(['self-report', 'restart'])
        .default('self-report'),
    )
    .option('--delivered-at <time>', 'for restart: when the file was there, RFC 3339')
    .option('--started-at <time>', 'for restart: when its process began, RFC 3339')
    .addHelpText(
      'after',
      examples(
        [
          'It was restarted with the new service-account keys',
          'rotunda consumer acknowledge kube-apiserver/cp-1 --ring service-account --evidence restart --delivered-at 2026-11-23T12:00:00Z --started-at 2026-11-23T12:05:00Z',
        ],
        ['It has taken over the current bundle', 'rotunda consumer acknowledge etcd-client/backup --ring etcd'],
        [
          'It was restarted with it',
          'rotunda consumer acknowledge etcd-member/main/m1 --ring etcd --evidence restart --delivered-at 2026-11-23T12:00:00Z --started-at 2026-11-23T12:05:00Z',
        ],
      ),
    )
    .action(
      action<AcknowledgeFlags>(io, ({ withClient, format, options, args: [name = ''] }) =>
        withClient(async (client) => {
          const { ring, evidence } = options;
          const body = {
            ...{ ring, evidence },
            ...(await claimOf(client, options)),
            deliveredAt: timeOf('--delivered-at', options.deliveredAt),
            startedAt: timeOf('--started-at', options.startedAt),
          };
          const path = `/consumers${pathOf(name)}/acknowledgements`;
          const { consumer } = await client.json<ReportedView>('POST', path, { body });
          const role = consumer.rings.find((found) => found.ring === ring);
          if (role?.counts === false)
            io.err(`its class needs ${role.minimum}, or stronger evidence: this does not count for a rotation\n`);
          printObject(io, format, consumer, consumerColumns);
        }),
      ),
    );
}

type Claim = Pick<BundleView, 'generation' | 'digest'>;

/** Who gives no digest speaks of the bundle as it was published. */
async function claimOf(client: Client, { ring, generation, digest }: AcknowledgeFlags): Promise<Claim> {
  const number = count('--generation', generation);
  if (number !== undefined && digest !== undefined) return { generation: number, digest };
  const published = await publishedIn(client, ring, number);
  return { generation: published.generation, digest: digest ?? published.digest };
}

/** A ring of authorities or, where there is none of the name, one of signing keys, which shows its current set alone. */
async function publishedIn(client: Client, ring: string, number: number | undefined): Promise<Claim> {
  const path = `/rings${pathOf(ring)}/${number === undefined ? 'bundle' : `bundles/${String(number)}`}`;
  try {
    return await client.json<BundleView>('GET', path);
  } catch (error) {
    const keys = isNotFound(error) ? await keySetOf(client, ring) : undefined;
    if (keys === undefined) throw error;
    if (number === undefined || number === keys.generation) return keys;
    throw localFailure(`the digest of generation ${String(number)} of the keys ${ring} has to be given with --digest`, {
      hints: [`it publishes generation ${String(keys.generation)} now`],
    });
  }
}

async function keySetOf(client: Client, ring: string): Promise<KeySetView | undefined> {
  try {
    return await client.json<KeySetView>('GET', `/keysets${pathOf(ring)}`);
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

function isNotFound(error: unknown): boolean {
  return isFailure(error) && error.problem?.code === 'not-found';
}

/** Throws a local failure that names the flag. */
function timeOf(flag: string, text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const time = /^\d{4}-\d\d-\d\dT/.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(time)) return new Date(time).toISOString();
  throw localFailure(`${flag} ${JSON.stringify(text)} is not a time`, { hints: ['such as 2026-11-23T12:00:00Z'] });
}
