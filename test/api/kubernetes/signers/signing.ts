import { setTimeout as sleep } from 'node:timers/promises';

import { X509Certificate } from '@peculiar/x509';

import { csrPath, expectObject, type KubeObject, mergePatch } from '../../../support/kube-client.js';
import type { TestAnswer, TestClient } from '../../../support/service.js';
import type { Asked } from './requests.js';

/** What became of a request: its certificate, or why there is none. */
export type Signed = {
  readonly created: TestAnswer;
  readonly object: KubeObject;
  readonly certificate: X509Certificate | undefined;
  readonly failed: string | undefined;
};

/** Creates the request, approves it and waits for what the signer makes of it. */
export async function signed(client: TestClient, asked: Asked): Promise<Signed> {
  const { der, ...rest } = asked;
  const pem = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
  const spec = { ...rest, request: Buffer.from(pem).toString('base64') };
  const created = await client.send('POST', csrPath, { body: { metadata: { generateName: 'signed-' }, spec } });
  const { name } = expectObject(created, 201).metadata;
  const conditions = [{ type: 'Approved', status: 'True', reason: 'Test', message: 'yes' }];
  const approved = await client.send('PATCH', `${csrPath}/${name}/approval`, {
    raw: JSON.stringify({ status: { conditions } }),
    headers: { 'content-type': mergePatch },
  });
  expectObject(approved, 200);
  for (let attempt = 0; attempt < 500; attempt += 1) {
    const object = expectObject(await client.send('GET', `${csrPath}/${name}`), 200);
    const failed = object.status.conditions?.find(({ type }) => type === 'Failed');
    const { certificate } = object.status;
    if (certificate !== undefined || failed !== undefined) {
      const pem = certificate === undefined ? undefined : Buffer.from(certificate, 'base64').toString();
      return {
        created,
        object,
        certificate: pem === undefined ? undefined : new X509Certificate(pem),
        failed: failed === undefined ? undefined : `${failed.reason ?? ''}: ${failed.message ?? ''}`,
      };
    }
    await sleep(20);
  }
  throw new Error(`nothing became of ${name}`);
}
