import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { startRotatingService, type RotatingService } from '../../support/rotating.js';
import { certificateOf, type TestClient } from '../../support/service.js';
import { describeEachDatabase } from '../../support/stores.js';
import { csrFor, newKey, problem } from './service.js';

vi.setConfig({ testTimeout: 60_000 });

type Certificate = { readonly serial: string; readonly authority: string; readonly supersededAt?: string };
const certificates = '/pki/v1/certificates';

describeEachDatabase('saying that nothing presents a certificate', (newDatabase) => {
  let service: RotatingService;
  let admin: TestClient;
  beforeEach(async () => {
    service = await startRotatingService({ storeUrl: await newDatabase() });
    admin = service.client(service.admin);
  });
  afterEach(() => service.stop());

  const clientOf = async (name: string, group: string): Promise<TestClient> => {
    const key = newKey();
    const asked = { signerName: 'rotunda.dev/client', request: csrFor(name, [group], [], key), name };
    await admin.send('POST', '/pki/v1/requests', { body: asked });
    await admin.send('POST', `/pki/v1/requests/${name}/approve`, { body: {} });
    const pem = key.export({ type: 'pkcs8', format: 'pem' }).toString();
    return service.client({ cert: await certificateOf(admin, name), key: pem });
  };
  const serialOf = async (name: string): Promise<string> => {
    const { items } = (await admin.send('GET', `${certificates}?name=${name}`)).json<{ items: Certificate[] }>();
    return items[0]?.serial ?? '';
  };
  const supersede = (client: TestClient, serial: string, body: unknown = { reason: 'scrapped' }) =>
    client.send('POST', `${certificates}/${serial}/supersede`, { body });
  const inUse = async (): Promise<string[]> => {
    const { ski } = service.service.context.ca.ring('rotunda').active;
    const path = `${certificates}?authority=${ski}&inUse=true`;
    return (await admin.send('GET', path)).json<{ items: Certificate[] }>().items.map(({ serial }) => serial);
  };

  it('takes it out of what keeps an authority in use, until it is presented again', async () => {
    const operator = await clientOf('olga', 'rotunda:operators');
    const viewer = await clientOf('victor', 'rotunda:viewers');
    const serial = await serialOf('victor');
    expect(await inUse()).toContain(serial);
    const answer = await supersede(operator, serial.toUpperCase());
    expect([answer.status, answer.json<Certificate>().serial]).toEqual([200, serial]);
    expect(answer.json<Certificate>().supersededAt).toMatch(/Z$/);
    expect(await inUse()).not.toContain(serial);
    // Twice is the same as once.
    expect((await supersede(operator, serial, { reason: 'again' })).json()).toEqual(answer.json());
    const events = await service.service.context.store.db
      .selectFrom('audit_events')
      .selectAll()
      .where('action', '=', 'certificate.superseded')
      .execute();
    expect(events.map(({ actor, name, detail }) => [actor, name, JSON.parse(detail) as unknown])).toEqual([
      ['olga', serial, { ring: 'rotunda', commonName: 'victor', reason: 'scrapped' }],
    ]);
    // It was in use after all.
    await viewer.send('GET', '/pki/v1/whoami');
    await expect.poll(inUse).toContain(serial);
  });

  it('is refused to who may not, of what is not there, without a reason, and of what is in use', async () => {
    const viewer = await clientOf('victor', 'rotunda:viewers');
    const serial = await serialOf('victor');
    expect((await supersede(viewer, serial)).status).toBe(403);
    expect((await supersede(service.client(), serial)).status).toBe(401);
    expect((await supersede(admin, 'ff00')).status).toBe(404);
    const silent = await supersede(admin, serial, {});
    expect([silent.status, problem(silent).errors?.[0]]).toMatchObject([
      422,
      { field: 'reason', rule: 'FieldValueRequired' },
    ]);
    const own = await supersede(admin, await serialOf('admin'));
    expect([own.status, problem(own).code]).toEqual([409, 'conflict']);
    await admin.send('POST', `${certificates}/${serial}/revoke`, { body: {} });
    const revoked = await supersede(admin, serial);
    expect([revoked.status, problem(revoked).detail]).toEqual([
      409,
      'the certificate is revoked: it keeps no authority in use',
    ]);
  });
});
