import { X509Certificate } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import { expect, it } from 'vitest';

import {
  type Condition,
  csrPath,
  expectObject,
  type KubeObject,
  type TypedClient,
  typedClient,
} from '../../support/kube-client.js';
import { type CsrContent, csrPem, keyPem, newEcKey, newRsaKey } from '../../support/pkcs10.js';
import { startTestService, type TestClient, type TestService } from '../../support/service.js';
import { describeEachDatabase } from '../../support/stores.js';
import { openWatch, shapeOf } from '../../support/watch.js';
import { readRecording } from './oracle/cases.js';

const patience = 60_000;
const base64 = (text: string): string => Buffer.from(text).toString('base64');
/** Self-signed, and of another key than any request's. */
const unrelatedCertificate = readRecording().fixtures['_cert'] ?? '';

/** What upstream's framework calls a template: everything but the name. */
function template(signerName: string, content: CsrContent, usages: readonly string[], key = newRsaKey()): object {
  return {
    metadata: { generateName: 'e2e-example-csr-' },
    spec: { request: base64(csrPem(key, content)), signerName, expirationSeconds: 3600, usages },
  };
}

/** The steps of the upstream conformance test "[sig-auth] Certificates API should support CSR API operations". */
describeEachDatabase('the conformance test of the CSR API', (newDatabase) => {
  it(
    'passes step by step',
    async () => {
      const service = await startTestService({ storeUrl: await newDatabase() });
      try {
        await discovery(service.client(service.admin));
        await operations(service);
      } finally {
        await service.stop();
      }
    },
    patience,
  );
});

async function discovery(client: TestClient): Promise<void> {
  const groups = (await client.send('GET', '/apis')).json<{
    groups: { name: string; versions: { version: string }[] }[];
  }>();
  const found = groups.groups.find(({ name }) => name === 'certificates.k8s.io');
  expect(found?.versions.map(({ version }) => version)).toContain('v1');
  const group = await client.send('GET', '/apis/certificates.k8s.io');
  expect(group.json()).toMatchObject({ kind: 'APIGroup', name: 'certificates.k8s.io' });
  const resources = (await client.send('GET', '/apis/certificates.k8s.io/v1')).json<{
    resources: { name: string }[];
  }>();
  expect(resources.resources.map(({ name }) => name)).toEqual(
    expect.arrayContaining([
      'certificatesigningrequests',
      'certificatesigningrequests/approval',
      'certificatesigningrequests/status',
    ]),
  );
}

async function operations(service: TestService): Promise<void> {
  const client = service.client(service.admin);
  const typed = typedClient(client);
  const signerName = 'example.com/e2e-conformance';
  const bySigner = `?fieldSelector=${encodeURIComponent(`spec.signerName=${signerName}`)}`;
  const asked = template(signerName, { subject: [['CN', 'e2e.example.com']], dns: ['e2e.example.com'] }, [
    'digital signature',
    'key encipherment',
    'server auth',
  ]);
  const created: KubeObject[] = [];
  for (let i = 0; i < 3; i += 1) created.push(expectObject(await typed.create(asked), 201));
  expect(new Set(created.map(({ metadata }) => metadata.name)).size).toBe(3);
  const third = created[2] as KubeObject;
  const { name, uid } = third.metadata;
  expect(name).toMatch(/^e2e-example-csr-[bcdfghjklmnpqrstvwxz2456789]{5}$/);

  expect(expectObject(await typed.get(name), 200)).toMatchObject({
    metadata: { uid },
    spec: { expirationSeconds: 3600 },
  });
  const list = expectObject(await typed.list(bySigner), 200);
  expect(list.items).toHaveLength(3);
  const watch = await openWatch(
    `${service.url}${csrPath}?watch=true&resourceVersion=${list.metadata.resourceVersion}&fieldSelector=metadata.name%3D${name}`,
    { dispatcher: client.agent },
  );
  const patched = expectObject(await typed.patch(name, { metadata: { annotations: { patched: 'true' } } }), 200);
  expect(patched.metadata.annotations).toMatchObject({ patched: 'true' });
  const updated = expectObject(await typed.update(withAnnotation(patched, 'updated')), 200);
  expect(updated.metadata.annotations).toMatchObject({ patched: 'true', updated: 'true' });
  expect((await watch.until(2)).map(shapeOf)).toEqual([`MODIFIED ${name}`, `MODIFIED ${name}`]);
  expect(watch.events.map(({ object }) => object.kind)).toEqual(Array(2).fill('CertificateSigningRequest'));
  expect(watch.ended()).toBe(false);
  watch.close();

  await approvalSteps(client, typed, { name, uid });
  await statusSteps(client, typed, { name, uid });

  expectObject(await typed.delete(name), 200);
  expect(expectObject(await typed.get(name), 404).reason).toBe('NotFound');
  expect(expectObject(await typed.list(bySigner), 200).items).toHaveLength(2);
  expectObject(await typed.deleteCollection(bySigner), 200);
  expect(expectObject(await typed.list(bySigner), 200).items).toEqual([]);
}

type Ref = { readonly name: string; readonly uid: string };

async function approvalSteps(client: TestClient, typed: TypedClient, { name, uid }: Ref): Promise<void> {
  const dynamic = await client.send('GET', `${csrPath}/${name}/approval`, { headers: { accept: 'application/json' } });
  expect(expectObject(dynamic, 200)).toMatchObject({
    apiVersion: 'certificates.k8s.io/v1',
    kind: 'CertificateSigningRequest',
    metadata: { uid },
  });
  const patch = {
    metadata: { annotations: { patchedapproval: 'true' } },
    status: { conditions: [{ type: 'ApprovalPatch', status: 'True', reason: 'e2e' }] },
  };
  const patched = expectObject(await typed.patch(name, patch, 'approval'), 200);
  expect(patched.status.conditions).toHaveLength(1);
  expect(patched.metadata.annotations).toMatchObject({ patchedapproval: 'true' });
  const approved = withCondition(patched, {
    type: 'Approved',
    status: 'True',
    reason: 'E2E',
    message: 'Set from an e2e test',
  });
  const updated = expectObject(await typed.update(approved, 'approval'), 200);
  expect(updated.status.conditions?.map(({ type }) => type)).toEqual(['ApprovalPatch', 'Approved']);
}

async function statusSteps(client: TestClient, typed: TypedClient, { name, uid }: Ref): Promise<void> {
  const dynamic = await client.send('GET', `${csrPath}/${name}/status`, { headers: { accept: 'application/json' } });
  expect(expectObject(dynamic, 200)).toMatchObject({ kind: 'CertificateSigningRequest', metadata: { uid } });
  const certificate = unrelatedCertificate;
  const patch = { metadata: { annotations: { patchedstatus: 'true' } }, status: { certificate } };
  const patched = expectObject(await typed.patch(name, patch, 'status'), 200);
  expect(patched).toMatchObject({ metadata: { annotations: { patchedstatus: 'true' } }, status: { certificate } });
  const wanted = withCondition(patched, {
    type: 'StatusUpdate',
    status: 'True',
    reason: 'E2E',
    message: 'Set from an e2e test',
  });
  const updated = expectObject(await typed.update(wanted, 'status'), 200);
  expect(updated.status.conditions?.map(({ type }) => type)).toEqual(['ApprovalPatch', 'Approved', 'StatusUpdate']);
}

/** The sibling: "Certificates API should support building a client with a CSR". */
describeEachDatabase('the test that builds a client with a CSR', (newDatabase) => {
  it(
    'passes',
    async () => {
      const service = await startTestService({ storeUrl: await newDatabase() });
      try {
        const typed = typedClient(service.client(service.admin));
        const key = newEcKey();
        const asked = template(
          'kubernetes.io/kube-apiserver-client',
          {
            subject: [
              ['CN', 'tester-csr'],
              ['O', 'system:masters-of-e2e'],
            ],
          },
          ['digital signature', 'key encipherment', 'client auth'],
          key,
        );
        const created = expectObject(await typed.create(asked), 201);
        const approved = withCondition(created, { type: 'Approved', status: 'True', reason: 'E2E', message: 'e2e' });
        expectObject(await typed.update(approved, 'approval'), 200);
        const pem = await certificate(typed, created.metadata.name);
        expect(pem.match(/-----BEGIN CERTIFICATE-----/g)).toHaveLength(1);
        const { validFrom, validTo } = new X509Certificate(pem);
        expect(Date.parse(validTo) - Date.parse(validFrom)).toBeLessThanOrEqual(3600_000 + 5 * 60_000);
        await asTester(service, { cert: pem, key: keyPem(key) });
      } finally {
        await service.stop();
      }
    },
    patience,
  );
});

/** Upstream's test binds a role to the user first; here nobody but nodes, tokens and administrators may create. */
async function asTester(service: TestService, credential: { cert: string; key: string }): Promise<void> {
  const client = service.client(credential);
  const review = await client.send('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', { body: {} });
  expect(review.json()).toMatchObject({ status: { userInfo: { username: 'tester-csr' } } });
  const refused = expectObject(
    await typedClient(client).create(template('example.com/x', { subject: [['CN', 'x']] }, ['client auth'])),
    403,
  );
  expect(refused.message).toBe(
    'certificatesigningrequests.certificates.k8s.io is forbidden: User "tester-csr" cannot create resource "certificatesigningrequests" in API group "certificates.k8s.io" at the cluster scope',
  );
}

async function certificate(typed: TypedClient, name: string): Promise<string> {
  for (let attempt = 0; attempt < 300; attempt += 1) {
    const { status } = expectObject(await typed.get(name), 200);
    if (status.certificate !== undefined) return Buffer.from(status.certificate, 'base64').toString();
    await sleep(20);
  }
  throw new Error('no certificate came');
}

function withAnnotation(object: KubeObject, key: string): KubeObject {
  const annotations = { ...object.metadata.annotations, [key]: 'true' };
  return { ...object, metadata: { ...object.metadata, annotations } };
}

function withCondition(object: KubeObject, condition: Condition): KubeObject {
  const conditions = [...(object.status.conditions ?? []), condition];
  return { ...object, status: { ...object.status, conditions } };
}
