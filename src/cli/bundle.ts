import type { Command } from 'commander';

import type { BundleView } from '../api/rest/bundles.js';
import { toPem } from '../ca/x509/certificate.js';
import { readText } from '../kubeconfig.js';
import { wholeNumber } from './arguments.js';
import { believe, type Believed, believedBy, parseBundle, readAnchors, unbelieved } from './bundle-trust.js';
import { bundleView } from './bundle-view.js';
import { watchVerb } from './bundle-watch.js';
import { pathOf } from './client.js';
import { localFailure, remoteFailure } from './failure.js';
import { pemOf } from './held-bundle.js';
import type { Io } from './io.js';
import { printObject, type View } from './output.js';
import { action, examples } from './verb.js';

export function bundleNoun(program: Command, io: Io): void {
  const noun = program.command('bundle').description('Published sets of anchors; anyone may read them');
  get(noun, io);
  verify(noun, io);
  watchVerb(noun, io);
}

type GetFlags = {
  readonly generation?: string;
  readonly verify?: true;
  readonly anchor?: string;
  readonly atLeast?: string;
};

function get(noun: Command, io: Io): void {
  noun
    .command('get')
    .argument('<ring>')
    .description('Print the bundle of a ring, as PEM unless -o says otherwise')
    .option('--generation <number>', 'an earlier generation')
    .option('--verify', 'only when an authority in --anchor has signed it, or one that can be followed from there')
    .option('--anchor <file>', 'the CA file that is in use now')
    .option('--at-least <number>', 'only this generation or a later one')
    .addHelpText(
      'after',
      examples(
        ['The CA file for etcd', 'rotunda bundle get etcd > ca.crt'],
        [
          'From a machine that only knows the pin',
          'rotunda bundle get kubernetes --server https://pki:8443 --pin sha256:HEX',
        ],
        ['Whoever may answer there', 'rotunda bundle get etcd --verify --anchor ca.crt --at-least 4 > new-ca.crt'],
      ),
    )
    .action(
      action<GetFlags>(io, ({ withClient, format, options, args: [ring = ''] }) =>
        withClient(async (client) => {
          const { generation, output } = options;
          const anchors = anchorsFor(options);
          const path = `/rings${pathOf(ring)}${generation === undefined ? '/bundle' : `/bundles${pathOf(generation)}`}`;
          const { text } = await client.send('GET', path);
          const bundle = JSON.parse(text) as BundleView;
          requireAtLeast(bundle, options.atLeast);
          if (anchors !== undefined) await believe(client, parseBundle(text, 'the answer'), anchors);
          if (output === undefined || output === 'pem') io.out(pemOf(bundle));
          else printObject(io, format, bundle, bundleView);
        }, 'none'),
      ),
    );
}

function anchorsFor({ verify: wanted, anchor }: GetFlags): ReturnType<typeof readAnchors> | undefined {
  if (anchor !== undefined) return readAnchors(anchor);
  if (wanted !== true) return undefined;
  throw localFailure('--verify needs --anchor, the CA file that is in use now', {
    hints: ['what it holds was believed before, and can vouch for what comes next'],
  });
}

function requireAtLeast({ ring, generation }: Pick<BundleView, 'ring' | 'generation'>, text: string | undefined): void {
  const least = wholeNumber('--at-least', text) ?? 0;
  if (generation >= least) return;
  throw remoteFailure(`bundle ${String(generation)} of the ring ${ring} is older than ${String(least)}`, {
    hints: ['generations never go back: ask who runs the service, and keep the CA file that is in use'],
  });
}

const signedView: View<Believed> = {
  kind: 'bundle',
  name: ({ manifest }) => `${manifest.ring}/${String(manifest.generation)}`,
  columns: [
    { title: 'RING', value: ({ manifest }) => manifest.ring },
    { title: 'GENERATION', value: ({ manifest }) => String(manifest.generation) },
    { title: 'CREATED', value: ({ manifest }) => manifest.createdAt },
    { title: 'JOIN FLOOR', wide: true, value: ({ manifest }) => String(manifest.joinFloor) },
    { title: 'TAINTED', wide: true, value: ({ manifest }) => manifest.tainted.join(',') },
    { title: 'SIGNED BY', value: ({ signer }) => signer.subjectKeyId },
  ],
};

function verify(noun: Command, io: Io): void {
  noun
    .command('verify')
    .argument('<file>', 'a bundle in JSON, as bundle get -o json prints it')
    .description('Check that an authority that is trusted already has signed a bundle; asks no server')
    .requiredOption('--anchor <file>', 'the CA file that is in use now')
    .option('--at-least <number>', 'only this generation or a later one')
    .addHelpText(
      'after',
      `${examples(['A bundle that came by mail', 'rotunda bundle verify bundle.json --anchor old-ca.crt --at-least 4'])}${byHand}`,
    )
    .action(
      action<{ anchor: string; atLeast?: string }>(io, async ({ format, options, args: [file = ''] }) => {
        await Promise.resolve();
        const bundle = parseBundle(readText(file), file);
        const believed = believedBy(bundle, readAnchors(options.anchor));
        if (believed === undefined) throw unbelieved(bundle);
        requireAtLeast(bundle, options.atLeast);
        if (options.output === 'pem') io.out(bundle.anchors.map(toPem).join(''));
        else if (format === 'json' || format === 'yaml')
          printObject(io, format, believed.manifest, { kind: 'manifest', name: () => '', columns: [] });
        else printObject(io, format, believed, signedView);
      }),
    );
}

const byHand = `

The same by hand, for an authority with an elliptic curve key (P-256) or RSA:
  jq -rj .manifest.text bundle.json > manifest.json
  jq -r .manifest.signature bundle.json | base64 -d > manifest.sig
  openssl x509 -in old-ca.crt -noout -pubkey > old.pub
  openssl dgst -sha256 -verify old.pub -signature manifest.sig manifest.json`;
