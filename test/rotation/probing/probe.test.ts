import { type ChildProcess, spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { knownAuthorities, readPresented } from '../../../src/rotation/probing/presented.js';
import { probeEndpoint } from '../../../src/rotation/probing/probe.js';
import type { ProbeAnswer, ProbeOptions } from '../../../src/rotation/probing/types.js';
import { freePorts } from '../../support/etcd.js';
import { describeWithPeer, requirePeer } from '../../support/peers.js';
import { type EndpointOptions, startEndpoint, type TestEndpoint } from './endpoints.js';
import { newPki, type TestAuthority, type TestLeaf, type TestPki } from './pki.js';

describeWithPeer('openssl', 'a probe', () => {
  let pki: TestPki;
  let a: TestAuthority;
  let b: TestAuthority;
  let serverOfA: TestLeaf;
  let canaryA: TestLeaf;
  let canaryB: TestLeaf;
  const open: TestEndpoint[] = [];

  beforeAll(() => {
    pki = newPki();
    a = pki.authority('A');
    b = pki.authority('B');
    serverOfA = pki.leaf(a, { kind: 'server', commonName: 'endpoint' });
    canaryA = pki.leaf(a);
    canaryB = pki.leaf(b);
  });

  afterEach(async () => {
    for (const endpoint of open.splice(0)) await endpoint.close();
  });

  afterAll(() => {
    pki.remove();
  });

  async function endpoint(
    kind: Parameters<typeof startEndpoint>[0],
    options: Partial<EndpointOptions> = {},
  ): Promise<TestEndpoint> {
    const started = await startEndpoint(kind, { leaf: serverOfA, clientCas: [a.pem], ...options });
    open.push(started);
    return started;
  }

  const probe = (port: number, options: Partial<ProbeOptions> = {}): Promise<ProbeAnswer> =>
    probeEndpoint({ host: '127.0.0.1', port, protocol: 'tls', timeoutMs: 3000, quietMs: 200, ...options });

  describe('of what is presented', () => {
    const read = async (port: number): Promise<ReturnType<typeof readPresented>> =>
      readPresented((await probe(port)).presented, knownAuthorities([a, b]));

    it('gives the chain as it was sent, related or not', async () => {
      const chain = b.pem + canaryB.certificatePem + a.pem;
      const { port } = await endpoint('no-client-certificates', { chain });
      const { outcome, presented } = await probe(port);
      expect(outcome).toBe('yes');
      expect(presented.map((der) => new X509Certificate(der).subject)).toEqual([
        'CN=endpoint',
        'CN=B',
        'CN=rotunda-canary',
        'CN=A',
      ]);
    });

    it('knows the leaf, who signed it, and what it says of that', async () => {
      const { port } = await endpoint('tls');
      expect(await read(port)).toMatchObject({
        leaf: { serial: serverOfA.serial, fingerprint: serverOfA.fingerprint },
        authority: a.ski,
        claimed: a.ski,
        crossed: false,
      });
    });

    it('sees a cross-certificate, and no anchor for one', async () => {
      const leaf = pki.leaf(b, { kind: 'server' });
      const crossed = await endpoint('tls', { leaf, chain: pki.cross(b, a) });
      expect(await read(crossed.port)).toMatchObject({ authority: b.ski, crossed: true, length: 2 });
      const anchored = await endpoint('tls', { leaf, chain: b.pem + a.pem });
      expect(await read(anchored.port)).toMatchObject({ authority: b.ski, crossed: false, length: 3 });
    });

    it('goes by the signature where the key identifier lies', async () => {
      const liar = pki.authority('liar', { ski: a.ski.replaceAll(/..(?=.)/g, '$&:') });
      const { port } = await endpoint('tls', { leaf: pki.leaf(liar, { kind: 'server' }) });
      expect(await read(port)).toMatchObject({ authority: undefined, claimed: a.ski });
    });

    it('knows nobody where an unknown authority signed, and nothing where nothing is readable', async () => {
      const { port } = await endpoint('tls', { leaf: pki.leaf(pki.authority('other'), { kind: 'server' }) });
      expect(await read(port)).toMatchObject({ authority: undefined });
      expect(readPresented([], knownAuthorities([a]))).toBeUndefined();
      expect(readPresented([Buffer.from('no certificate')], knownAuthorities([a]))).toBeUndefined();
    });
  });

  describe.each(['TLSv1.2', 'TLSv1.3'] as const)('of mutual TLS in Node, %s', (tls) => {
    it('is taken with a certificate of an anchor, and only of one', async () => {
      const { port } = await endpoint('tls', { tls });
      expect(await probe(port, { clientCertificate: canaryA })).toMatchObject({ outcome: 'yes' });
      // Node closes without an alert.
      expect(await probe(port, { clientCertificate: canaryB })).toMatchObject({ outcome: 'no', certain: false });
    });

    it('follows the file that a server loads', async () => {
      const server = await endpoint('tls', { tls });
      const { port } = server;
      server.reload({ clientCas: [a.pem, b.pem] });
      expect(await probe(port, { clientCertificate: canaryB })).toMatchObject({ outcome: 'yes' });
      server.reload({ clientCas: [b.pem] });
      expect(await probe(port, { clientCertificate: canaryA })).toMatchObject({ outcome: 'no' });
    });
  });

  describe('of a Kubernetes API', () => {
    it.each(['kubernetes', 'kubelet'] as const)('is known by its user at a %s, or is not', async (protocol) => {
      const { port } = await endpoint(protocol);
      expect(await probe(port, { protocol, clientCertificate: canaryA })).toMatchObject({
        outcome: 'yes',
        detail: expect.stringContaining('user of the certificate') as string,
      });
      expect(await probe(port, { protocol, clientCertificate: canaryB })).toMatchObject({
        outcome: 'no',
        certain: true,
        detail: 'it answered 401',
      });
    });

    it('is not taken for another user', async () => {
      const { port } = await endpoint('kubernetes');
      const other = pki.leaf(a, { commonName: 'rotunda-canary-2' });
      expect(await probe(port, { protocol: 'kubernetes', clientCertificate: other })).toMatchObject({ outcome: 'yes' });
      const { port: plain } = await endpoint('no-client-certificates');
      expect(await probe(plain, { protocol: 'kubernetes', clientCertificate: canaryA, timeoutMs: 500 })).toMatchObject({
        outcome: 'unreachable',
      });
    });
  });

  describe.each(['-tls1_2', '-tls1_3'])('of openssl s_server %s', (version) => {
    let child: ChildProcess;
    let port: number;

    beforeAll(async () => {
      const anchors = path.join(pki.dir, 'anchors.pem');
      writeFileSync(anchors, a.pem);
      [port = 0] = await freePorts(1);
      const { stem } = serverOfA;
      const own = ['-cert', `${stem}.crt`, '-key', `${stem}.key`, '-CAfile', anchors];
      const args = ['s_server', '-accept', `127.0.0.1:${String(port)}`, version, ...own];
      child = spawn(requirePeer('openssl'), [...args, '-Verify', '2', '-verify_return_error', '-quiet'], {
        stdio: ['pipe', 'ignore', 'ignore'],
      });
      const deadline = Date.now() + 5000;
      while ((await probe(port)).outcome !== 'yes' && version === '-tls1_3' && Date.now() < deadline);
      if (version === '-tls1_2') await new Promise((resolve) => setTimeout(resolve, 1000));
    });

    afterAll(() => child.kill('SIGKILL'));

    it('is refused by an alert that names the reason', async () => {
      expect(await probe(port, { clientCertificate: canaryB })).toMatchObject({
        outcome: 'no',
        certain: true,
        detail: 'it sent the alert unknown_ca',
      });
      expect(await probe(port, { clientCertificate: canaryA })).toMatchObject({ outcome: 'yes' });
    });

    it('is refused for another reason when it has expired', async () => {
      const clientCertificate = pki.leaf(a, { expired: true });
      expect(await probe(port, { clientCertificate })).toMatchObject({ outcome: 'no', certain: false });
    });
  });

  it('sends the leaf alone, whatever stands behind it', async () => {
    const { port } = await endpoint('tls');
    const chained = { ...canaryB, certificatePem: canaryB.certificatePem + pki.cross(b, a) };
    expect(await probe(port, { clientCertificate: chained })).toMatchObject({ outcome: 'no' });
  });

  it('is no proof where no certificate is asked for: the control is taken too', async () => {
    for (const kind of ['no-client-certificates', 'any-client-certificate'] as const) {
      const { port } = await endpoint(kind);
      expect(await probe(port, { clientCertificate: canaryB })).toMatchObject({ outcome: 'yes' });
    }
  });

  it('rejects a certificate that cannot be used', async () => {
    const broken = { certificatePem: canaryA.certificatePem, keyPem: canaryB.keyPem };
    await expect(probe(1, { clientCertificate: broken })).rejects.toThrow();
  });
});
