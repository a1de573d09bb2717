import { once } from 'node:events';
import { createServer, get, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { createRotationStreams } from '../../../src/api/rest/rotation-stream.js';
import { startTestService, type TestService } from '../../support/service.js';

let rotunda: TestService;

beforeAll(async () => {
  rotunda = await startTestService();
});

afterAll(async () => {
  await rotunda.stop();
});

/** The answer to a client that went while it was found out who it is. */
async function leftAnswer(): Promise<ServerResponse> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const asked = get({ host: '127.0.0.1', port: (server.address() as AddressInfo).port });
  asked.on('error', () => undefined);
  const [, response] = (await once(server, 'request')) as [unknown, ServerResponse];
  asked.destroy();
  await once(response, 'close');
  server.close();
  return response;
}

describe('a stream of rotations', () => {
  it('gives its place back where the client has gone before it began', async () => {
    const streams = createRotationStreams(rotunda.service.context);
    let released = 0;
    const release = (): void => {
      released += 1;
    };
    await streams.open({ response: await leftAnswer(), lastEventId: undefined, release });
    expect(released).toBe(1);
    await streams.drain();
    expect(released).toBe(1);
  });
});
