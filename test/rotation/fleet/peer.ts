import { randomUUID, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type Server, type TLSSocket } from 'node:tls';

import type { Bundle } from '../../../src/ca/types.js';
import type { Context } from '../../../src/context.js';
import { supersedeBy } from '../../../src/store/queries/certificates-superseded.js';
import { intend, leafOrder } from '../../ca/support.js';
import { newLeafKey } from '../../ca/leaf-keys.js';
import { keyPem } from '../../support/pkcs10.js';

const hourMs = 3_600_000;

export type Leaf = {
  readonly serial: string;
  readonly chainPem: string;
  readonly keyPem: string;
  readonly fingerprint: string;
  readonly ski: string;
};

/**
 * One member of a mesh with mutual TLS: a real listener, which verifies its clients by what its process has loaded, and
 * presents what it was given.
 */
export type Peer = {
  readonly name: string;
  readonly port: number;
  leaf: Leaf;
  /** What its process has loaded. */
  bundle: Bundle;
  /** It takes no part in anything any more but goes on serving. */
  asleep: boolean;
  close(): Promise<void>;
};

export type Mesh = { readonly context: Context; readonly ring: string; readonly cluster: string };

/** Issues a leaf for the peer as the service issues any: ledger first, and the holder registered with it. */
export async function issueFor({ context, ring, cluster }: Mesh, name: string): Promise<Leaf> {
  const { ca, store, clock, consumers } = context;
  const key = newLeafKey('ec-p256');
  const now = clock.now().getTime();
  const change = {
    ...{ ring, profile: 'etcd.rotunda.dev/peer', commonName: name, cluster, member: name, requester: 'a test' },
    subject: [{ oid: '2.5.4.3', value: name }],
    names: [{ kind: 'ip', value: '127.0.0.1' } as const],
    extendedKeyUsages: ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'],
    ...{ spki: key.spki, keyId: key.keyId, notAfter: now + 24 * hourMs },
  };
  const { node: _node, ...order } = leafOrder(change, now);
  for (let attempt = 0; ; attempt += 1) {
    const prepared = ca.issuing.prepare(order);
    try {
      await intend(store, ca, prepared);
    } catch (error) {
      // The ring moved on in between.
      if (attempt === 5) throw error;
      await ca.reload();
      continue;
    }
    await store.write((tx) => consumers.registerIssued(tx, prepared.order, { joinerIn: [] }));
    const issued = await ca.issuing.sign(prepared);
    await store.write((tx) => ca.issuing.record(tx, issued));
    const { serial, ski } = prepared;
    return {
      serial,
      ski,
      chainPem: issued.chainPem,
      keyPem: keyPem(key.privateKey),
      fingerprint: issued.fingerprint,
    };
  }
}

export async function startPeer(mesh: Mesh, name: string): Promise<Peer> {
  const bundle = mesh.context.ca.bundle(mesh.ring);
  const leaf = await issueFor(mesh, name);
  const server = createServer({ ...presented(leaf, bundle), requestCert: true, rejectUnauthorized: true }, greet);
  server.on('tlsClientError', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const peer: Peer = {
    ...{ name, leaf, bundle, asleep: false, port: (server.address() as AddressInfo).port },
    close: () =>
      new Promise(
        (resolve) =>
          void server.close(() => {
            resolve();
          }),
      ),
  };
  servers.set(peer, server);
  return peer;
}

const servers = new WeakMap<Peer, Server>();

/** A word after the handshake: with TLS 1.3 a client hears of a refusal only then. */
function greet(socket: TLSSocket): void {
  socket.on('error', () => undefined);
  socket.end('ok');
}

function presented(leaf: Leaf, bundle: Bundle) {
  return {
    cert: leaf.chainPem,
    key: leaf.keyPem,
    ca: bundle.anchors.map((anchor) => new X509Certificate(anchor.der).toString()),
  };
}

/** A new process on the old listener: what it has loaded is what lies there now, and it says so. */
export async function restart({ context, ring, cluster }: Mesh, peer: Peer): Promise<void> {
  peer.bundle = context.ca.bundle(ring);
  servers.get(peer)?.setSecureContext(presented(peer.leaf, peer.bundle));
  const now = context.clock.now().getTime();
  const { generation, digest } = peer.bundle;
  const said = {
    consumer: `etcd-member/${cluster}/${peer.name}`,
    ring,
    generation,
    digest,
    evidence: 'restart',
    clean: true,
  } as const;
  const process = { id: randomUUID(), startedAt: now };
  const actor = { kind: 'internal', username: 'agent', uid: '', groups: [], extra: {}, roles: ['admin'] } as const;
  await context.consumers.acknowledge({ ...said, process, deliveredAt: now - 1, reportedAt: now }, actor);
}

/** Takes a new certificate into use; the service has seen it there. */
export async function renew(mesh: Mesh, peer: Peer): Promise<void> {
  peer.leaf = await issueFor(mesh, peer.name);
  servers.get(peer)?.setSecureContext(presented(peer.leaf, peer.bundle));
  const { serial, fingerprint } = peer.leaf;
  await mesh.context.store.write((tx) =>
    supersedeBy(tx.db, { serial, fingerprint, at: mesh.context.clock.now().getTime() }),
  );
}

/** One handshake with both certificates verified. Rejects with why it failed. */
export function handshake(from: Peer, to: Peer): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: to.port, ...presented(from.leaf, from.bundle), timeout: 10_000 });
    let word = '';
    socket.on('data', (data: Buffer) => (word += data.toString()));
    socket.on('error', reject);
    socket.on('timeout', () => socket.destroy(new Error('nothing came')));
    socket.on('close', () => {
      if (word === 'ok') resolve();
      else reject(new Error('refused after the handshake'));
    });
  });
}
