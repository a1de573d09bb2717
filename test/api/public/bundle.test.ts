import { createHash, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { answerBundle, bundleRepresentation, matchesEtag, type BundleBody } from '../../../src/api/public/bundle.js';
import { bundleRow, toBundle } from '../../../src/ca/bundles.js';
import { anchorsDigest } from '../../../src/ca/x509/manifest.js';
import type { Bundle } from '../../../src/ca/types.js';
import type { CertificateFacts } from '../../../src/ca/x509/types.js';
import { openStore } from '../../../src/store/index.js';
import { logger, startCa, testClock } from '../../ca/support.js';

const directory = mkdtempSync(join(tmpdir(), 'rotunda-bundle-'));
let anchors: CertificateFacts[] = [];
let bundle: Bundle;

const makeBundle = (generation: number, list: CertificateFacts[]): Bundle =>
  toBundle(bundleRow('etcd', generation, list, 1), (fingerprint) =>
    anchors.find((anchor) => anchor.fingerprint === fingerprint),
  );

beforeAll(async () => {
  const store = await openStore({ url: `sqlite:${join(directory, 'rotunda.db')}`, logger, clock: testClock() });
  const ca = await startCa(store);
  anchors = ca.rings().flatMap((ring) => ca.bundle(ring.name).anchors);
  bundle = makeBundle(7, anchors.slice(0, 2));
  await store.close();
});
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

describe('the digest of a bundle', () => {
  it('is over the DER of its anchors, by fingerprint, whatever their order', () => {
    const sorted = anchors.toSorted((a, b) => a.fingerprint.localeCompare(b.fingerprint));
    const expected = createHash('sha256')
      .update(Buffer.concat(sorted.map((anchor) => anchor.der)))
      .digest('hex');
    expect(anchorsDigest(anchors)).toBe(`sha256:${expected}`);
    expect(anchorsDigest(anchors.toReversed())).toBe(`sha256:${expected}`);
    expect(anchorsDigest(anchors.slice(1))).not.toBe(`sha256:${expected}`);
  });
});

describe('a bundle', () => {
  it('is JSON unless PEM is asked for', () => {
    const { contentType, body } = bundleRepresentation(bundle, undefined);
    expect(contentType).toBe('application/json; charset=utf-8');
    const parsed = JSON.parse(body) as BundleBody;
    expect(parsed).toMatchObject({ ring: 'etcd', generation: 7, digest: bundle.digest });
    expect(parsed.anchors).toHaveLength(2);
    for (const [index, anchor] of parsed.anchors.entries()) {
      const certificate = new X509Certificate(anchor.pem);
      expect(anchor.fingerprint).toBe(certificate.fingerprint256.replaceAll(':', '').toLowerCase());
      expect(anchor.subject).toBe(certificate.subject);
      expect(Date.parse(anchor.notBefore)).toBe(Date.parse(certificate.validFrom));
      expect(Date.parse(anchor.notAfter)).toBe(Date.parse(certificate.validTo));
      expect(anchor.ski).toBe(anchors[index]?.subjectKeyId);
    }
  });

  it.each(['application/pem-certificate-chain', 'application/x-pem-file', 'text/plain'])('is PEM as %s', (type) => {
    const { contentType, body } = bundleRepresentation(bundle, type);
    expect(contentType.split(';')[0]).toBe(type);
    expect(body).toBe(bundle.pem);
    expect(body.match(/-----BEGIN CERTIFICATE-----\n/g)).toHaveLength(2);
    expect(body.endsWith('-----END CERTIFICATE-----\n')).toBe(true);
  });

  it('is nothing else', () => {
    expect(() => bundleRepresentation(bundle, 'image/png')).toThrow(
      expect.objectContaining({ code: 'not-acceptable' }),
    );
  });

  it('has a strong tag of its own for each representation and content', () => {
    const other = makeBundle(8, anchors.slice(0, 2));
    const tags = [
      bundleRepresentation(bundle, 'application/json').etag,
      bundleRepresentation(bundle, 'text/plain').etag,
      bundleRepresentation(bundle, 'application/x-pem-file').etag,
      bundleRepresentation(other, 'application/json').etag,
      bundleRepresentation(makeBundle(7, anchors.slice(1, 3)), 'text/plain').etag,
    ];
    expect(new Set(tags).size).toBe(tags.length);
    for (const tag of tags) expect(tag).toMatch(/^"[A-Za-z0-9_-]{43}"$/);
    // The same anchors under another generation are the same PEM.
    expect(bundleRepresentation(other, 'text/plain').etag).toBe(tags[1]);
  });

  it('answers 304 to who has it already', () => {
    const fresh = answerBundle(bundle, {});
    expect(fresh.status).toBe(200);
    expect(fresh.headers).toMatchObject({
      vary: 'Accept',
      'cache-control': 'public, max-age=60, stale-if-error=86400',
    });
    const again = answerBundle(bundle, { ifNoneMatch: `"older", W/${fresh.headers['etag'] ?? ''}` });
    expect(again).toEqual({
      status: 304,
      headers: {
        etag: fresh.headers['etag'],
        vary: 'Accept',
        'cache-control': fresh.headers['cache-control'],
        'rotunda-bundle-generation': '7',
      },
      body: '',
    });
    expect(answerBundle(bundle, { accept: 'text/plain', ifNoneMatch: fresh.headers['etag'] }).status).toBe(200);
    expect(answerBundle(bundle, { byGeneration: true }).headers['cache-control']).toContain('immutable');
  });

  it.each([
    [undefined, false],
    ['*', true],
    ['"x"', true],
    ['W/"x"', true],
    ['"y", "x"', true],
    ['x', false],
    ['"xx"', false],
    ['', false],
  ])('takes If-None-Match %j for a match: %s', (header, expected) => {
    expect(matchesEtag(header, '"x"')).toBe(expected);
  });
});
