import type { Command } from 'commander';

import type { BundleView } from '../api/rest/bundles.js';
import { pathOf } from './client.js';
import type { Io } from './io.js';
import { printObject, type View } from './output.js';
import { action, examples } from './verb.js';

const view: View<BundleView> = {
  kind: 'bundle',
  name: (bundle) => `${bundle.ring}/${bundle.generation}`,
  columns: [
    { title: 'RING', value: (bundle) => bundle.ring },
    { title: 'GENERATION', value: (bundle) => String(bundle.generation) },
    { title: 'ANCHORS', value: (bundle) => String(bundle.anchors.length) },
    { title: 'DIGEST', value: (bundle) => bundle.digest },
  ],
};

export function bundleNoun(program: Command, io: Io): void {
  program
    .command('bundle')
    .description('Published sets of anchors; anyone may read them')
    .command('get')
    .argument('<ring>')
    .description('Print the bundle of a ring, as PEM unless -o says otherwise')
    .option('--generation <number>', 'an earlier generation')
    .addHelpText(
      'after',
      examples(
        ['The CA file for etcd', 'rotunda bundle get etcd > ca.crt'],
        [
          'From a machine that only knows the pin',
          'rotunda bundle get kubernetes --server https://pki:8443 --pin sha256:HEX',
        ],
      ),
    )
    .action(
      action<{ generation?: string }>(io, ({ withClient, format, options, args: [ring = ''] }) =>
        withClient(async (client) => {
          const { generation, output } = options;
          const path = `/rings${pathOf(ring)}${generation === undefined ? '/bundle' : `/bundles${pathOf(generation)}`}`;
          if (output === undefined || output === 'pem') {
            io.out((await client.send('GET', path, { accept: 'application/pem-certificate-chain' })).text);
          } else printObject(io, format, await client.json<BundleView>('GET', path), view);
        }, 'none'),
      ),
    );
}
