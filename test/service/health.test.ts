import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';

import { expect, it } from 'vitest';

import { createStoreProbe } from '../../src/service/store-probe.js';
import { logger } from '../ca/support.js';
import { startTestService } from '../support/service.js';

/** A thread that asks `url` again and again, and tells how long the slowest answer took. */
const prober = `
  const { parentPort, workerData } = require('node:worker_threads');
  const { get } = require('node:http');
  const ask = () => new Promise((resolve, reject) => {
    const start = performance.now();
    get(workerData, (answer) => { answer.resume(); answer.on('end', () => resolve([answer.statusCode, performance.now() - start])); }).on('error', reject);
  });
  (async () => {
    await ask();
    parentPort.postMessage('started');
    const answers = [];
    for (let i = 0; i < 20; i += 1) answers.push(await ask());
    parentPort.postMessage(answers);
  })();
`;

it('probes are answered while the event loop is busy, and fail when the service stops', async () => {
  const service = await startTestService({ config: { health: { listen: '127.0.0.1:0' } } });
  const url = service.service.healthUrl ?? '';
  for (const path of ['/livez', '/healthz', '/readyz']) {
    const answer = await fetch(`${url}${path}`);
    expect([answer.status, await answer.text()]).toEqual([200, 'ok']);
  }
  expect((await fetch(`${url}/metrics`)).status).toBe(404);

  const asking = new Worker(prober, { eval: true, workerData: `${url}/readyz` });
  const messages: unknown[] = [];
  asking.on('message', (message) => messages.push(message));
  while (messages.length === 0) await sleep(5);
  const busyUntil = performance.now() + 4000;
  while (performance.now() < busyUntil);
  while (messages.length === 1) await sleep(5);
  await asking.terminate();
  const answers = messages[1] as [number, number][];
  expect(answers.map(([status]) => status)).toEqual(answers.map(() => 200));
  // Had they waited for the event loop, the first one would have taken all the time that it was busy.
  expect(Math.max(...answers.map(([, ms]) => ms))).toBeLessThan(3000);

  await service.stop();
  await expect(fetch(`${url}/livez`)).rejects.toThrow();
});

it('a start fails when the address of the probes is taken', async () => {
  const first = await startTestService({ config: { health: { listen: '127.0.0.1:0' } } });
  const listen = new URL(first.service.healthUrl ?? '').host;
  await expect(startTestService({ config: { health: { listen } } })).rejects.toMatchObject({ code: 'unavailable' });
  await first.stop();
});

it('readiness looks at the store once a second, and waits for no store that hangs', async () => {
  let now = 0;
  let pings = 0;
  let answer: () => Promise<void> = () => Promise.resolve();
  const store = {
    ping: () => {
      pings += 1;
      return answer();
    },
  };
  const probe = createStoreProbe({ store, clock: { now: () => new Date(now), monotonic: () => now }, logger });
  for (let asked = 0; asked < 10; asked += 1) expect(await probe.problem()).toBeUndefined();
  expect(pings).toBe(1);
  now += 2000;
  answer = () => new Promise(() => undefined);
  expect(await probe.problem()).toBeUndefined();
  now += 4000;
  expect(await probe.problem()).toBeUndefined();
  now += 2000;
  expect(await probe.problem()).toBe('the store does not answer');
  expect(pings).toBe(2);
});

it('readiness comes back with the store', async () => {
  let now = 0;
  let fails = true;
  const store = { ping: () => (fails ? Promise.reject(new Error('gone')) : Promise.resolve()) };
  const probe = createStoreProbe({ store, clock: { now: () => new Date(now), monotonic: () => now }, logger });
  expect(await probe.problem()).toBe('the store does not answer');
  now += 2000;
  fails = false;
  expect(await probe.problem()).toBeUndefined();
});
