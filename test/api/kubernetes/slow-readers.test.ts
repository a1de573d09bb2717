import { mkdtempSync, rmSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type TLSSocket } from 'node:tls';

import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';

import { listOptions } from '../../../src/api/kubernetes/options.js';
import { openStream } from '../../../src/api/kubernetes/watch/stream.js';
import { createWatches } from '../../../src/api/kubernetes/watch/watches.js';
import { configFrom } from '../../../src/config/load.js';
import { type Context, createContext } from '../../../src/context.js';
import { createRotundaServer, type RotundaServer } from '../../../src/server.js';
import { loadServingCertificate } from '../../../src/service/serving-certificate.js';

/** More than the sockets' buffers on both sides take. */
const much = Buffer.alloc(64 * 1024 * 1024, 'x');
const dataDir = mkdtempSync(path.join(tmpdir(), 'rotunda-slow-'));
const answers: ServerResponse[] = [];
let skewMs = 0;
let context: Context;
let server: RotundaServer;

beforeAll(async () => {
  const config = configFrom({ apiVersion: 'rotunda.dev/v1alpha1', dataDir, log: { level: 'silent' } });
  context = await createContext(config, { clock: { now: () => new Date(Date.now() + skewMs) } });
  server = await createRotundaServer(context, (await loadServingCertificate(context)).current());
  const { app } = server;
  app.get('/pki/much', (_request, reply) => {
    answers.push(reply.raw);
    return reply.send(much);
  });
  app.get('/pki/watch', (request, reply) => {
    reply.hijack();
    const response = reply.raw;
    const nothing = (): void => undefined;
    const now = (): number => context.clock.now().getTime();
    const watches = createWatches({ now, changed: nothing, limited: nothing });
    const options = listOptions({ timeoutSeconds: '3600' }, true);
    openStream({ ...context, watches }, { request, response, options, bookmark: () => '' });
    answers.push(response);
    response.write('begun\n');
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
});

afterEach(() => {
  vi.useRealTimers();
  for (const answer of answers.splice(0)) answer.destroy();
});

afterAll(async () => {
  server.app.server.closeAllConnections();
  await server.app.close();
  await context.close();
  rmSync(dataDir, { recursive: true, force: true });
});

/** The answer to a request, as the server holds it; its reader never reads. */
async function answerOf(target: string): Promise<ServerResponse> {
  const { port } = server.app.server.address() as AddressInfo;
  const socket: TLSSocket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false }, () => {
    socket.pause();
    socket.write(`GET ${target} HTTP/1.1\r\nhost: localhost\r\n\r\n`);
  });
  socket.on('error', () => undefined);
  const answer = await vi.waitFor(() => {
    const [found] = answers;
    if (found === undefined) throw new Error('no request has arrived');
    return found;
  });
  answer.once('close', () => socket.destroy());
  return answer;
}

describe('an answer that nobody reads', () => {
  it('is given up', async () => {
    expect(server.app.server.timeout).toBe(60_000);
    server.app.server.timeout = 300;
    const answer = await answerOf('/pki/much');
    await vi.waitFor(() => expect(answer.destroyed).toBe(true), { timeout: 5000 });
  });

  it('is left alone while it is a watch, which may be silent', async () => {
    server.app.server.timeout = 300;
    const answer = await answerOf('/pki/watch');
    await sleep(1500);
    expect(answer.destroyed).toBe(false);
  });

  it('is given up when it is a watch that has ended', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] });
    const opened = answerOf('/pki/watch');
    await vi.advanceTimersByTimeAsync(100);
    const answer = await opened;
    answer.write(much);
    skewMs += 3_600_000;
    await vi.advanceTimersByTimeAsync(1000);
    expect(answer).toMatchObject({ writableEnded: true, writableFinished: false, destroyed: false });
    await vi.advanceTimersByTimeAsync(10_000);
    expect(answer.destroyed).toBe(true);
  });
});
