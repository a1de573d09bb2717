import type { webcrypto } from 'node:crypto';
import { Crypto as OtherCrypto } from '@peculiar/webcrypto';
import { describe, expect, test } from 'vitest';

import { certificateParts } from '../../../src/ca/x509/certificate.js';
import { type CaKeyType, caKeyTypes, leafSpec, makeAuthority } from './leaves.js';

describe('the signature, verified by a second implementation', () => {
  const algorithms: Readonly<Record<CaKeyType, { name: string; hash?: string; namedCurve?: string }>> = {
    'ec-p256': { name: 'ECDSA', hash: 'SHA-256', namedCurve: 'P-256' },
    'ec-p384': { name: 'ECDSA', hash: 'SHA-384', namedCurve: 'P-384' },
    'rsa-2048': { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
    'rsa-3072': { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
    'rsa-4096': { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
    ed25519: { name: 'Ed25519' },
  };

  /** WebCrypto's r || s from an ECDSA-Sig-Value. */
  function rawEcdsa(der: Buffer, size: number): Buffer {
    const rEnd = 4 + (der[3] ?? 0);
    const parts = [der.subarray(4, rEnd), der.subarray(rEnd + 2)];
    return Buffer.concat(parts.map((n) => Buffer.concat([Buffer.alloc(size), n]).subarray(-size)));
  }

  test.each(caKeyTypes)(
    '%s',
    async (keyType) => {
      const { subtle } = new OtherCrypto() as unknown as webcrypto.Crypto;
      const algorithm = algorithms[keyType];
      const issuer = await makeAuthority(keyType);
      const spki = issuer.facts.key.spki;
      const key = await subtle.importKey('spki', spki, algorithm, true, ['verify']);
      for (const der of [issuer.issue(leafSpec()), issuer.facts.der]) {
        const { tbs, signature } = certificateParts(der);
        const raw =
          algorithm.namedCurve === undefined ? signature : rawEcdsa(signature, keyType === 'ec-p256' ? 32 : 48);
        expect(await subtle.verify(algorithm, key, raw, tbs)).toBe(true);
        tbs[20] = (tbs[20] ?? 0) ^ 1;
        expect(await subtle.verify(algorithm, key, raw, tbs)).toBe(false);
      }
    },
    60_000,
  );
});
