import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { Ca, CaKeyType } from '../../src/ca/types.js';
import { openStore } from '../../src/store/index.js';
import type { Store } from '../../src/store/types.js';
import { requirePeer, testWithPeer } from '../support/peers.js';
import { newLeafKey } from './leaf-keys.js';
import { issue, leafOrder, logger, ringConfig, startCa, testClock } from './support.js';
import { gnutlsVerify, nodeVerify, opensslVerify } from './verifiers.js';

const keyTypes: CaKeyType[] = ['ec-p256', 'ec-p384', 'rsa-2048', 'rsa-3072', 'rsa-4096', 'ed25519'];
const leafKeys = (['ec-p256', 'ec-p384', 'rsa-2048', 'ed25519'] as const).map((type) => ({
  type,
  key: newLeafKey(type),
}));

const client = '1.3.6.1.5.5.7.3.2';
const server = '1.3.6.1.5.5.7.3.1';

/** A clock at the real time: GnuTLS cannot be told another. */
const presentClock = () => testClock(Math.floor(Date.now() / 1000) * 1000);

async function issueAll(store: Store, ca: Ca, now: number): Promise<string[]> {
  const leaves: string[] = [];
  for (const { key } of leafKeys) {
    const issued = await issue(
      store,
      ca,
      leafOrder(
        {
          spki: key.spki,
          keyId: key.keyId,
          names: [
            { kind: 'dns', value: 'etcd-1.example' },
            { kind: 'dns', value: '*.etcd.example' },
            { kind: 'ip', value: '10.0.0.7' },
            { kind: 'ip', value: '2001:db8::7' },
          ],
          keyUsages: ['digitalSignature', 'keyEncipherment'],
          extendedKeyUsages: [server, client],
        },
        now,
      ),
    );
    expect(new X509Certificate(issued.pem).checkPrivateKey(key.privateKey)).toBe(true);
    leaves.push(issued.pem);
  }
  return leaves;
}

describe.each(keyTypes)('what an authority with a key of type %s signs is verified', (keyType) => {
  const directory = mkdtempSync(join(tmpdir(), 'rotunda-verification-'));
  let leaves: string[] = [];
  let anchors = '';
  let other = '';

  beforeAll(async () => {
    const clock = presentClock();
    const store = await openStore({ url: `sqlite:${join(directory, 'rotunda.db')}`, logger, clock });
    const ca = await startCa(store, {
      clock,
      rings: [ringConfig('kubernetes', { keyType }), ringConfig('other', { commonName: 'kubernetes' })],
    });
    leaves = await issueAll(store, ca, clock.now().getTime());
    anchors = ca.bundle('kubernetes').pem;
    other = ca.bundle('other').pem;
    await store.close();
  });
  afterAll(() => {
    rmSync(directory, { recursive: true, force: true });
  });

  it('by node', () => {
    for (const leaf of leaves) {
      expect(nodeVerify({ leaf, anchors })).toBe(true);
      expect(nodeVerify({ leaf, anchors: other })).toBe(false);
    }
    expect(nodeVerify({ leaf: anchors, anchors })).toBe(true);
  });

  testWithPeer('openssl', 'by OpenSSL, strictly, as client and as server', () => {
    const openssl = requirePeer('openssl');
    for (const leaf of leaves) {
      expect(opensslVerify(openssl, { leaf, anchors }, 'sslclient')).toContain('leaf.pem: OK');
      expect(opensslVerify(openssl, { leaf, anchors }, 'sslserver')).toContain('leaf.pem: OK');
      expect(() => opensslVerify(openssl, { leaf, anchors: other })).toThrow();
    }
    expect(opensslVerify(openssl, { leaf: anchors, anchors })).toContain('OK');
  });

  testWithPeer('certtool', 'by GnuTLS', () => {
    const certtool = requirePeer('certtool');
    for (const leaf of leaves) {
      expect(gnutlsVerify(certtool, { leaf, anchors })).toContain('Chain verification output: Verified.');
      expect(() => gnutlsVerify(certtool, { leaf, anchors: other })).toThrow();
    }
  });
});
