import { createHash, createPrivateKey, generateKeyPair, type KeyObject, X509Certificate } from 'node:crypto';
import { promisify } from 'node:util';

import type { LeafOrder } from '../ca/types.js';
import { readCertificate } from '../ca/x509/certificate.js';
import { encodePem } from '../ca/x509/pem.js';
import type { AltName, CertificateFacts, DistinguishedName } from '../ca/x509/types.js';
import type { Context } from '../context.js';
import { noteTakeover } from './replaced.js';

const generate = promisify(generateKeyPair);
/** Tolerates clocks that are a little behind, as upstream's signer does. */
const backdateMs = 5 * 60_000;

export type OwnCertificateOptions = {
  readonly ring: string;
  /** Names the purpose in the ledger and the inventory. */
  readonly profile: string;
  readonly subject: DistinguishedName;
  readonly commonName: string;
  readonly names: readonly AltName[];
  readonly lifetimeMs: number;
  /** Dotted OID: serverAuth or clientAuth. */
  readonly extendedKeyUsage: string;
  /** What it is to take the place of. Noted with it, so that a crash before anybody has it leaves no riddle. */
  readonly inPlaceOf?: OwnCertificate | undefined;
};

export type OwnCertificate = { readonly certificatePem: string; readonly keyPem: string };

export type OwnCertificateParts = Pick<Context, 'ca' | 'store' | 'clock' | 'audit'>;

/** Issues a certificate for the service itself, on the same path as every other: ledger first, then signature, then inventory. */
export async function issueOwnCertificate(
  parts: OwnCertificateParts,
  options: OwnCertificateOptions,
): Promise<OwnCertificate> {
  const { ca, store, clock, audit } = parts;
  const pair = await generate('ec', { namedCurve: 'P-256' });
  const prepared = ca.issuing.prepare(orderFor(pair.publicKey, options, clock.now().getTime()));
  await store.write((tx) => ca.issuing.intend(tx, prepared));
  const issued = await ca.issuing.sign(prepared);
  await store.write(async (tx) => {
    await ca.issuing.record(tx, issued);
    if (options.inPlaceOf !== undefined)
      await noteTakeover(tx, options.inPlaceOf, prepared.serial, clock.now().getTime());
    await audit.record(tx, {
      action: 'certificate.issued',
      actor: 'system:rotunda',
      resource: 'certificates',
      name: prepared.serial,
      outcome: 'ok',
      detail: { profile: options.profile, ring: options.ring, subject: options.commonName },
      at: clock.now().getTime(),
    });
  });
  const key = encodePem('PRIVATE KEY', pair.privateKey.export({ format: 'der', type: 'pkcs8' }));
  return { certificatePem: issued.chainPem, keyPem: key };
}

function orderFor(key: KeyObject, options: OwnCertificateOptions, now: number): LeafOrder {
  const spki = key.export({ format: 'der', type: 'spki' });
  const seconds = Math.floor(now / 1000) * 1000;
  return {
    ring: options.ring,
    profile: options.profile,
    subject: options.subject,
    commonName: options.commonName,
    names: options.names,
    spki,
    keyId: keyIdOf(spki),
    notBefore: seconds - backdateMs,
    notAfter: seconds + options.lifetimeMs,
    keyUsages: ['digitalSignature'],
    extendedKeyUsages: [options.extendedKeyUsage],
    requester: 'system:rotunda',
  };
}

/** What a stored certificate says; undefined when it is damaged or its key is not the one beside it: it is to be replaced. */
export function factsOfOwn({ certificatePem, keyPem }: OwnCertificate): CertificateFacts | undefined {
  try {
    const certificate = new X509Certificate(certificatePem);
    return certificate.checkPrivateKey(createPrivateKey(keyPem)) ? readCertificate(certificate.raw) : undefined;
  } catch {
    return undefined;
  }
}

/** The same certificate with what is to be presented behind it now; the very object where nothing changes. */
export function rechained({ ca }: Pick<Context, 'ca'>, ring: string, own: OwnCertificate): OwnCertificate {
  const { active, crossPem } = ca.ring(ring);
  const leaf = new X509Certificate(own.certificatePem);
  const authority = readCertificate(leaf.raw).authorityKeyId;
  const certificatePem = encodePem('CERTIFICATE', leaf.raw) + (authority === active.ski ? crossPem : '');
  return certificatePem === own.certificatePem ? own : { ...own, certificatePem };
}

/**
 * Whether two thirds of its life are over, or another authority signs for the ring by now. Never while nothing is signed
 * there.
 */
export function isAged({ ca, clock }: Pick<Context, 'ca' | 'clock'>, ring: string, facts: CertificateFacts): boolean {
  if (ca.ring(ring).frozen) return false;
  const twoThirds = facts.notBefore + ((facts.notAfter - facts.notBefore) * 2) / 3;
  return clock.now().getTime() >= twoThirds || facts.authorityKeyId !== ca.ring(ring).active.ski;
}

function keyIdOf(spki: Buffer): string {
  return createHash('sha256').update(spki).digest('hex');
}
