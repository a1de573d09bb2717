import { generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';

import type { Audit } from '../audit/types.js';
import type { Clock, Random } from '../clock.js';
import { RotundaError } from '../errors.js';
import { markSuperseded } from '../store/queries/authority-use.js';
import { findAuthority } from '../store/queries/ring-changes.js';
import type { Store } from '../store/types.js';
import { issuingCertificate } from './authorities.js';
import type { KeyStore } from './keys/types.js';
import { serialNumber } from './issuing.js';
import type { Ledger } from './ledger.js';
import { createCheck } from './recheck.js';
import { createSigner, type Signer } from './signers.js';
import type { Authority, Canary, CanaryOrder, LeafOrder, PreparedCertificate } from './types.js';
import { attributeOids } from './x509/name.js';
import { lintLeaf } from './x509/lint.js';
import { encodePem } from './x509/pem.js';
import { publicPart } from './keys/software-key.js';
import { clientAuth, serverAuth } from './x509/usages.js';

/** Under which canaries are recorded; nobody uses one but this service, so that no authority is kept for their sake. */
export const canaryProfile = 'rotunda.dev/canary';

const commonName = 'rotunda-canary';
const backdateMs = 5 * 60_000;
const generate = promisify(generateKeyPair);

type Options = {
  readonly store: Store;
  readonly keys: KeyStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly audit: Audit;
  readonly ledger: Ledger;
  readonly authorities: () => readonly Authority[];
  readonly epoch: (ring: string) => number;
};

/** Makes canaries: a user name without any group, and a key that never leaves this process. */
export function createCanaries(options: Options): (wanted: CanaryOrder) => Promise<Canary> {
  const recheck = createCheck();
  return async (wanted) => {
    const { store, ledger, audit, clock } = options;
    const signer = await signerFor(options, wanted);
    const pair = await generate('ec', { namedCurve: 'P-256' });
    const now = clock.now().getTime();
    const prepared = prepare(orderOf(wanted, pair.privateKey, signer, now), signer, options, now);
    await store.write(async (tx) => {
      if (!(await ledger.intendCanary(tx, prepared))) throw unusable(wanted);
    });
    const issued = recheck(prepared, await signer.issuer.sign(prepared.tbs), signer);
    await store.write(async (tx) => {
      await ledger.record(tx, issued);
      // It keeps no authority in use.
      await markSuperseded(tx.db, [prepared.serial], { by: prepared.serial, at: now });
      const detail = { ring: wanted.ring, authority: wanted.authority, kind: wanted.kind };
      const event = { resource: 'certificates', name: prepared.serial, outcome: 'ok', detail, at: now } as const;
      await audit.record(tx, { action: 'canary.issued', actor: 'system:rotunda', ...event });
    });
    const keyPem = encodePem('PRIVATE KEY', pair.privateKey.export({ format: 'der', type: 'pkcs8' }));
    const { pem: certificatePem, fingerprint } = issued;
    return { certificatePem, keyPem, serial: prepared.serial, fingerprint, notAfter: prepared.spec.notAfter };
  };
}

function unusable({ authority, ring }: CanaryOrder): RotundaError {
  return new RotundaError('unavailable', `the key of the authority ${authority} of the ring ${ring} is not to be used`);
}

async function signerFor(options: Options, wanted: CanaryOrder): Promise<Signer> {
  const authority = options.authorities().find(({ ski }) => ski === wanted.authority);
  const row = authority && (await findAuthority(options.store.db, authority.ski));
  if (authority?.ring !== wanted.ring || row === undefined || row.tainted !== 0 || row.sealed !== 0)
    throw unusable(wanted);
  const certificate = issuingCertificate(authority);
  const { keyId } = certificate.key;
  const key = await options.keys.load({ keyId, keyType: authority.keyType, wrappedKey: row.wrapped_key });
  const epoch = options.epoch(wanted.ring);
  return createSigner({ authority, epoch, certificate, notAfter: certificate.notAfter, crossPem: '' }, key);
}

function orderOf(wanted: CanaryOrder, key: KeyObject, signer: Signer, now: number): LeafOrder {
  const { spki, keyId } = publicPart(key);
  const seconds = Math.floor(now / 1000) * 1000;
  return {
    ring: wanted.ring,
    profile: canaryProfile,
    subject: [{ oid: attributeOids.commonName, value: commonName }],
    commonName,
    names: wanted.names,
    spki,
    keyId,
    notBefore: seconds - backdateMs,
    notAfter: Math.min(seconds + wanted.lifetimeMs, signer.notAfter),
    keyUsages: ['digitalSignature'],
    extendedKeyUsages: [wanted.kind === 'client' ? clientAuth : serverAuth],
    requester: 'system:rotunda',
  };
}

function prepare(order: LeafOrder, signer: Signer, { random }: Options, now: number): PreparedCertificate {
  const { subject, names, spki, notBefore, notAfter, keyUsages, extendedKeyUsages } = order;
  const serial = serialNumber(random, now);
  const spec = Object.freeze({ serial, subject, names, spki, notBefore, notAfter, keyUsages, extendedKeyUsages });
  const tbs = signer.template.encodeTbs(spec);
  lintLeaf(tbs, spec, signer.issuer.info);
  return Object.freeze({ order, spec, serial: serial.toString('hex'), ski: signer.ski, epoch: signer.epoch, tbs });
}
