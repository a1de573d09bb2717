import { X509Certificate } from 'node:crypto';

import { describe, expect, it } from 'vitest';

import type { CertificateRequest, Condition, UpdateEndpoint } from '../../src/csr/types.js';
import { encodePem } from '../../src/ca/x509/pem.js';
import { describeEachStore } from '../support/stores.js';
import { administrator, draft, nodeIdentity, nodeSubject, type Service, startService } from './support.js';

const approved: Condition = { type: 'Approved', status: 'True', reason: 'Test', message: 'yes' };
const denied: Condition = { type: 'Denied', status: 'True', reason: 'Test', message: 'no' };
const failed: Condition = { type: 'Failed', status: 'True', reason: 'Test', message: 'broken' };
const custom: Condition = { type: 'Custom', status: 'False' };

type Edit = (request: CertificateRequest) => void;
type Step = readonly [UpdateEndpoint, Edit];

const conditions =
  (...list: Condition[]): Edit =>
  (request) => {
    request.status.conditions = list.map((condition) => ({ ...condition }));
  };

async function newRequest(service: Service): Promise<CertificateRequest> {
  return (await service.requests.submit(administrator, draft('example.com/custom', nodeSubject('node-a')))).request;
}

async function edit(
  service: Service,
  name: string,
  endpoint: UpdateEndpoint,
  change: Edit,
): Promise<CertificateRequest> {
  const text = await service.requests.update(
    name,
    (current) => {
      change(current);
      return current;
    },
    { endpoint, identity: administrator },
  );
  return JSON.parse(text) as CertificateRequest;
}

const set =
  (certificate: string): Edit =>
  (request) => {
    request.status.certificate = certificate;
  };
const b64 = (text: string): string => Buffer.from(text).toString('base64');

describeEachStore('update', (open) => {
  describe('refuses, in upstream words', () => {
    it.each<[string, Step[], string]>([
      [
        'Approved and Denied together',
        [['approval', conditions(approved, denied)]],
        'status.conditions: Invalid value: "Denied": Approved and Denied conditions are mutually exclusive',
      ],
      [
        'adding Denied to Approved',
        [
          ['approval', conditions(approved)],
          ['approval', conditions(approved, denied)],
        ],
        'status.conditions: Invalid value: "Denied": Approved and Denied conditions are mutually exclusive',
      ],
      [
        'removing Approved',
        [
          ['approval', conditions(approved)],
          ['approval', conditions()],
        ],
        'status.conditions: Forbidden: updates may not remove a condition of type "Approved"',
      ],
      [
        'replacing Approved',
        [
          ['approval', conditions(approved)],
          ['approval', conditions(denied)],
        ],
        'status.conditions: Forbidden: updates may not remove a condition of type "Approved"',
      ],
      [
        'an empty type',
        [['approval', conditions({ ...approved, type: '' })]],
        'status.conditions[0].type: Required value',
      ],
      [
        'no status',
        [['approval', conditions({ ...approved, status: '' })]],
        'status.conditions[0].status: Required value',
      ],
      [
        'Approved False',
        [['approval', conditions({ ...approved, status: 'False' })]],
        'status.conditions[0].status: Unsupported value: "False": supported values: "True"',
      ],
      [
        'a type twice',
        [['approval', conditions(approved, approved)]],
        'status.conditions[1].type: Duplicate value: "Approved"',
      ],
      [
        'approving through status',
        [['status', conditions(approved)]],
        'status.conditions: Forbidden: updates may not add a condition of type "Approved"',
      ],
      [
        'removing Failed',
        [
          ['approval', conditions(approved)],
          ['status', conditions(approved, failed)],
          ['status', conditions(approved)],
        ],
        'status.conditions: Forbidden: updates may not remove a condition of type "Failed"',
      ],
      [
        'no certificate in the certificate',
        [['status', set(b64('foo'))]],
        'status.certificate: Invalid value: "<certificate data>": must contain at least one CERTIFICATE PEM block',
      ],
      [
        'another block',
        [['status', set(b64(encodePem('CERTIFICATE REQUEST', Buffer.from([0x30, 0]))))]],
        'status.certificate: Invalid value: "<certificate data>": only CERTIFICATE PEM blocks are allowed, found "CERTIFICATE REQUEST"',
      ],
      [
        'broken DER',
        [['status', set(b64(encodePem('CERTIFICATE', Buffer.from([0x30, 3, 1, 2, 3]))))]],
        'status.certificate: Invalid value: "<certificate data>": x509: malformed certificate',
      ],
    ])('%s', async (_what, steps, message) => {
      const service = await startService(await open());
      const { name } = (await newRequest(service)).metadata;
      for (const [endpoint, change] of steps.slice(0, -1)) await edit(service, name, endpoint, change);
      const [endpoint, change] = steps.at(-1) ?? ['main', () => undefined];
      await expect(edit(service, name, endpoint, change)).rejects.toMatchObject({ code: 'invalid', message });
    });
  });

  it('puts back what an endpoint may not touch', async () => {
    const service = await startService(await open());
    const request = await newRequest(service);
    const everything: Edit = (wanted) => {
      wanted.spec = { request: '', signerName: 'example.com/other', usages: ['any'] };
      wanted.status = { conditions: [{ ...approved }], certificate: b64('x') };
      wanted.metadata.labels = { a: 'b' };
      Object.assign(wanted.metadata, {
        creationTimestamp: '2020-01-01T00:00:00Z',
        generation: 9,
        deletionTimestamp: '2020-01-01T00:00:00Z',
      });
    };
    const main = await edit(service, request.metadata.name, 'main', everything);
    expect(main).toEqual({
      ...request,
      metadata: { ...request.metadata, labels: { a: 'b' }, resourceVersion: main.metadata.resourceVersion },
    });
    const onApproval = await edit(service, request.metadata.name, 'approval', everything);
    expect(onApproval.spec).toEqual(request.spec);
    expect(onApproval.status).toEqual({
      conditions: [{ ...approved, lastUpdateTime: '2026-11-23T12:00:00Z', lastTransitionTime: '2026-11-23T12:00:00Z' }],
    });
  });

  it('keeps times that were sent, fills in others, and lets custom conditions come and go', async () => {
    const service = await startService(await open());
    const { name } = (await newRequest(service)).metadata;
    const times = { lastUpdateTime: '2020-01-01T00:00:00Z', lastTransitionTime: '2020-01-01T00:00:00Z' };
    const first = await edit(service, name, 'approval', conditions({ ...approved, ...times }, custom));
    expect(first.status.conditions?.[0]).toEqual({ ...approved, ...times });
    service.clock.set(service.clock.now().getTime() + 60_000);
    const again = await edit(service, name, 'approval', conditions({ ...approved, message: 'again' }));
    expect(again.status.conditions).toEqual([
      {
        ...approved,
        message: 'again',
        lastUpdateTime: '2026-11-23T12:01:00Z',
        lastTransitionTime: times.lastTransitionTime,
      },
    ]);
    const status = await edit(service, name, 'status', conditions({ ...approved, message: 'not mine to say' }, failed));
    expect(status.status.conditions?.map(({ type, message }) => [type, message])).toEqual([
      ['Approved', 'again'],
      ['Failed', 'broken'],
    ]);
  });

  it('stores a certificate once, on status only', async () => {
    const service = await startService(await open());
    const { name } = (await newRequest(service)).metadata;
    const [anchor, other] = service.ca.authorities().map((authority) => authority.certificates[0]?.pem ?? '');
    const text = b64(`text around\n${anchor ?? ''}and behind\n`);
    expect((await edit(service, name, 'status', set(text))).status.certificate).toBe(text);
    expect(new X509Certificate(anchor ?? '').ca).toBe(true);
    await expect(edit(service, name, 'status', set(b64(other ?? '')))).rejects.toMatchObject({
      message: 'status.certificate: Forbidden: updates may not modify existing certificate content',
    });
  });

  it('writes nothing when nothing changes', async () => {
    const store = await open();
    const service = await startService(store);
    const request = await newRequest(service);
    const revision = await store.revision();
    const same = await edit(service, request.metadata.name, 'main', () => undefined);
    expect(same).toEqual(request);
    expect(await store.revision()).toBe(revision);
  });

  it('checks preconditions before everything else', async () => {
    const service = await startService(await open());
    const request = await newRequest(service);
    const { name } = request.metadata;
    await edit(service, name, 'main', (wanted) => (wanted.metadata.labels = { a: 'b' }));
    const stale = edit(
      service,
      name,
      'main',
      (wanted) => (wanted.metadata.resourceVersion = request.metadata.resourceVersion),
    );
    await expect(stale).rejects.toMatchObject({
      code: 'conflict',
      message: 'the object has been modified; please apply your changes to the latest version and try again',
    });
    const foreign = edit(service, name, 'main', (wanted) => (wanted.metadata.uid = 'x'));
    await expect(foreign).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('UID in precondition: x') as string,
    });
    await expect(edit(service, 'nothing', 'main', () => undefined)).rejects.toMatchObject({ code: 'not-found' });
  });

  it('asks who may approve and who may sign', async () => {
    const service = await startService(await open());
    const { name } = (await newRequest(service)).metadata;
    const as = (endpoint: UpdateEndpoint, change: Edit) =>
      service.requests.update(name, (current) => (change(current), current), {
        endpoint,
        identity: nodeIdentity('node-a'),
      });
    await expect(as('approval', conditions(approved))).rejects.toMatchObject({
      code: 'forbidden',
      message: 'user not permitted to approve requests with signerName "example.com/custom"',
    });
    await expect(as('status', conditions(failed))).rejects.toMatchObject({
      code: 'forbidden',
      message: 'user not permitted to sign requests with signerName "example.com/custom"',
    });
  });
});

describeEachStore('delete', (open) => {
  it('waits for finalizers, and is gone with the last one', async () => {
    const service = await startService(await open());
    const { name } = (await newRequest(service)).metadata;
    await edit(service, name, 'main', (wanted) => (wanted.metadata.finalizers = ['example.com/f']));
    const waiting = await service.requests.delete(name, { identity: administrator });
    expect(waiting.gone).toBe(false);
    expect((JSON.parse(waiting.text) as CertificateRequest).metadata).toMatchObject({
      deletionTimestamp: '2026-11-23T12:00:00Z',
      deletionGracePeriodSeconds: 0,
      finalizers: ['example.com/f'],
    });
    const added = edit(service, name, 'main', (wanted) => wanted.metadata.finalizers?.push('example.com/g'));
    await expect(added).rejects.toMatchObject({
      code: 'invalid',
      message: expect.stringContaining('no new finalizers can be added') as string,
    });
    const last = await edit(service, name, 'main', (wanted) => delete wanted.metadata.finalizers);
    expect(last.metadata.finalizers).toBeUndefined();
    await expect(service.requests.get(name)).rejects.toMatchObject({ code: 'not-found' });
  });

  it('checks preconditions, and a dry run deletes nothing', async () => {
    const service = await startService(await open());
    const { name, uid } = (await newRequest(service)).metadata;
    const wrong = service.requests.delete(name, { identity: administrator, preconditions: { uid: 'x' } });
    await expect(wrong).rejects.toMatchObject({
      code: 'conflict',
      message: `the UID in the precondition (x) does not match the UID in record (${uid}). The object might have been deleted and then recreated`,
    });
    expect((await service.requests.delete(name, { identity: administrator, dryRun: true })).gone).toBe(true);
    expect((await service.requests.delete(name, { identity: administrator, preconditions: { uid } })).gone).toBe(true);
    await expect(service.requests.delete(name, { identity: administrator })).rejects.toMatchObject({
      code: 'not-found',
    });
  });

  it('in the foreground shows the finalizer, which then goes by itself', async () => {
    const service = await startService(await open());
    const { name } = (await newRequest(service)).metadata;
    const { text, gone } = await service.requests.delete(name, {
      identity: administrator,
      propagationPolicy: 'Foreground',
    });
    expect(gone).toBe(false);
    expect((JSON.parse(text) as CertificateRequest).metadata.finalizers).toEqual(['foregroundDeletion']);
    await expect.poll(() => service.requests.get(name).catch(() => 'gone')).toBe('gone');
  });
});

describeEachStore('list', (open) => {
  it('pages by name, with a selector and without', async () => {
    const service = await startService(await open());
    const names: string[] = [];
    for (let i = 0; i < 5; i += 1) names.push((await newRequest(service)).metadata.name);
    names.sort();
    const nameOf = (text: string) => (JSON.parse(text) as CertificateRequest).metadata.name;
    const first = await service.requests.list({ limit: 2 });
    expect(first.items.map(nameOf)).toEqual(names.slice(0, 2));
    expect(first.remaining).toBe(3);
    const second = await service.requests.list({
      limit: 3,
      ...(first.continue === undefined ? {} : { continue: first.continue }),
    });
    expect(second.items.map(nameOf)).toEqual(names.slice(2));
    expect(second.continue).toBeUndefined();
    const odd = await service.requests.list({ limit: 1, matches: (request) => request.metadata.name === names[3] });
    expect(odd.items.map(nameOf)).toEqual([names[3]]);
    expect((await service.requests.list({ signerName: 'example.com/other' })).items).toEqual([]);
    expect((await service.requests.list({ name: names[0] ?? '' })).items).toHaveLength(1);
    await expect(service.requests.list({ limit: 1, continue: '!' })).rejects.toMatchObject({ code: 'bad-request' });
  });
});
