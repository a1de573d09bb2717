import { setTimeout as sleep } from 'node:timers/promises';

import { csrPem, type CsrContent, keyPem, newEcKey } from '../../../support/pkcs10.js';
import type { TestClient, TestService } from '../../../support/service.js';
import type { User } from './replay.js';

const collection = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
const badToken = 'aaaaaa.0123456789abcdef';

/** The recording's users: the service's administrator, an unbound kubeadm token, a node, a user without rights. */
export async function recordingUsers(started: TestService): Promise<Record<string, User>> {
  const { service, admin } = started;
  const asAdmin = started.client(admin);
  const token = await service.context.tokens.create(
    { token: 'abcdef.0123456789abcdef', groups: ['system:bootstrappers:kubeadm:default-node-token'], ttlMs: 3_600_000 },
    await service.context.authenticator.authenticate({}),
  );
  const [nodeA, plain] = await Promise.all([
    certificateFor(asAdmin, 'kubernetes.io/kube-apiserver-client-kubelet', {
      subject: [
        ['O', 'system:nodes'],
        ['CN', 'system:node:node-a'],
      ],
    }),
    certificateFor(asAdmin, 'kubernetes.io/kube-apiserver-client', { subject: [['CN', 'plain']] }),
  ]);
  return {
    admin,
    bootstrap: { token: `${token.token.id}.${token.secret}` },
    'node-a': nodeA,
    plain,
    anonymous: {},
    badtoken: { token: badToken },
  };
}

/** A client certificate that the administrator asks for and approves. */
async function certificateFor(client: TestClient, signerName: string, content: CsrContent): Promise<User> {
  const key = newEcKey();
  const request = Buffer.from(csrPem(key, content)).toString('base64');
  const spec = { request, signerName, usages: ['digital signature', 'client auth'] };
  const created = await client.send('POST', collection, { body: { metadata: { generateName: 'oracle-user-' }, spec } });
  const path = `${collection}/${created.json<{ metadata: { name: string } }>().metadata.name}`;
  const conditions = [{ type: 'Approved', status: 'True', reason: 'Test' }];
  await client.send('PATCH', `${path}/approval`, {
    body: { status: { conditions } },
    headers: { 'content-type': 'application/merge-patch+json' },
  });
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const { status } = (await client.send('GET', path)).json<{ status: { certificate?: string } }>();
    if (status.certificate !== undefined)
      return { cert: Buffer.from(status.certificate, 'base64').toString(), key: keyPem(key) };
    await sleep(50);
  }
  throw new Error(`no certificate under ${signerName}`);
}
