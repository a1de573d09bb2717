import { spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';

import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';

import type { CanaryOrder } from '../../src/ca/types.js';
import { RotundaError } from '../../src/errors.js';
import { type CandidateListener, createCandidateListener } from '../../src/service/candidate-listener.js';
import type { ServedAuthority } from '../../src/service/served-authorities.js';
import { logger, testClock } from '../ca/support.js';
import { newPki, type TestAuthority, type TestLeaf, type TestPki } from '../rotation/probing/pki.js';
import { describeWithPeer, requirePeer } from '../support/peers.js';

const name = 'candidate.kubernetes.rotunda.internal';

describeWithPeer('openssl', 'candidates on the one listener', () => {
  let pki: TestPki;
  let old: TestAuthority;
  let next: TestAuthority;
  let own: TestLeaf;
  let server: Server;
  let port: number;
  let listener: CandidateListener;
  let served: ServedAuthority[];
  let hints: string[];
  let broken: Set<string>;
  let made: CanaryOrder[];
  let clock: ReturnType<typeof testClock>;
  let seen: TLSSocket[];
  const open: TLSSocket[] = [];

  beforeAll(() => {
    pki = newPki();
    old = pki.authority('old');
    next = pki.authority('new');
    own = pki.leaf(old, { kind: 'server', commonName: 'rotunda' });
  });

  afterAll(() => {
    pki.remove();
  });

  beforeEach(async () => {
    [served, hints, broken, made, seen] = [[candidate()], [old.pem, next.pem], new Set(), [], []];
    clock = testClock();
    listener = createCandidateListener({
      served: () => Promise.resolve(served),
      canary: (order) => {
        made.push(order);
        if (broken.has(order.authority)) throw new RotundaError('unavailable', 'no key');
        const dns = order.names.filter(({ kind }) => kind === 'dns').map(({ value }) => value);
        const leaf = pki.leaf(order.authority === next.ski ? next : old, { kind: 'server', dns });
        // Whoever makes it might put the cross-certificate behind it.
        const certificatePem = leaf.certificatePem + pki.cross(next, old);
        return Promise.resolve({ ...leaf, certificatePem, notAfter: 0 });
      },
      names: () => [{ kind: 'dns', value: 'rotunda.example' }],
      clientCas: () => hints,
      clock,
      logger,
    });
    await listener.refresh();
    const options = {
      cert: own.certificatePem,
      key: own.keyPem,
      ca: hints,
      requestCert: true,
      rejectUnauthorized: false,
    };
    server = createServer(
      {
        ...options,
        SNICallback: (serverName, answer) => {
          answer(null, listener.contextFor(serverName));
        },
      },
      (request, response) => {
        response.end(JSON.stringify(listener.candidateOf(request.socket) ?? null));
      },
    );
    server.on('tlsClientError', () => undefined);
    server.on('secureConnection', (socket) => {
      seen.push(socket);
      listener.connected(socket);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    port = (server.address() as AddressInfo).port;
  });

  afterEach(async () => {
    for (const socket of open.splice(0)) socket.destroy();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  function candidate(change: Partial<ServedAuthority> = {}): ServedAuthority {
    return { role: 'candidate', ring: 'kubernetes', authority: next.ski, generation: 2, ...change };
  }

  type Client = {
    readonly chain: readonly X509Certificate[];
    readonly session: () => Buffer | undefined;
    /** As the server saw it. */
    readonly socket: TLSSocket;
    ask(): Promise<unknown>;
    readonly resumed: boolean;
  };

  /** A client that verifies with these anchors. */
  async function dial(
    servername: string,
    anchors: readonly TestAuthority[],
    more: ConnectionOptions = {},
  ): Promise<Client> {
    const before = seen.length;
    const ca = anchors.map(({ pem }) => pem);
    const socket = connect({ host: '127.0.0.1', port, servername, ca, ...more });
    open.push(socket);
    let session: Buffer | undefined;
    socket.on('session', (ticket: Buffer) => {
      session = ticket;
    });
    await new Promise<void>((resolve, reject) => {
      socket.once('secureConnect', resolve).once('error', reject);
    });
    socket.on('error', () => undefined);
    const chain: X509Certificate[] = [];
    for (let one = socket.getPeerX509Certificate(); one !== undefined; one = one.issuerCertificate) chain.push(one);
    while (seen[before] === undefined) await new Promise((resolve) => setTimeout(resolve, 5));
    return {
      chain,
      session: () => session,
      socket: seen[before],
      resumed: socket.isSessionReused(),
      ask: () =>
        new Promise((resolve) => {
          socket.once('data', (data: Buffer) => {
            const [, body = ''] = /\r\n\r\n([\s\S]*)$/.exec(data.toString()) ?? [];
            resolve(JSON.parse(/\{.*\}|null/.exec(body)?.[0] ?? 'null'));
          });
          socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
        }),
    };
  }

  it('are presented to who asks for their names, and to nobody else', async () => {
    const found = await dial(name, [next]);
    expect(found.chain[0]?.checkHost(name)).toBe(name);
    expect(found.chain[0]?.checkHost('rotunda.example')).toBe('rotunda.example');
    expect(found.chain[0]?.verify(new X509Certificate(next.pem).publicKey)).toBe(true);
    expect((await dial(name.toUpperCase(), [next])).chain[0]?.subject).toBe(found.chain[0]?.subject);
    for (const other of [
      'localhost',
      `x.${name}`,
      'candidate.etcd.rotunda.internal',
      'retired.kubernetes.rotunda.internal',
    ])
      expect((await dial(other, [old], { checkServerIdentity: () => undefined })).chain[0]?.subject).toBe('CN=rotunda');
    await expect(dial('localhost', [next])).rejects.toThrow();
    expect((await dial('', [old], { checkServerIdentity: () => undefined })).chain[0]?.subject).toBe('CN=rotunda');
  });

  it('are never verified with the old anchor, since no cross-certificate is served', async () => {
    await expect(dial(name, [old])).rejects.toMatchObject({
      code: expect.stringMatching(/ISSUER|SIGNATURE|LEAF|SELF_SIGNED/) as string,
    });
    const { chain } = await dial(name, [next]);
    for (const certificate of chain.slice(1))
      expect(certificate.verify(certificate.publicKey), certificate.subject).toBe(true);
  });

  it('are verified by openssl, strictly, and with the old anchor not', async () => {
    const verify = (anchor: TestAuthority): Promise<number> => {
      const asked = ['-connect', `127.0.0.1:${String(port)}`, '-servername', name, '-verify_hostname', name];
      const by = ['-CAfile', anchor.files.cert, '-verify_return_error', '-x509_strict', '-brief'];
      const child = spawn(requirePeer('openssl'), ['s_client', ...asked, ...by], {
        stdio: ['ignore', 'ignore', 'ignore'],
      });
      return new Promise((resolve) => child.once('exit', (code) => resolve(code ?? -1)));
    };
    expect(await verify(next)).toBe(0);
    expect(await verify(old)).toBe(1);
  });

  it.each(['TLSv1.2', 'TLSv1.3'] as const)('are known to have been verified, %s', async (version) => {
    const found = await dial(name, [next], { minVersion: version, maxVersion: version });
    expect(await found.ask()).toEqual(candidate());
    expect(listener.candidateOf(found.socket)).toEqual(candidate());
    expect(listener.problemOf(found.socket)).toBeUndefined();
    const plain = await dial('localhost', [old], { minVersion: version, maxVersion: version });
    expect(await plain.ask()).toBeNull();
    expect(listener.problemOf(plain.socket)).toBeUndefined();
    for (const nothing of [undefined, null, 'socket', {}]) expect(listener.candidateOf(nothing)).toBeUndefined();
  });

  it.each(['TLSv1.2', 'TLSv1.3'] as const)('are not shown by a resumed session, %s', async (version) => {
    const versions = { minVersion: version, maxVersion: version } as const;
    const first = await dial(name, [next], versions);
    await first.ask();
    const again = await dial(name, [next], { ...versions, session: first.session() });
    expect(again.resumed).toBe(true);
    expect(await again.ask()).toBeNull();
    if (version === 'TLSv1.3') expect(listener.problemOf(again.socket)).toContain('session was resumed');
    // Nor by one of a connection to the service itself.
    const plain = await dial('localhost', [old], versions);
    await plain.ask();
    const crossed = await dial(name, [old], {
      ...versions,
      session: plain.session(),
      checkServerIdentity: () => undefined,
    });
    expect(crossed.resumed).toBe(true);
    expect(await crossed.ask()).toBeNull();
  });

  it('are shown for a minute: an older connection tells of the past', async () => {
    const found = await dial(name, [next]);
    clock.set(clock.now().getTime() + 60_000);
    expect(await found.ask()).toEqual(candidate());
    clock.set(clock.now().getTime() + 1);
    expect(await found.ask()).toBeNull();
    expect(listener.problemOf(found.socket)).toContain('open another one');
  });

  it('are void once something else is served', async () => {
    const found = await dial(name, [next]);
    served = [candidate({ generation: 4 })];
    await listener.refresh();
    expect(await found.ask()).toBeNull();
    expect(listener.problemOf(found.socket)).toContain('by now');
    expect(await (await dial(name, [next])).ask()).toEqual(candidate({ generation: 4 }));
    served = [candidate({ authority: old.ski, generation: 5 })];
    await listener.refresh();
    await expect(dial(name, [next])).rejects.toThrow();
    expect(await (await dial(name, [old])).ask()).toEqual(candidate({ authority: old.ski, generation: 5 }));
    served = [];
    await listener.refresh();
    const none = await dial(name, [old], { checkServerIdentity: () => undefined });
    expect(none.chain[0]?.subject).toBe('CN=rotunda');
    expect(await none.ask()).toBeNull();
    expect(listener.problemOf(none.socket)).toBe(`nothing is served under ${name} now`);
  });

  it('tell a retired authority from a candidate', async () => {
    const retired = candidate({ role: 'retired', authority: old.ski, generation: 3 });
    served = [candidate(), retired];
    await listener.refresh();
    const found = await dial('retired.kubernetes.rotunda.internal', [old]);
    expect(listener.candidateOf(found.socket)).toBeUndefined();
    expect(listener.retiredOf(found.socket)).toEqual(retired);
    expect(listener.retiredOf((await dial(name, [next])).socket)).toBeUndefined();
  });

  it('are replaced at half their life, and connections to the one before count on', async () => {
    const found = await dial(name, [next]);
    const first = found.chain[0]?.fingerprint256;
    await listener.refresh();
    hints = [next.pem];
    await listener.refresh();
    expect((await dial(name, [next])).chain[0]?.fingerprint256).toBe(first);
    expect(made).toHaveLength(1);
    const late = await dial(name, [next]);
    clock.set(clock.now().getTime() + 12 * 3_600_000);
    await listener.refresh();
    expect((await dial(name, [next])).chain[0]?.fingerprint256).not.toBe(first);
    clock.set(clock.now().getTime() - 12 * 3_600_000);
    expect(listener.candidateOf(late.socket)).toEqual(candidate());
  });

  it('are left out where their leaf cannot be made, and tried again', async () => {
    broken.add(old.ski);
    served = [candidate({ ring: 'etcd', authority: old.ski }), candidate()];
    await listener.refresh();
    expect(listener.contextFor('candidate.etcd.rotunda.internal')).toBeUndefined();
    expect(await (await dial(name, [next])).ask()).toEqual(candidate());
    broken.clear();
    await listener.refresh();
    expect(listener.contextFor('candidate.etcd.rotunda.internal')).toBeDefined();
  });

  it('stay as they are while it cannot be read what is to be served', async () => {
    const known = served;
    served = new Proxy([], {
      get: () => {
        throw new Error('the database is gone');
      },
    });
    await listener.refresh();
    expect(await (await dial(name, [next])).ask()).toEqual(candidate());
    served = known;
    await listener.refresh();
    expect(await (await dial(name, [next])).ask()).toEqual(candidate());
  });

  it('survive what no client should send', async () => {
    for (const odd of [
      `${'a'.repeat(60)}.${'b'.repeat(60)}.example`,
      'candidate..rotunda.internal',
      '__proto__',
      'constructor',
    ])
      expect((await dial(odd, [old], { checkServerIdentity: () => undefined })).chain[0]?.subject).toBe('CN=rotunda');
    await Promise.all([listener.refresh(), listener.refresh(), listener.refresh()]);
    expect(made).toHaveLength(1);
  });
});
