import { beforeAll, describe, expect, it } from 'vitest';

import { bundleBody } from '../../src/api/public/bundle.js';
import { makeAuthority } from '../../src/ca/authorities.js';
import { serialNumber } from '../../src/ca/issuing.js';
import { createDatabaseKeyStore } from '../../src/ca/keys/key-store.js';
import { bundleManifest } from '../../src/ca/manifest.js';
import { anchorsDigest } from '../../src/ca/x509/manifest.js';
import type { CertificateFacts } from '../../src/ca/x509/types.js';
import { believe, parseBundle } from '../../src/cli/bundle-trust.js';
import type { Client } from '../../src/cli/client.js';
import { isFailure, remoteFailure } from '../../src/cli/failure.js';
import { kek, random, ringConfig } from '../ca/support.js';

const now = Date.UTC(2026, 10, 23, 12);

type Made = { readonly facts: CertificateFacts; readonly ski: string; sign(data: Buffer): Promise<Buffer> | Buffer };
type Step = {
  readonly signer: Made;
  readonly anchors: readonly Made[];
  readonly tainted?: readonly Made[];
  readonly previous?: string;
  readonly unsigned?: true;
};

let authorities: Made[];
beforeAll(async () => {
  const keys = createDatabaseKeyStore(kek);
  authorities = await Promise.all(
    [1, 2, 3, 4].map(async (number) => {
      const serial = serialNumber(random, now);
      const { facts, ski, key } = await makeAuthority(ringConfig('etcd'), number, { keys, now, serial });
      return { facts, ski, sign: key.sign };
    }),
  );
});

/** The generations of a ring, the first without a manifest, as a service shows them in JSON. */
async function published(first: readonly Made[], steps: readonly Step[]): Promise<string[]> {
  const texts: string[] = [];
  let previous = '';
  for (const [index, { signer, anchors: made, ...step }] of [
    { signer: first[0], anchors: first, unsigned: true as const },
    ...steps,
  ].entries()) {
    const anchors = made.map(({ facts }) => facts);
    const digest = anchorsDigest(anchors);
    const generation = index + 1;
    const text = bundleManifest({
      ...{ ring: 'etcd', generation, digest, anchors, floor: 0, createdAt: now, refreshSeconds: 300 },
      tainted: ('tainted' in step ? (step.tainted ?? []) : []).map(({ ski }) => ski),
      previous: ('previous' in step ? step.previous : undefined) ?? previous,
    });
    const signature = (await signer?.sign(Buffer.from(text)))?.toString('base64') ?? '';
    const manifest = step.unsigned === true ? undefined : { text, signature, signedBy: signer?.ski ?? '' };
    texts.push(
      JSON.stringify(bundleBody({ ring: 'etcd', generation, digest, anchors, pem: '', createdAt: now, manifest })),
    );
    previous = digest;
  }
  return texts;
}

/** Asks for the last generation with these anchors at hand; SKIs of who vouches from then on, or why it is not believed. */
async function asked(texts: readonly string[], held: readonly Made[]): Promise<readonly string[] | string> {
  const send = (_method: string, path: string): Promise<{ status: number; text: string }> => {
    const text = texts[Number(/bundles\/(\d+)$/.exec(path)?.[1]) - 1];
    return text === undefined ? Promise.reject(remoteFailure('not there')) : Promise.resolve({ status: 200, text });
  };
  const bundle = parseBundle(texts.at(-1) ?? '', 'the answer');
  try {
    const vouching = await believe(
      { send } as unknown as Client,
      bundle,
      held.map(({ facts }) => facts),
    );
    return vouching.map(({ subjectKeyId = '' }) => subjectKeyId);
  } catch (error) {
    if (!isFailure(error)) throw error;
    return error.message;
  }
}

describe('a bundle that is far from what is held', () => {
  it('is believed over two rotations, from whichever generation one begins', async () => {
    const [a, b, c] = authorities as [Made, Made, Made];
    const texts = await published(
      [a],
      [
        { signer: a, anchors: [a, b] },
        { signer: b, anchors: [b] },
        { signer: b, anchors: [b, c] },
        { signer: c, anchors: [c] },
      ],
    );
    for (const held of [[a], [a, b], [b], [b, c], [c]]) expect(await asked(texts, held)).toEqual([c.ski]);
  });

  it('is not believed by a stranger, nor over a gap', async () => {
    const [a, b, c, d] = authorities as [Made, Made, Made, Made];
    const texts = await published(
      [a],
      [
        { signer: a, anchors: [a, b] },
        { signer: b, anchors: [b, c], unsigned: true },
        { signer: c, anchors: [c] },
      ],
    );
    expect(await asked(texts, [d])).toContain('none of those at hand');
    expect(await asked(texts, [a])).toContain('none of those at hand');
    expect(await asked(texts.with(2, 'banana'), [a])).toContain('is not a bundle in JSON');
  });

  it('is not believed when one in between follows another', async () => {
    const [a, b] = authorities as [Made, Made];
    const steps = (previous?: string): Step[] => [
      { signer: a, anchors: [a, b] },
      { signer: b, anchors: [b], ...(previous === undefined ? {} : { previous }) },
    ];
    expect(await asked(await published([a], steps()), [a])).toEqual([b.ski]);
    const other = `sha256:${'0'.repeat(64)}`;
    expect(await asked(await published([a], steps(other)), [a])).toContain('none of those at hand');
  });

  it('is not believed by way of an authority that was called tainted', async () => {
    const [a, b, c] = authorities as [Made, Made, Made];
    const texts = await published(
      [a],
      [
        { signer: a, anchors: [a, b] },
        { signer: a, anchors: [a, b, c], tainted: [b] },
        { signer: b, anchors: [b] },
      ],
    );
    expect(await asked(texts, [a])).toContain('none of those at hand');
    expect(await asked(texts.slice(0, 3), [a])).toEqual([a.ski, c.ski]);
  });

  it('without a manifest brings nothing new', async () => {
    const [a, b] = authorities as [Made, Made];
    expect(await asked(await published([a], []), [a, b])).toEqual([a.ski]);
    expect(await asked(await published([a, b], []), [a])).toContain('has no manifest');
  });

  it('is not looked for without end', async () => {
    const [a, b] = authorities as [Made, Made];
    const texts = await published(
      [a],
      [{ signer: a, anchors: [b] }, ...Array.from({ length: 70 }, () => ({ signer: b, anchors: [b] }))],
    );
    expect(await asked(texts.slice(0, 60), [a])).toEqual([b.ski]);
    expect(await asked(texts, [a])).toContain('none of those at hand');
  });
});
