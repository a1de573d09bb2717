import { csrPath, expectObject, type KubeObject, mergePatch } from './kube-client.js';
import { csrPem, newEcKey } from './pkcs10.js';
import type { TestClient } from './service.js';

/** base64 of the PEM of a good request. */
export const anyRequest = Buffer.from(csrPem(newEcKey(), { subject: [['CN', 'alice']] })).toString('base64');

/** A request that nobody signs, with this metadata. */
export async function createRequest(
  client: TestClient,
  metadata: Readonly<Record<string, unknown>>,
  spec: object = {},
): Promise<KubeObject> {
  const whole = { request: anyRequest, signerName: 'example.com/x', usages: ['client auth'], ...spec };
  return expectObject(await client.send('POST', csrPath, { body: { metadata, spec: whole } }), 201);
}

/** A merge patch. */
export async function patchRequest(
  client: TestClient,
  name: string,
  body: object,
  subresource = '',
): Promise<KubeObject> {
  const answer = await client.send('PATCH', `${csrPath}/${name}${subresource}`, {
    raw: JSON.stringify(body),
    headers: { 'content-type': mergePatch },
  });
  return expectObject(answer, 200);
}

export async function deleteRequest(client: TestClient, name: string): Promise<void> {
  expectObject(await client.send('DELETE', `${csrPath}/${name}`), 200);
}
