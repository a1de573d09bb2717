import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { startRotatingService, type RotatingService } from '../../support/rotating.js';
import type { TestClient } from '../../support/service.js';
import { describeEachDatabase } from '../../support/stores.js';
import { csrFor, problem } from './service.js';

vi.setConfig({ testTimeout: 60_000 });

type Rotation = { readonly id: string; readonly kind: string; readonly state: string; readonly deadline: string };
type Radius = {
  readonly authority: string;
  readonly takesOver?: string;
  readonly deadline: string;
  readonly leaves: {
    readonly total: number;
    readonly groups: readonly { profile: string; count: number; names: string[] }[];
  };
  readonly verifiers: {
    readonly total: number;
    readonly undeclared: string[];
    readonly silent: { count: number; names: string[] };
  };
  readonly text: string;
};

const ring = 'kubernetes';
const base = '/pki/v1/rotations';
const reason = 'a backup was stolen';

describeEachDatabase('an emergency over REST', (newDatabase) => {
  let service: RotatingService;
  let admin: TestClient;
  beforeEach(async () => {
    service = await startRotatingService({ storeUrl: await newDatabase() });
    admin = service.client(service.admin);
    await service.service.rotate();
  });
  afterEach(() => service.stop());

  const post = (path: string, body: unknown = {}) => admin.send('POST', `${base}${path}`, { body });
  const state = async (id: string): Promise<string> =>
    (await admin.send('GET', `${base}/${id}`)).json<Rotation>().state;
  const userCertificate = async (name: string): Promise<void> => {
    const asked = { signerName: 'kubernetes.io/kube-apiserver-client', request: csrFor(name), name };
    await admin.send('POST', '/pki/v1/requests', { body: asked });
    await admin.send('POST', `/pki/v1/requests/${name}/approve`, { body: {} });
    await expect
      .poll(async () => (await admin.send('GET', `/pki/v1/requests/${name}`)).json<{ state: string }>().state)
      .toBe('issued');
  };

  it('shows first who would be cut off, and does nothing', async () => {
    for (const name of ['alice', 'bob']) await userCertificate(name);
    const answer = await post('', { ring, kind: 'emergency', deadline: '4h', dryRun: true });
    expect(answer.status).toBe(200);
    const { blastRadius: radius, plan } = answer.json<{ blastRadius: Radius; plan: { steps: { state: string }[] } }>();
    expect(plan.steps.map(({ state: name }) => name)).toEqual([
      ...['declared', 'spreading', 'reissuing', 'cut', 'recovering', 'finished'],
    ]);
    expect(radius.authority).toBe(service.service.context.ca.ring(ring).active.ski);
    expect(Date.parse(radius.deadline)).toBe(Math.floor((service.clock.now().getTime() + 4 * 3_600_000) / 1000) * 1000);
    const users = radius.leaves.groups.find(({ profile }) => profile === 'kubernetes.io/kube-apiserver-client');
    expect([users?.count, users?.names.toSorted()]).toEqual([2, ['alice', 'bob']]);
    expect(radius.verifiers.undeclared).toContain('kubelet');
    expect(radius.text).toContain('whoever has not followed is cut off');
    expect(radius.text).toMatch(/kubernetes\.io\/kube-apiserver-client +2 .*(alice, bob|bob, alice)/);
    expect(service.service.context.ca.ring(ring).frozen).toBe(false);
    expect((await admin.send('GET', base)).json()).toEqual({ items: [] });
  });

  it.each([
    [{ reason }, 'confirm', 'FieldValueRequired'],
    [{ reason, confirm: 'etcd' }, 'confirm', 'FieldValueInvalid'],
    [{ confirm: ring }, 'reason', 'FieldValueRequired'],
  ])('is not begun with %j', async (body, field, rule) => {
    const answer = await post('', { ring, kind: 'emergency', ...body });
    expect([answer.status, problem(answer).errors?.[0]]).toMatchObject([422, { field, rule }]);
    expect(service.service.context.ca.ring(ring).frozen).toBe(false);
  });

  it('freezes at once, cuts at its deadline, and knows no way back', async () => {
    await userCertificate('alice');
    const old = service.service.context.ca.ring(ring).active.ski;
    const body = { ring, kind: 'emergency', deadline: '2h', confirm: ring, reason };
    const started = await post('', body);
    expect([started.status, started.json()]).toMatchObject([
      201,
      { kind: 'emergency', state: 'declared', crossSigned: false },
    ]);
    const { id } = started.json<Rotation>();
    expect((await admin.send('GET', `/pki/v1/rings/${ring}`)).json()).toMatchObject({ frozen: true });
    expect(problem(await post('', body)).hint).toContain('it is one already');
    const back = await post(`/${id}/rollback`);
    expect([back.status, problem(back).detail]).toEqual([409, expect.stringContaining('must never sign again')]);
    await service.attestAbsent(ring);
    await service.pass();
    expect(['spreading', 'reissuing']).toContain(await state(id));
    service.clock.forward(3_600_000);
    await service.pass();
    expect(await state(id)).toBe('reissuing');
    service.clock.forward(3_600_000);
    await service.pass();
    expect(['cut', 'recovering']).toContain(await state(id));
    const authority = await admin.send('GET', `/pki/v1/authorities/${old}`);
    expect(authority.json()).toMatchObject({ state: 'destroyed', tainted: true });
  });

  it('takes over what runs', async () => {
    const { id } = (await post('', { ring })).json<Rotation>();
    await service.pass();
    expect(await state(id)).toBe('trusting');
    const look = await post('', { ring, kind: 'emergency', dryRun: true });
    expect(look.json<{ blastRadius: Radius }>().blastRadius).toMatchObject({ takesOver: id });
    expect(look.json<{ blastRadius: Radius }>().blastRadius.text).toContain(
      `The rotation ${id} (trusting) is turned into it`,
    );
    const turned = await post('', { ring, kind: 'emergency', preference: 'security-first', confirm: ring, reason });
    expect(turned.json()).toMatchObject({ id, kind: 'emergency', state: 'declared', preference: 'security-first' });
    await service.pass();
    // Trust is not waited for, and there is nothing left to wait for after that.
    expect(['reissuing', 'cut', 'recovering', 'finished']).toContain(await state(id));
  });
});
