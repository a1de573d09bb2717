import { X509Certificate } from 'node:crypto';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { intend, leafOrder } from '../ca/support.js';
import { newLeafKey } from '../ca/leaf-keys.js';
import { keyPem } from '../support/pkcs10.js';
import { startTestService, type TestService, type TlsCredential } from '../support/service.js';

let rotunda: TestService;
let recorded: TlsCredential;
/** Signed with the CA's key and not in the inventory: what somebody with a copy of that key can make. */
let minted: TlsCredential;

async function leaf(commonName: string, record: boolean): Promise<TlsCredential> {
  const { ca, store } = rotunda.service.context;
  const key = newLeafKey('ec-p256');
  const subject = [
    { oid: '2.5.4.10', value: 'system:nodes' },
    { oid: '2.5.4.3', value: commonName },
  ];
  const { node: _node, ...order } = leafOrder({ commonName, subject, spki: key.spki, keyId: key.keyId }, Date.now());
  const prepared = ca.issuing.prepare(order);
  await intend(store, ca, prepared);
  const issued = await ca.issuing.sign(prepared);
  if (record) await store.write((tx) => ca.issuing.record(tx, issued));
  return { cert: issued.pem, key: keyPem(key.privateKey) };
}

async function statusOf(credential: TlsCredential): Promise<number> {
  return (await rotunda.client(credential).send('GET', '/pki/v1/whoami')).status;
}

beforeAll(async () => {
  rotunda = await startTestService({ config: { rotation: { automatic: false } } });
  recorded = await leaf('system:node:worker-1', true);
  minted = await leaf('system:node:worker-2', false);
});

afterAll(async () => {
  await rotunda.stop();
});

describe("certificates of an authority whose key is somebody else's too", () => {
  it('count, until that is known, by their signature', async () => {
    expect(await statusOf(recorded)).toBe(200);
    expect(await statusOf(minted)).toBe(200);
  });

  it('count from then on only if they were issued here before, byte for byte, also on connections that are open', async () => {
    const open = rotunda.client(minted);
    expect((await open.send('GET', '/pki/v1/whoami')).status).toBe(200);
    const options = { deadline: Date.now() + 3_600_000, preference: 'availability-first' } as const;
    const request = {
      ring: 'kubernetes',
      kind: 'emergency',
      policy: 'automatic',
      crossSign: false,
      options,
      reason: 'a test',
    } as const;
    await rotunda.service.context.rotations.start(request, 'admin');
    expect(await statusOf(recorded)).toBe(200);
    expect(await statusOf(minted)).toBe(401);
    expect((await open.send('GET', '/pki/v1/whoami')).status).toBe(401);
  });

  it('cannot ask for others in the name of a node', async () => {
    const body = { signerName: 'kubernetes.io/kube-apiserver-client-kubelet', request: 'x' };
    expect((await rotunda.client(minted).send('POST', '/pki/v1/requests', { body })).status).toBe(401);
  });

  it('are no better by the word of an API server, which believes the authority still', async () => {
    const { proxied } = rotunda.service.context;
    const key = 'authentication.kubernetes.io/credential-id';
    const said = (username: string, groups: readonly string[], ...credential: string[]) =>
      proxied.identityOf({
        ...{ username, uid: '', groups: [...groups, 'system:authenticated'] },
        extra: credential.length === 0 ? {} : { [key]: credential },
      });
    const nodes = ['system:nodes'];
    const masters = ['system:masters'];
    const fingerprint = new X509Certificate(recorded.cert).fingerprint256.replaceAll(':', '').toLowerCase();
    await expect(said('system:node:worker-1', nodes, `X509SHA256=${fingerprint}`)).resolves.toMatchObject({
      node: 'worker-1',
    });
    const unknown = `X509SHA256=${'0'.repeat(64)}`;
    for (const [name, groups] of [
      ['system:node:worker-2', nodes],
      ['root', masters],
      ['system:serviceaccount:kube-system:a', ['system:serviceaccounts']],
    ] as const) {
      await expect(said(name, groups, unknown)).rejects.toMatchObject({ code: 'forbidden' });
      await expect(said(name, groups)).rejects.toMatchObject({ code: 'forbidden' });
    }
    await expect(
      said('system:serviceaccount:kube-system:a', ['system:serviceaccounts'], 'JTI=1'),
    ).resolves.toBeDefined();
  });
});
