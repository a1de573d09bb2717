import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { makeAuthority } from '../../src/ca/authorities.js';
import { serialNumber } from '../../src/ca/issuing.js';
import { createDatabaseKeyStore } from '../../src/ca/keys/key-store.js';
import { bundleManifest, type ManifestContent } from '../../src/ca/manifest.js';
import type { CaKeyType } from '../../src/ca/types.js';
import { toPem } from '../../src/ca/x509/certificate.js';
import { anchorsDigest, type ClaimedBundle, manifestAlgorithm, verifyManifest } from '../../src/ca/x509/manifest.js';
import type { CertificateFacts } from '../../src/ca/x509/types.js';
import { describeWithPeer, requirePeer } from '../support/peers.js';
import { kek, random, ringConfig } from './support.js';

const now = Date.UTC(2026, 10, 23, 12);
const keyTypes: readonly CaKeyType[] = ['ec-p256', 'ec-p384', 'rsa-2048', 'ed25519'];

type Made = {
  readonly facts: CertificateFacts;
  readonly ski: string;
  sign(data: Buffer): Promise<Buffer> | Buffer;
};

async function newAuthority(keyType: CaKeyType, number: number): Promise<Made> {
  const keys = createDatabaseKeyStore(kek);
  const serial = serialNumber(random, now);
  const { facts, ski, key } = await makeAuthority(ringConfig('etcd', { keyType }), number, { keys, now, serial });
  return { facts, ski, sign: key.sign };
}

function contentOf(anchors: readonly CertificateFacts[], change: Partial<ManifestContent> = {}): ManifestContent {
  return {
    ring: 'etcd',
    generation: 2,
    digest: anchorsDigest(anchors),
    anchors,
    tainted: [],
    floor: 2,
    previous: `sha256:${'0'.repeat(64)}`,
    createdAt: now,
    refreshSeconds: 300,
    ...change,
  };
}

async function bundleOf(signer: Made, content: ManifestContent, anchors: CertificateFacts[]): Promise<ClaimedBundle> {
  const text = bundleManifest(content);
  const signature = (await signer.sign(Buffer.from(text))).toString('base64');
  const { ring, generation, digest } = content;
  return { ring, generation, digest, anchors, manifest: { text, signature, signedBy: signer.ski } };
}

const refused = (why: string): unknown =>
  expect.objectContaining({ code: 'invalid', message: expect.stringContaining(why) as string });

let old: Made;
let next: Made;
let anchors: CertificateFacts[];
beforeAll(async () => {
  old = await newAuthority('ec-p256', 1);
  next = await newAuthority('ec-p256', 2);
  anchors = [old.facts, next.facts];
});

describe('the text of a manifest', () => {
  it('is the same for the same content, to the byte', () => {
    const text = bundleManifest(contentOf(anchors, { tainted: ['bb', 'aa'] }));
    expect(text).toBe(bundleManifest(contentOf(anchors, { tainted: ['aa', 'bb'] })));
    expect(text).toBe(
      `{"kind":"rotunda.dev/v1 BundleManifest","ring":"etcd","generation":2,"digest":"${anchorsDigest(anchors)}",` +
        `"anchors":[${anchors
          .map(
            ({ subjectKeyId = '', fingerprint, notAfter }) =>
              `{"ski":"${subjectKeyId}","fingerprint":"${fingerprint}","notAfter":"${new Date(notAfter).toISOString().slice(0, 19)}Z"}`,
          )
          .join(',')}],` +
        `"tainted":["aa","bb"],"joinFloor":2,"previous":"sha256:${'0'.repeat(64)}",` +
        `"createdAt":"2026-11-23T12:00:00Z","refreshSeconds":300}`,
    );
  });
});

describe('a signed manifest', () => {
  it.each(keyTypes)('is believed from an authority with a key of type %s', async (keyType) => {
    const signer = await newAuthority(keyType, 1);
    const own = [signer.facts, next.facts];
    const manifest = verifyManifest(await bundleOf(signer, contentOf(own), own), signer.facts);
    expect(manifest).toMatchObject({ ring: 'etcd', generation: 2, joinFloor: 2, refreshSeconds: 300 });
    expect(manifestAlgorithm(signer.facts.key.type)).toBe(
      { 'ec-p256': 'ecdsa-sha256', 'ec-p384': 'ecdsa-sha384', 'rsa-2048': 'rsa-sha256', ed25519: 'ed25519' }[
        keyType as 'ec-p256'
      ],
    );
  });

  it('is refused from another authority, and from one without a manifest', async () => {
    const bundle = await bundleOf(old, contentOf(anchors), anchors);
    expect(() => verifyManifest(bundle, next.facts)).toThrow(refused('another authority'));
    const forged = { ...bundle, manifest: bundle.manifest && { ...bundle.manifest, signedBy: next.ski } };
    expect(() => verifyManifest(forged, next.facts)).toThrow(refused('signature of its manifest is wrong'));
    expect(() => verifyManifest({ ...bundle, manifest: undefined }, old.facts)).toThrow(refused('no manifest'));
  });

  it('is refused when the bundle beside it is another one', async () => {
    const bundle = await bundleOf(old, contentOf(anchors), anchors);
    const other = await newAuthority('ec-p256', 3);
    const more = [...anchors, other.facts];
    const cases: readonly (readonly [ClaimedBundle, string])[] = [
      [{ ...bundle, ring: 'kubernetes' }, 'for the ring "etcd"'],
      [{ ...bundle, generation: 3 }, 'for generation 2'],
      [{ ...bundle, anchors: more }, 'digest is not that of its anchors'],
      [{ ...bundle, anchors: more, digest: anchorsDigest(more) }, 'anchors are not those of its manifest'],
      [{ ...bundle, anchors: anchors.toReversed() }, 'not in the order'],
    ];
    for (const [changed, why] of cases) expect(() => verifyManifest(changed, old.facts)).toThrow(refused(why));
  });

  it('is refused from an authority that it calls tainted', async () => {
    const bundle = await bundleOf(old, contentOf(anchors, { tainted: [old.ski] }), anchors);
    expect(() => verifyManifest(bundle, old.facts)).toThrow(refused('tainted'));
  });

  it('is refused when the signed text is no manifest', async () => {
    const good = bundleManifest(contentOf(anchors));
    const texts = [
      '',
      'null',
      '[]',
      '{}',
      'banana',
      good.replace('BundleManifest', 'Other'),
      good.replace('"tainted":[]', '"tainted":[1]'),
      good.replace('"generation":2', '"generation":"2"'),
      good.replace(/"anchors":\[.*?\]/, '"anchors":{}'),
      good.replace('"previous"', '"later"'),
    ];
    for (const text of texts) {
      const signature = (await old.sign(Buffer.from(text))).toString('base64');
      const bundle = {
        ...(await bundleOf(old, contentOf(anchors), anchors)),
        manifest: { text, signature, signedBy: old.ski },
      };
      expect(() => verifyManifest(bundle, old.facts)).toThrow(refused('cannot be read'));
    }
  });

  it('is refused with any other byte in text or signature', async () => {
    const bundle = await bundleOf(old, contentOf(anchors), anchors);
    const { text = '', signature = '' } = bundle.manifest ?? {};
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }), (at, byte) => {
        fc.pre(text[at] !== byte);
        const changed = text.slice(0, at) + byte + text.slice(at + 1);
        const forged = { ...bundle, manifest: { text: changed, signature, signedBy: old.ski } };
        expect(() => verifyManifest(forged, old.facts)).toThrow(refused(''));
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        const forged = { text, signature: Buffer.from(bytes).toString('base64'), signedBy: old.ski };
        expect(() => verifyManifest({ ...bundle, manifest: forged }, old.facts)).toThrow(refused('signature'));
      }),
    );
  });
});

describeWithPeer('openssl', 'openssl', () => {
  const directory = mkdtempSync(join(tmpdir(), 'rotunda-manifest-'));
  afterAll(() => {
    rmSync(directory, { recursive: true, force: true });
  });
  const openssl = (...args: string[]): string =>
    execFileSync(requirePeer('openssl'), args, { cwd: directory, encoding: 'utf8', stdio: 'pipe' });

  it.each(keyTypes)('verifies what an authority with a key of type %s has signed', async (keyType) => {
    const signer = await newAuthority(keyType, 1);
    const { manifest } = await bundleOf(signer, contentOf([signer.facts]), [signer.facts]);
    const put = (name: string, content: string | Buffer): void => {
      writeFileSync(join(directory, name), content);
    };
    put('ca.crt', toPem(signer.facts));
    put('manifest.json', manifest?.text ?? '');
    put('manifest.sig', Buffer.from(manifest?.signature ?? '', 'base64'));
    put('ca.pub', openssl('x509', '-in', 'ca.crt', '-noout', '-pubkey'));
    const check = (): string =>
      keyType === 'ed25519'
        ? openssl(...'pkeyutl -verify -rawin -pubin -inkey ca.pub -sigfile manifest.sig -in manifest.json'.split(' '))
        : openssl(
            'dgst',
            keyType === 'ec-p384' ? '-sha384' : '-sha256',
            ...'-verify ca.pub -signature manifest.sig manifest.json'.split(' '),
          );
    expect(check()).toMatch(/Verified OK|Signature Verified Successfully/);
    put('manifest.json', (manifest?.text ?? '').replace('"generation":2', '"generation":3'));
    expect(check).toThrow();
  });
});
