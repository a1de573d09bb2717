import { type Dispatcher, request } from 'undici';
import { afterEach, expect, it, vi } from 'vitest';

import { startRotatingService, type RotatingService } from '../../support/rotating.js';
import { describeEachDatabase } from '../../support/stores.js';

vi.setConfig({ testTimeout: 60_000 });

const ring = 'front-proxy';
const path = '/pki/v1/rotations/events';

type Stream = {
  readonly answer: Dispatcher.ResponseData;
  text(): string;
  states(): string[];
  until(state: string): Promise<void>;
  readonly ended: Promise<unknown>;
};

async function stream(service: RotatingService, headers: Readonly<Record<string, string>> = {}): Promise<Stream> {
  const { agent } = service.client(service.admin);
  const answer = await request(`${service.url}${path}`, { dispatcher: agent, headers, bodyTimeout: 0 });
  let text = '';
  answer.body.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  answer.body.on('error', () => undefined);
  const ended = new Promise((resolve) => answer.body.once('close', resolve));
  const states = (): string[] => [...text.matchAll(/"state":"([a-z-]+)"/g)].map(([, state]) => state ?? '');
  const until = (state: string) => expect.poll(states, { timeout: 10_000, interval: 20 }).toContain(state);
  return { answer, ended, states, until, text: () => text };
}

describeEachDatabase('events of rotations', (newDatabase) => {
  const services: RotatingService[] = [];
  afterEach(async () => {
    for (const service of services.splice(0)) await service.stop();
  });
  const open = async (): Promise<RotatingService> => {
    const service = await startRotatingService({ storeUrl: await newDatabase() });
    services.push(service);
    return service;
  };
  const start = (service: RotatingService) =>
    service.client(service.admin).send('POST', '/pki/v1/rotations', { body: { ring } });

  it('are told as they happen, and what was missed is told later', async () => {
    const service = await open();
    await service.attestAbsent(ring);
    const first = await stream(service);
    expect(first.answer.headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
    });
    await start(service);
    await service.pass();
    await first.until('trusting');
    const [, id = ''] =
      /id: (\d+)\ndata: \{"id":"front-proxy-1","ring":"front-proxy","state":"trusting"\}\n\n/.exec(first.text()) ?? [];
    expect(Number(id)).toBeGreaterThan(0);
    first.answer.body.destroy();
    await service.pass(6);
    const resumed = await stream(service, { 'last-event-id': id });
    await resumed.until('finished');
    expect(resumed.states()).toEqual(['canary', 'issuing', 'drained', 'distrusting', 'cooling', 'finished']);
    resumed.answer.body.destroy();
  });

  it.each([undefined, '', 'x', '999999999999', '-1'])(
    'begin with what runs for somebody who knows %j',
    async (known) => {
      const service = await open();
      await start(service);
      await service.pass();
      const reading = await stream(service, known === undefined ? {} : { 'last-event-id': known });
      await reading.until('trusting');
      expect(reading.states()).toEqual(['trusting']);
      reading.answer.body.destroy();
    },
  );

  it('end with the service, and count as watches until then', async () => {
    const service = await open();
    const admin = service.client(service.admin);
    const watches = async (): Promise<string | undefined> =>
      /^rotunda_watches (\d+)$/m.exec((await admin.send('GET', '/metrics')).text)?.[1];
    const [gone, stays] = [await stream(service), await stream(service)];
    await expect.poll(watches).toBe('2');
    gone.answer.body.destroy();
    await expect.poll(watches).toBe('1');
    const before = performance.now();
    await service.service.stop();
    await stays.ended;
    expect(performance.now() - before).toBeLessThan(8000);
  });
});
