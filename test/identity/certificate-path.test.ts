import { x509 } from '../../src/ca/x509/peculiar.js';
import { beforeAll, describe, expect, test } from 'vitest';

import { createPathVerifier, type PathVerifier } from '../../src/identity/certificate-path.js';
import { identityOf } from '../../src/identity/certificate-identity.js';
import { type Authority, bundleOf, clientAuth, makeAuthority, makeLeaf, resigned, serverAuth } from './forge.js';
import { dayMs, start, topology } from './rooms.js';

const valid = { notBefore: start - dayMs, notAfter: start + 10 * dayMs };

/** Paths of certificates that another library made. */
describe('certificate paths', () => {
  let root: Authority;
  let rootReissued: Buffer;
  let cross: Authority;
  let verifier: PathVerifier;
  let bundle: ReturnType<typeof bundleOf>;

  beforeAll(async () => {
    root = await makeAuthority({ name: 'root', ...valid });
    rootReissued = (await makeAuthority({ name: 'elsewhere', ...valid })).der;
    cross = await makeAuthority({ name: 'next', ...valid, notAfter: start + 5 * dayMs }, root);
    bundle = bundleOf('kubernetes', 3, root.der, rootReissued);
    verifier = createPathVerifier({ bundle: () => bundle }, ['kubernetes']);
  });
  const refused = (der: Buffer, ...chain: Buffer[]): string => {
    try {
      verifier.verify(der, chain);
    } catch (error) {
      if (error instanceof Error && error.cause instanceof Error) return error.cause.message;
      throw error;
    }
    throw new Error('it was not refused');
  };

  test('a leaf below an anchor', async () => {
    const leaf = await makeLeaf({ name: 'alice', ...valid, notAfter: start + 20 * dayMs }, root);
    expect(verifier.verify(leaf, [])).toMatchObject({
      ring: 'kubernetes',
      generation: 3,
      notBefore: valid.notBefore,
      notAfter: valid.notAfter,
    });
    expect(refused(resigned(leaf))).toContain('no current anchor');
  });
  test('a leaf below a presented cross-certificate is valid as long as that is', async () => {
    const leaf = await makeLeaf({ name: 'alice', ...valid }, cross);
    expect(refused(leaf)).toContain('no current anchor');
    expect(verifier.verify(leaf, [Buffer.from('rubbish'), rootReissued, cross.der])).toMatchObject({
      notAfter: start + 5 * dayMs,
    });
    expect(refused(leaf, resigned(cross.der))).toContain('no current anchor');
  });
  test('what may not lie between', async () => {
    const bad = [
      await makeAuthority({ name: 'leaf', ca: false, ...valid }, root),
      await makeAuthority({ name: 'no-sign', usages: x509.KeyUsageFlags.digitalSignature, ...valid }, root),
      await makeAuthority({ name: 'server', extendedKeyUsages: [serverAuth], ...valid }, root),
      await makeAuthority({ name: 'two-deep', ...valid }, cross),
      await makeAuthority({ name: 'foreign', ...valid }),
    ];
    for (const between of bad) {
      const leaf = await makeLeaf({ name: 'alice', ...valid }, between);
      expect(refused(leaf, between.der, cross.der), between.name).toContain('no current anchor');
    }
  });
  test('what is nobody', async () => {
    const server = { extendedKeyUsages: [serverAuth] };
    expect(refused(await makeLeaf({ name: 'a', ...valid, ...server }, root))).toContain(
      'not for client authentication',
    );
    expect(refused(await makeLeaf({ name: 'a', ...valid, extendedKeyUsages: [] }, root))).toContain(
      'not for client authentication',
    );
    expect(refused(await makeLeaf({ name: 'a', ...valid, extendedKeyUsages: ['2.5.29.37.0'] }, root))).toContain(
      'not for client authentication',
    );
    expect(refused(root.der)).toContain('CA certificate');
    expect(refused(cross.der)).toContain('CA certificate');
    for (const rubbish of [
      Buffer.alloc(0),
      Buffer.from('rubbish'),
      root.der.subarray(0, 100),
      Buffer.concat([root.der, Buffer.from([0])]),
    ]) {
      expect(refused(rubbish)).toContain('cannot be read');
    }
    const self = await makeAuthority({
      name: 'root',
      ca: false,
      usages: x509.KeyUsageFlags.digitalSignature,
      extendedKeyUsages: [clientAuth],
      ...valid,
    });
    expect(refused(self.der)).toContain('no current anchor');
  });
  test('an anchor that left the bundle vouches no more', async () => {
    const leaf = await makeLeaf({ name: 'alice', ...valid }, root);
    verifier.verify(leaf, []);
    const before = bundle;
    bundle = bundleOf('kubernetes', 4, rootReissued);
    expect(refused(leaf)).toContain('no current anchor');
    bundle = before;
    verifier.verify(leaf, []);
  });

  test('the uid attribute, when there is exactly one that is not empty', async () => {
    const withUids = async (...uids: string[]) => {
      const leaf = await makeLeaf({ name: 'alice', uids, ...valid }, root);
      return identityOf(verifier.verify(leaf, []), undefined, topology);
    };
    expect((await withUids()).uid).toBe('');
    expect((await withUids('u-1')).uid).toBe('u-1');
    for (const bad of [['u-1', 'u-2'], ['']]) {
      await expect(withUids(...bad)).rejects.toMatchObject({ code: 'unauthorized' });
    }
  });
});
