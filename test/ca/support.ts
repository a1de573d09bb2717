import { randomBytes } from 'node:crypto';

import { pino } from 'pino';

import { createAudit } from '../../src/audit/audit.js';
import { createCa, type CaOptions } from '../../src/ca/ca.js';
import { createKeyEncryptionKey } from '../../src/ca/keys/key-encryption-key.js';
import type { Ca, IssuedCertificate, LeafOrder, PreparedCertificate, RingConfig } from '../../src/ca/types.js';
import type { Store } from '../../src/store/types.js';
import { newLeafKey, type LeafKey } from './leaf-keys.js';

export const random = { bytes: (count: number) => randomBytes(count) };
export const logger = pino({ level: 'silent' });
export const kek = createKeyEncryptionKey(Buffer.alloc(32, 9), 'file', random);

export const dayMs = 24 * 60 * 60 * 1000;
const tenYears = 3650 * dayMs;

export function ringConfig(name: string, change: Partial<RingConfig> = {}): RingConfig {
  return { name, keyType: 'ec-p256', commonName: name, lifetimeMs: tenYears, ...change };
}

/** kubeadm's layout and the service's own ring. */
export const defaultRings: readonly RingConfig[] = [
  ringConfig('kubernetes'),
  ringConfig('etcd', { commonName: 'etcd-ca' }),
  ringConfig('front-proxy', { commonName: 'front-proxy-ca' }),
  ringConfig('rotunda'),
];

/** A clock that stands still until it is moved. */
export function testClock(start = Date.UTC(2026, 10, 23, 12)): { now(): Date; set(milliseconds: number): void } {
  let time = start;
  return {
    now: () => new Date(time),
    set: (milliseconds) => {
      time = milliseconds;
    },
  };
}

export function startCa(store: Store, change: Partial<CaOptions> = {}): Promise<Ca> {
  return createCa({
    store,
    kek,
    clock: testClock(),
    random,
    audit: createAudit({ logger }),
    rings: defaultRings,
    logger,
    ...change,
  });
}

const anyKey: LeafKey = newLeafKey('ec-p256');

/** A kubelet's client certificate, unless told otherwise. */
export function leafOrder(change: Partial<LeafOrder> = {}, now = Date.UTC(2026, 10, 23, 12)): LeafOrder {
  return {
    ring: 'kubernetes',
    profile: 'kubernetes.io/kube-apiserver-client-kubelet',
    subject: [
      { oid: '2.5.4.10', value: 'system:nodes' },
      { oid: '2.5.4.3', value: 'system:node:worker-1' },
    ],
    commonName: 'system:node:worker-1',
    names: [],
    spki: anyKey.spki,
    keyId: anyKey.keyId,
    notBefore: now - 5 * 60 * 1000,
    notAfter: now + 30 * dayMs,
    keyUsages: ['digitalSignature'],
    extendedKeyUsages: ['1.3.6.1.5.5.7.3.2'],
    requester: 'system:bootstrap:abcdef',
    node: 'worker-1',
    ...change,
  };
}

export async function intend(store: Store, ca: Ca, prepared: PreparedCertificate): Promise<void> {
  await store.write((tx) => ca.issuing.intend(tx, prepared));
}

/** The whole way of one certificate. */
export async function issue(store: Store, ca: Ca, order: LeafOrder): Promise<IssuedCertificate> {
  const prepared = ca.issuing.prepare(order);
  await intend(store, ca, prepared);
  const issued = await ca.issuing.sign(prepared);
  await store.write((tx) => ca.issuing.record(tx, issued));
  return issued;
}
