import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';

import { isForbiddenAddress, parseEndpoint } from '../../../src/rotation/probing/endpoint.js';
import { probeEndpoint } from '../../../src/rotation/probing/probe.js';
import type { ProbeAnswer, ProbeOptions, ProbeProtocol } from '../../../src/rotation/probing/types.js';
import { describeWithPeer } from '../../support/peers.js';
import { startAfterHandshake, startEndpoint, startRaw, type TestEndpoint } from './endpoints.js';
import { newPki, type TestLeaf, type TestPki } from './pki.js';

const protocols: readonly ProbeProtocol[] = ['tls', 'kubernetes', 'kubelet', 'etcd'];
const timeoutMs = 600;

describeWithPeer('openssl', 'a probe of an endpoint that means no good', () => {
  let pki: TestPki;
  let leaf: TestLeaf;
  let clientCertificate: TestLeaf;
  const open: TestEndpoint[] = [];

  beforeAll(() => {
    pki = newPki();
    const authority = pki.authority('A');
    leaf = pki.leaf(authority, { kind: 'server' });
    clientCertificate = pki.leaf(authority);
  });

  afterEach(async () => {
    for (const endpoint of open.splice(0)) await endpoint.close();
  });

  afterAll(() => {
    pki.remove();
  });

  async function kept(starting: Promise<TestEndpoint>): Promise<TestEndpoint> {
    const endpoint = await starting;
    open.push(endpoint);
    return endpoint;
  }

  /** Bounded in time, whatever comes. */
  async function probe(port: number, options: Partial<ProbeOptions> = {}): Promise<ProbeAnswer> {
    const began = performance.now();
    const answer = await probeEndpoint({
      ...{ host: '127.0.0.1', port, protocol: 'tls', timeoutMs, quietMs: 100, clientCertificate },
      ...options,
    });
    expect(performance.now() - began).toBeLessThan(timeoutMs + 500);
    expect(answer.detail.length).toBeLessThan(200);
    return answer;
  }

  it.each(protocols)('that never answers, asked as %s', async (protocol) => {
    const { port } = await kept(startRaw(() => undefined));
    expect(await probe(port, { protocol })).toMatchObject({
      outcome: 'unreachable',
      detail: 'no handshake came about within 600 ms',
    });
  });

  it('that is not there', async () => {
    const endpoint = await startRaw(() => undefined);
    await endpoint.close();
    expect(await probe(endpoint.port)).toMatchObject({
      outcome: 'unreachable',
      detail: 'the connection failed: ECONNREFUSED',
    });
    expect(await probe(1, { host: 'no-such-name.invalid' })).toMatchObject({ outcome: 'unreachable' });
  });

  it('that closes at once: no certain refusal', async () => {
    for (const handle of ['end', 'destroy', 'resetAndDestroy'] as const) {
      const { port } = await kept(startRaw((socket) => void socket[handle]()));
      const answer = await probe(port);
      expect(answer.outcome === 'no' ? answer.certain : false, handle).toBe(false);
      const { clientCertificate: _none, ...without } = { clientCertificate };
      expect(await probeEndpoint({ host: '127.0.0.1', port, protocol: 'tls', timeoutMs, ...without })).toMatchObject({
        outcome: 'unreachable',
      });
    }
  });

  it('that sends garbage', async () => {
    const { port } = await kept(startRaw((socket) => socket.write(Buffer.alloc(10_000, 0x5a))));
    expect(await probe(port)).toMatchObject({ outcome: 'unreachable' });
    // A record of the right shape with nothing in it that is TLS.
    const record = Buffer.concat([Buffer.from([22, 3, 3, 64, 0]), Buffer.alloc(16_384, 0xff)]);
    const endless = await kept(startRaw((socket) => void flood(socket, record)));
    expect(await probe(endless.port)).toMatchObject({ outcome: 'unreachable' });
  });

  it('that speaks plain HTTP', async () => {
    const { port } = await kept(
      startRaw((socket) => {
        socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n'));
      }),
    );
    expect(await probe(port)).toMatchObject({ outcome: 'unreachable', detail: 'it does not speak TLS' });
  });

  it('that forges an alert before any handshake', async () => {
    const unknownCa = Buffer.from([21, 3, 3, 0, 2, 2, 48]);
    const { port } = await kept(startRaw((socket) => socket.once('data', () => socket.end(unknownCa))));
    // It says that it does not believe anybody, which is what a judge of several answers makes of it.
    expect((await probe(port)).outcome).toBe('no');
  });

  it.each(protocols)('that sends a gigabyte after the handshake, asked as %s', async (protocol) => {
    let sent = 0;
    const endpoint = await kept(
      startAfterHandshake(leaf, (socket) => {
        void flood(socket, Buffer.alloc(1 << 20, 0x41), (bytes) => (sent += bytes));
      }),
    );
    const answer = await probe(endpoint.port, { protocol });
    expect(answer.outcome).not.toBe('no');
    if (protocol === 'tls') expect(answer).toMatchObject({ outcome: 'yes', detail: 'it sends without end' });
    else expect(answer.outcome).toBe('unreachable');
    await new Promise((resolve) => setTimeout(resolve, 100));
    // What the kernel has buffered on its way counts too.
    expect(sent).toBeLessThan(16 << 20);
  });

  it.each(['kubernetes', 'etcd'] as const)('that answers a byte at a time, asked as %s', async (protocol) => {
    const { port } = await kept(
      startAfterHandshake(leaf, (socket) => {
        const text = `HTTP/1.1 2${'0'.repeat(1000)}`;
        let at = 0;
        const timer = setInterval(() => socket.write(text[at++] ?? ' '), 20);
        socket.on('close', () => {
          clearInterval(timer);
        });
      }),
    );
    expect(await probe(port, { protocol })).toMatchObject({ outcome: 'unreachable' });
  });

  it('that gives its handshake a byte at a time', async () => {
    const behind = await kept(startEndpoint('tls', { leaf, clientCas: [] }));
    const { port } = await kept(
      startRaw((socket) => {
        const upstream = connect(behind.port, '127.0.0.1');
        upstream.on('error', () => undefined);
        socket.pipe(upstream);
        const queue: Buffer[] = [];
        upstream.on('data', (chunk) => queue.push(chunk));
        const timer = setInterval(() => {
          const [chunk] = queue;
          if (chunk === undefined) return;
          socket.write(chunk.subarray(0, 1));
          if (chunk.length > 1) queue[0] = chunk.subarray(1);
          else queue.shift();
        }, 10);
        socket.on('close', () => {
          clearInterval(timer);
          upstream.destroy();
        });
      }),
    );
    expect(await probe(port)).toMatchObject({ outcome: 'unreachable', presented: [] });
  });

  it('that holds the connection for ever after this side has ended it', async () => {
    const { port } = await kept(
      startAfterHandshake(leaf, (socket) => {
        socket.allowHalfOpen = true;
        socket.resume();
      }),
    );
    expect(await probe(port)).toMatchObject({ outcome: 'unreachable' });
  });

  it('that lies about who is asking', async () => {
    const said = (text: string): Promise<TestEndpoint> =>
      kept(startAfterHandshake(leaf, (socket) => socket.once('data', () => socket.end(text))));
    const header = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n';
    const ask = async (text: string, protocol: ProbeProtocol): Promise<ProbeAnswer['outcome']> =>
      (await probe((await said(text)).port, { protocol })).outcome;
    expect(await ask(`${header}hello`, 'kubernetes')).toBe('unreachable');
    expect(await ask('HTTP/1.1 403 Forbidden\r\n\r\nUser "somebody" cannot', 'kubernetes')).toBe('unreachable');
    expect(await ask('HTTP/1.1 403 Forbidden\r\n\r\nUser "system:anonymous" cannot', 'kubernetes')).toBe('no');
    expect(await ask('SSH-2.0-OpenSSH_9.2\r\n', 'etcd')).toBe('unreachable');
    expect(await ask('HTTP/1.1 503 Service Unavailable\r\n\r\n', 'kubernetes')).toBe('unreachable');
  });

  it('can be broken off', async () => {
    const { port } = await kept(startRaw(() => undefined));
    const stop = new AbortController();
    const answer = probe(port, { timeoutMs: 500, signal: stop.signal });
    stop.abort();
    expect(await answer).toMatchObject({ outcome: 'unreachable', detail: 'broken off' });
    expect(await probe(port, { signal: AbortSignal.abort() })).toMatchObject({ detail: 'broken off' });
  });

  it('does not connect to what is no endpoint of a cluster', async () => {
    for (const host of [
      '169.254.169.254',
      '::ffff:169.254.169.254',
      'fe80::1',
      '0.0.0.0',
      '::',
      '224.0.0.1',
      'fd00:ec2::254',
    ])
      expect(await probe(80, { host }), host).toMatchObject({
        outcome: 'unreachable',
        detail: `${host} is an address that is not probed`,
      });
    for (const host of ['10.0.0.1', '127.0.0.1', '::1', 'fd00::1', '192.0.2.1'])
      expect(isForbiddenAddress(host)).toBe(false);
  });
});

it('reads endpoints', () => {
  const good = {
    '10.0.0.1:6443': '10.0.0.1',
    'Node-1.example:10250': 'node-1.example',
    '[2001:db8::1]:2379': '2001:db8::1',
  };
  for (const [text, host] of Object.entries(good)) expect(parseEndpoint(text)?.host, text).toBe(host);
  for (const text of [
    '',
    'host',
    'host:',
    ':1',
    'host:0',
    'host:65536',
    '2001:db8::1:2379',
    '10.0.0.256:1',
    '010.1:1',
    'a b:1',
    '[host]:1',
    'https://host:1',
    'user@host:1',
    'host:1/path',
    '[::1%lo]:1',
  ])
    expect(parseEndpoint(text), text).toBeUndefined();
});

/** Writes as fast as the other side reads, up to a gigabyte. */
async function flood(socket: Socket, block: Buffer, count: (bytes: number) => void = () => undefined): Promise<void> {
  for (let sent = 0; sent < 1 << 30 && !socket.destroyed; sent += block.length) {
    count(block.length);
    if (socket.write(block)) await new Promise((resolve) => setImmediate(resolve));
    else await once(socket, 'drain').catch(() => undefined);
  }
}
