import { generateKeyPairSync } from 'node:crypto';

import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';

import { startRotatingService, type RotatingService } from '../../support/rotating.js';
import { certificateOf, type TestClient } from '../../support/service.js';
import { describeEachDatabase } from '../../support/stores.js';
import { csrFor, newKey, nodeToken, problem } from './service.js';

vi.setConfig({ testTimeout: 60_000 });

type Rotation = {
  readonly id: string;
  readonly state: string;
  readonly version: number;
  readonly paused: boolean;
  readonly back: boolean;
  readonly newKey: string;
  readonly oldKey: string;
  readonly path: readonly { readonly state: string; readonly phase: string; readonly generation?: number }[];
};
type Explanation = {
  readonly rotation: Rotation;
  readonly standstill?: string;
  readonly ways: readonly {
    readonly to: string;
    readonly by: string;
    readonly gate: {
      readonly name: string;
      readonly passes: boolean;
      readonly blockers: readonly { subject: string; remedies: string[] }[];
    };
  }[];
  readonly estimate?: { readonly usual: string };
  readonly leaves: { readonly old: number };
};
type Page<T> = { readonly items: readonly T[]; readonly continue?: string };
type Event = {
  readonly sequence: number;
  readonly kind: string;
  readonly to: string;
  readonly actor: string;
  readonly detail: Record<string, string>;
};

const ring = 'front-proxy';
const base = '/pki/v1/rotations';

describeEachDatabase('rotations over REST', (newDatabase) => {
  let service: RotatingService;
  let admin: TestClient;
  beforeEach(async () => {
    service = await startRotatingService({ storeUrl: await newDatabase() });
    admin = service.client(service.admin);
  });
  afterEach(() => service.stop());

  const post = (path: string, body: unknown = {}) => admin.send('POST', `${base}${path}`, { body });
  const get = async <T>(path: string): Promise<T> => (await admin.send('GET', `${base}${path}`)).json<T>();
  const asRole = async (name: string, group: string): Promise<TestClient> => {
    const key = newKey();
    const asked = { signerName: 'rotunda.dev/client', request: csrFor(name, [group], [], key), name };
    await admin.send('POST', '/pki/v1/requests', { body: asked });
    await admin.send('POST', `/pki/v1/requests/${name}/approve`, { body: {} });
    const pem = key.export({ type: 'pkcs8', format: 'pem' }).toString();
    return service.client({ cert: await certificateOf(admin, name), key: pem });
  };

  it('are started, followed and finished, and kept', async () => {
    const started = await post('', { ring, reason: 'yearly' });
    expect([started.status, started.headers['location']]).toEqual([201, `${base}/${ring}-1`]);
    const { id, newKey, oldKey } = started.json<Rotation>();
    expect(started.json<Rotation>().path.map(({ state }) => state)).toEqual([
      ...['staged', 'trusting', 'canary', 'issuing', 'drained', 'distrusting', 'cooling', 'finished'],
    ]);
    await service.pass(2);
    const waiting = await get<Explanation>(`/${id}/explanation`);
    const gate = waiting.ways.find(({ by }) => by === 'machine')?.gate;
    expect([waiting.rotation.state, gate?.name, gate?.passes]).toEqual(['trusting', 'trust', false]);
    expect(gate?.blockers.map(({ subject }) => subject)).toEqual(['kube-apiserver', 'extension-apiserver']);
    expect(gate?.blockers[0]?.remedies.join()).toContain('rotunda attestation create --ring front-proxy');
    expect(Date.parse(waiting.estimate?.usual ?? '')).toBeGreaterThan(service.clock.now().getTime());
    await service.attestAbsent(ring);
    for (let round = 0; round < 10 && (await get<Rotation>(`/${id}`)).state !== 'finished'; round += 1)
      await service.pass();
    const over = await get<Rotation>(`/${id}`);
    expect(over).toMatchObject({ state: 'finished', newKey, oldKey });
    expect(over.path.filter(({ phase }) => phase === 'done').map(({ state }) => state)).toHaveLength(7);
    expect(over.path.at(-1)).toMatchObject({ state: 'finished', phase: 'now', generation: 3 });
    const ringNow = (await admin.send('GET', `/pki/v1/rings/${ring}`)).json<{ activeAuthority: string }>();
    expect(ringNow.activeAuthority).toBe(newKey);
    expect(await get<Explanation>(`/${id}/explanation`)).toMatchObject({
      standstill: 'it is over: finished',
      ways: [],
    });
    const { items } = await get<Page<Event>>(`/${id}/events`);
    expect(items[0]).toMatchObject({ kind: 'operator', actor: 'admin', detail: { verb: 'start', reason: 'yearly' } });
    expect(items.filter(({ kind }) => kind === 'transition').map(({ to }) => to)).toEqual(
      over.path.slice(1).map(({ state }) => state),
    );
    const first = await get<Page<Event>>(`/${id}/events?limit=3`);
    const rest = await get<Page<Event>>(`/${id}/events?continue=${encodeURIComponent(first.continue ?? '')}`);
    expect([...first.items, ...rest.items]).toEqual(items);
  });

  it('look ahead without doing anything', async () => {
    await service.service.rotate();
    const authorities = (await admin.send('GET', '/pki/v1/authorities')).text;
    const token = await nodeToken(admin, 'n1');
    service.clock.forward(1000);
    const plan = await post('', { ring: 'kubernetes', dryRun: true });
    expect(plan.status).toBe(200);
    const { plan: data } = plan.json<{
      plan: { rotation?: string; leaves: number; steps: { state: string; blockers: { subject: string }[] }[] };
    }>();
    expect(data).toMatchObject({ ring: 'kubernetes', kind: 'planned', crossSigned: true, newKey: 'new' });
    expect(data.rotation).toBeUndefined();
    expect(data.leaves).toBeGreaterThan(0);
    const drained = data.steps.find(({ state }) => state === 'drained');
    expect(drained?.blockers.map(({ subject }) => subject)).toContain(`token/${token.token.slice(0, 6)}`);
    const text = await admin.send('POST', base, { body: { ring, dryRun: true }, headers: { accept: 'text/plain' } });
    expect(text.headers['content-type']).toContain('text/plain');
    expect(text.text).toMatch(/^A rotation of front-proxy: planned.*\n/);
    const image = await admin.send('POST', base, { body: { ring, dryRun: true }, headers: { accept: 'image/png' } });
    expect(image.status).toBe(406);
    expect((await get<Page<Rotation>>('')).items).toEqual([]);
    expect((await admin.send('GET', '/pki/v1/authorities')).text).toBe(authorities);
    expect((await post('', { ring: 'nope', dryRun: true })).status).toBe(404);
  });

  it('are one at a time for a ring, which names them too', async () => {
    const { id } = (await post('', { ring, policy: 'manual' })).json<Rotation>();
    for (const dryRun of [false, true]) {
      const second = await post('', { ring, dryRun });
      expect([second.status, problem(second).code]).toEqual([409, 'conflict']);
      expect(problem(second).detail).toContain(`${id} is staged`);
    }
    expect((await post('', { ring: 'etcd' })).status).toBe(201);
    expect(await get(`/${ring}`)).toEqual(await get(`/${id}`));
    const aborted = await post(`/${ring}/rollback`, { reason: 'not today' });
    expect(aborted.json<Rotation>()).toMatchObject({ id, state: 'aborted' });
    // Of those that are over the last one, until there is one that runs.
    expect(await get<Rotation>(`/${ring}`)).toMatchObject({ id });
    const next = (await post('', { ring })).json<Rotation>();
    expect(await get<Rotation>(`/${ring}`)).toMatchObject({ id: next.id });
    const all = await get<Page<Rotation>>('?limit=1');
    const more = await get<Page<Rotation>>(`?continue=${encodeURIComponent(all.continue ?? '')}`);
    expect([...all.items, ...more.items].map((one) => one.id).sort()).toEqual(['etcd-1', `${ring}-1`, `${ring}-2`]);
    expect((await get<Page<Rotation>>(`?ring=${ring}&running=true`)).items.map((one) => one.id)).toEqual([next.id]);
    expect((await get<Page<Rotation>>('?running=false')).items.map((one) => one.id)).toEqual([id]);
  });

  it('are paused, resumed, advanced and rolled back, on the version that was looked at', async () => {
    const { id, version } = (await post('', { ring, policy: 'manual' })).json<Rotation>();
    await service.pass(2);
    expect(await get<Explanation>(`/${id}/explanation`)).toMatchObject({
      rotation: { state: 'staged' },
      standstill: `it is led by hand; rotunda rotation advance ${id} lets it leave staged once the gate passes`,
    });
    const paused = await post(`/${id}/pause`, { reason: 'ticket 1', version });
    expect(paused.json<Rotation>()).toMatchObject({ paused: true, version: version + 1 });
    const late = await post(`/${id}/resume`, { version });
    expect([late.status, problem(late).code]).toEqual([409, 'conflict']);
    expect(problem(late).detail).toContain(`version ${version + 1} by now`);
    expect((await post(`/${id}/rollback`, { version })).status).toBe(409);
    await post(`/${id}/advance`, { reason: 'go' });
    await service.pass(2);
    expect((await get<Rotation>(`/${id}`)).state).toBe('staged');
    await post(`/${id}/resume`);
    await service.pass();
    expect((await get<Rotation>(`/${id}`)).state).toBe('trusting');
    const way = await get<{ steps: { state: string }[] }>(`/${id}/plan?rollback=true`);
    expect(way.steps.map(({ state }) => state)).toEqual(['trusting', 'untrusting', 'rolled-back']);
    expect((await get<{ rotation: string }>(`/${id}/plan`)).rotation).toBe(id);
    const turned = (await post(`/${id}/rollback`, { reason: 'not yet' })).json<Rotation>();
    expect(turned).toMatchObject({ state: 'untrusting', back: true });
    await post(`/${id}/advance`);
    await service.pass();
    expect((await get<Rotation>(`/${id}`)).state).toBe('rolled-back');
    for (const verb of ['pause', 'resume', 'advance', 'rollback']) {
      const answer = await post(`/${id}/${verb}`);
      expect([answer.status, problem(answer).detail]).toEqual([409, `the rotation ${id} is over: rolled-back`]);
    }
    expect((await admin.send('GET', `${base}/${id}/plan?rollback=true`)).status).toBe(409);
    const { items } = await get<Page<Event>>(`/${id}/events`);
    expect(items.map(({ detail }) => detail['verb'] ?? detail['transition'])).toEqual([
      ...['start', 'pause', 'advance', 'resume', 'publish', 'roll-back', 'advance', 'withdrawn'],
    ]);
  });

  it('are for administrators to start, and for operators to stop', async () => {
    const operator = await asRole('olga', 'rotunda:operators');
    const viewer = await asRole('victor', 'rotunda:viewers');
    const machine = service.client(await nodeToken(admin, 'n1'));
    const statuses = async (method: string, path: string, body?: unknown): Promise<number[]> => {
      const answers = await Promise.all(
        [operator, viewer, machine, service.client()].map((client) =>
          client.send(method, `${base}${path}`, body === undefined ? {} : { body }),
        ),
      );
      return answers.map(({ status }) => status);
    };
    expect(await statuses('POST', '', { ring })).toEqual([403, 403, 403, 401]);
    expect(await statuses('POST', '', { ring, dryRun: true })).toEqual([200, 200, 403, 401]);
    const { id } = (await post('', { ring })).json<Rotation>();
    for (const path of ['', `/${id}`, `/${id}/explanation`, `/${id}/plan`, `/${id}/events`])
      expect([path, await statuses('GET', path)]).toEqual([path, [200, 200, 403, 401]]);
    for (const verb of ['advance', 'rollback'])
      expect([verb, await statuses('POST', `/${id}/${verb}`, {})]).toEqual([verb, [403, 403, 403, 401]]);
    expect(await statuses('POST', `/${id}/pause`, {})).toEqual([200, 403, 403, 401]);
    expect(await statuses('POST', `/${id}/resume`, {})).toEqual([200, 403, 403, 401]);
    expect((await machine.send('GET', `${base}/events`)).status).toBe(403);
  });

  it('that are not there are not found', async () => {
    for (const path of ['/nope', '/nope/explanation', '/nope/plan', '/nope/events'])
      expect((await admin.send('GET', `${base}${path}`)).status).toBe(404);
    for (const verb of ['pause', 'resume', 'advance', 'rollback']) {
      const answer = await post(`/nope/${verb}`);
      expect([answer.status, problem(answer).code]).toEqual([404, 'not-found']);
      expect(problem(answer).hint).toContain('rotunda rotation list');
    }
    expect((await post('', { ring: 'nope' })).status).toBe(404);
    expect((await admin.send('GET', `${base}?running=perhaps`)).status).toBe(422);
  });

  it('take the next key of a ring of signing keys', async () => {
    const pem = (): string =>
      generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'pem', type: 'spki' }).toString();
    const body = { ring: 'service-account', publicKey: pem() };
    expect((await admin.send('POST', '/pki/v1/keysets', { body })).status).toBe(201);
    const none = await post('', { ring: 'service-account' });
    expect([none.status, problem(none).errors?.[0]?.field]).toEqual([422, 'publicKey']);
    const look = await post('', { ring: 'service-account', publicKey: pem(), dryRun: true });
    expect([look.status, look.json<{ plan: { kind: string } }>().plan.kind]).toEqual([200, 'keys']);
    const started = await post('', { ring: 'service-account', publicKey: pem() });
    expect([started.status, started.json()]).toMatchObject([201, { kind: 'keys', state: 'staged' }]);
    await service.pass();
    const explained = await get<Explanation>('/service-account/explanation');
    expect(explained.rotation.state).toBe('trusting');
  });

  it('are shown by metrics, by ring', async () => {
    const metrics = async (): Promise<string> => (await admin.send('GET', '/metrics')).text;
    await service.service.rotate();
    expect(await metrics()).toMatch(/rotunda_bundle_acknowledged_ratio\{ring="front-proxy"\} 1\n/);
    expect(await metrics()).not.toMatch(/rotunda_rotation_state\{/);
    const startBy = /rotunda_rotation_start_by_timestamp_seconds\{ring="front-proxy"\} ([\d.e+]+)/.exec(
      await metrics(),
    )?.[1];
    const { notAfter } = service.service.context.ca.bundle(ring).anchors[0] ?? { notAfter: 0 };
    expect(Number(startBy)).toBeGreaterThan(service.clock.now().getTime() / 1000);
    expect(Number(startBy)).toBeLessThan(notAfter / 1000);
    await post('', { ring });
    await service.pass(2);
    const text = await metrics();
    expect(text).toContain('rotunda_rotation_state{ring="front-proxy",kind="planned",state="trusting"} 1');
    expect(text).toMatch(/rotunda_rotation_state_seconds\{ring="front-proxy"\} 120\n/);
    expect(text).toMatch(/rotunda_rotation_gate_ratio\{ring="front-proxy",gate="trust"\} 0\.6/);
    expect(text).toMatch(/rotunda_rotation_blockers\{ring="front-proxy",kind="class"\} 2\n/);
    await service.attestAbsent(ring);
    expect(await metrics()).not.toMatch(/rotunda_rotation_blockers\{/);
  });
});

describe('what cannot be started', () => {
  let service: RotatingService;
  let admin: TestClient;
  beforeAll(async () => {
    service = await startRotatingService();
    admin = service.client(service.admin);
  });
  afterEach(async () => {
    expect((await admin.send('GET', base)).json<Page<Rotation>>().items).toEqual([]);
  });
  afterAll(() => service.stop());
  const post = (path: string, body: unknown = {}) => admin.send('POST', `${base}${path}`, { body });

  it.each([
    [{}, 'ring', 'FieldValueRequired'],
    [{ ring, kind: 'sideways' }, 'kind', 'FieldValueNotSupported'],
    [{ ring, policy: 'maybe' }, 'policy', 'FieldValueNotSupported'],
    [{ ring, keyType: 'dsa-1024' }, 'keyType', 'FieldValueNotSupported'],
    [{ ring, keyType: 'ml-dsa-65' }, 'keyType', 'FieldValueNotSupported'],
    [{ ring, kind: 'reissue', keyType: 'ec-p384' }, 'keyType', 'FieldValueForbidden'],
    [{ ring, kind: 'reissue', crossSign: true }, 'crossSign', 'FieldValueForbidden'],
    [{ ring, deadline: '4h' }, 'deadline', 'FieldValueForbidden'],
    [{ ring, preference: 'security-first' }, 'preference', 'FieldValueForbidden'],
    [{ ring, confirm: ring }, 'confirm', 'FieldValueForbidden'],
    [{ ring, kind: 'emergency', deadline: 'soon' }, 'deadline', 'FieldValueInvalid'],
    [{ ring, kind: 'emergency', deadline: '2000-01-01T00:00:00Z' }, 'deadline', 'FieldValueInvalid'],
    [{ ring, kind: 'emergency', deadline: '10y' }, 'deadline', 'FieldValueInvalid'],
    [{ ring, kind: 'planned', publicKey: 'x' }, 'publicKey', 'FieldValueForbidden'],
    [{ ring, reason: 'a\u0000b' }, 'reason', 'FieldValueInvalid'],
    [{ ring, colour: 'red' }, 'colour', 'FieldValueForbidden'],
  ])('%j breaks a rule that is named', async (body, field, rule) => {
    const answer = await post('', body);
    expect([answer.status, problem(answer).errors?.[0]]).toMatchObject([422, { field, rule }]);
  });

  it('says what an algorithm of tomorrow needs', async () => {
    const answer = await post('', { ring, keyType: 'ML-DSA-65', dryRun: true });
    const [error] = problem(answer).errors ?? [];
    expect(error?.message).toContain(`Node.js ${process.versions.node} with OpenSSL ${process.versions.openssl}`);
    expect(error?.message).toContain('trust gate');
  });

  it('does not fail on any body', async () => {
    const fields = [
      'ring',
      'kind',
      'policy',
      'keyType',
      'publicKey',
      'deadline',
      'reason',
      'confirm',
      'version',
      '__proto__',
    ];
    const value = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 40 }),
      fc.jsonValue({ maxDepth: 2 }),
      fc.constantFrom(ring, 'emergency', '4h'),
    );
    const content = fc.dictionary(fc.constantFrom(...fields), value, { maxKeys: 5 });
    const paths = fc.constantFrom('', '/x/pause', '/x/rollback', `/${ring}/advance`);
    await fc.assert(
      fc.asyncProperty(paths, content, async (path, body) => {
        const answer = await post(path, { ...body, dryRun: true });
        expect([answer.status, answer.text.slice(0, 200)]).toSatisfy(([status]: [number]) => status < 500);
      }),
      { numRuns: 150 },
    );
  });
});
