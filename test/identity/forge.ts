import { generateKeyPairSync, randomBytes, sign, webcrypto } from 'node:crypto';

import type { Bundle } from '../../src/ca/types.js';
import { certificateParts, readCertificate } from '../../src/ca/x509/certificate.js';
import { octetAlignedBits, sequence } from '../../src/ca/x509/der-writer.js';
import { x509 } from '../../src/ca/x509/peculiar.js';

export const clientAuth = '1.3.6.1.5.5.7.3.2';
export const serverAuth = '1.3.6.1.5.5.7.3.1';

/** The same certificate, issuer name, key identifiers and all, signed by a key of the forger's own. */
export function resigned(der: Buffer): Buffer {
  const { tbs, signatureAlgorithm } = certificateParts(der);
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return sequence(tbs, signatureAlgorithm, octetAlignedBits(sign('sha256', tbs, privateKey)));
}

/** The signature kept, one byte of what it covers changed. */
export function altered(der: Buffer, from: string, to: string): Buffer {
  const copy = Buffer.from(der);
  copy.write(to, copy.indexOf(from));
  return copy;
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const uidOid = '1.3.6.1.4.1.57683.2';

type KeyPair = webcrypto.CryptoKeyPair;

/** An authority of a test's own, made by another library, that signs what its owner likes. */
export type Authority = { readonly name: string; readonly keys: KeyPair; readonly der: Buffer };

export type Wanted = {
  readonly name: string;
  readonly uids?: readonly string[];
  readonly ca?: boolean;
  readonly usages?: x509.KeyUsageFlags;
  readonly extendedKeyUsages?: readonly string[];
  readonly notBefore: number;
  readonly notAfter: number;
};

export async function makeAuthority(wanted: Wanted, issuer?: Authority): Promise<Authority> {
  const keys = await makeKeys();
  const der = await make({ ca: true, usages: x509.KeyUsageFlags.keyCertSign, ...wanted }, keys, issuer);
  return { name: wanted.name, keys, der };
}

export async function makeLeaf(wanted: Wanted, issuer: Authority): Promise<Buffer> {
  const usages = { extendedKeyUsages: [clientAuth], usages: x509.KeyUsageFlags.digitalSignature };
  return make({ ...usages, ...wanted }, await makeKeys(), issuer);
}

/** Another certificate for the key and the name of an authority, by an issuer of the test's own: a way from its leaves to that issuer. */
export async function crossSigned(
  der: Buffer,
  window: Pick<Wanted, 'notBefore' | 'notAfter'>,
  issuer: Authority,
): Promise<Buffer> {
  const crossed = new x509.X509Certificate(der);
  const keyId = crossed.getExtension(x509.SubjectKeyIdentifierExtension);
  const certificate = await x509.X509CertificateGenerator.create(
    {
      serialNumber: `01${randomBytes(15).toString('hex')}`,
      subject: crossed.subjectName,
      issuer: nameOf(issuer.name, []),
      notBefore: new Date(window.notBefore),
      notAfter: new Date(window.notAfter),
      signingAlgorithm: algorithm,
      publicKey: crossed.publicKey,
      signingKey: issuer.keys.privateKey,
      extensions: [
        new x509.BasicConstraintsExtension(true, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
        ...(keyId === null ? [] : [keyId]),
        await x509.AuthorityKeyIdentifierExtension.create(issuer.keys.publicKey, false, webcrypto),
      ],
    },
    webcrypto,
  );
  return Buffer.from(certificate.rawData);
}

/** A leaf with its key, both PEM, for a TLS client. */
export async function makeCredential(wanted: Wanted, issuer: Authority): Promise<{ cert: string; key: string }> {
  const keys = await makeKeys();
  const usages = { extendedKeyUsages: [clientAuth], usages: x509.KeyUsageFlags.digitalSignature };
  const der = await make({ ...usages, ...wanted }, keys, issuer);
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  return { cert: pemOf(der), key: x509.PemConverter.encode(pkcs8, 'PRIVATE KEY') };
}

export function pemOf(der: Buffer): string {
  return `${x509.PemConverter.encode(der, 'CERTIFICATE')}\n`;
}

async function makeKeys(): Promise<KeyPair> {
  return webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
}

async function make(wanted: Wanted, keys: KeyPair, issuer: Authority | undefined): Promise<Buffer> {
  const {
    name,
    uids = [],
    ca = false,
    usages = x509.KeyUsageFlags.digitalSignature,
    extendedKeyUsages = [],
    notBefore,
    notAfter,
  } = wanted;
  const signer = issuer?.keys ?? keys;
  const extensions = [
    new x509.BasicConstraintsExtension(ca, undefined, true),
    new x509.KeyUsagesExtension(usages, true),
    await x509.SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
    await x509.AuthorityKeyIdentifierExtension.create(signer.publicKey, false, webcrypto),
    ...(extendedKeyUsages.length > 0 ? [new x509.ExtendedKeyUsageExtension([...extendedKeyUsages])] : []),
  ];
  const certificate = await x509.X509CertificateGenerator.create(
    {
      serialNumber: `01${randomBytes(15).toString('hex')}`,
      subject: nameOf(name, uids),
      issuer: nameOf(issuer?.name ?? name, []),
      notBefore: new Date(notBefore),
      notAfter: new Date(notAfter),
      signingAlgorithm: algorithm,
      publicKey: keys.publicKey,
      signingKey: signer.privateKey,
      extensions,
    },
    webcrypto,
  );
  return Buffer.from(certificate.rawData);
}

function nameOf(name: string, uids: readonly string[]): x509.Name {
  const params: x509.JsonNameParams = [{ CN: [{ utf8String: name }] }];
  for (const uid of uids) params.push({ [uidOid]: [{ utf8String: uid }] });
  return new x509.Name(params);
}

export function bundleOf(ring: string, generation: number, ...anchors: Buffer[]): Bundle {
  return {
    ring,
    generation,
    digest: '',
    anchors: anchors.map(readCertificate),
    pem: '',
    createdAt: 0,
    manifest: undefined,
  };
}
