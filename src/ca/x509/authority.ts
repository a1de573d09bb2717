import { createHash } from 'node:crypto';
import { contentOf, cursorOver, derError, enter, take, tags } from './der.js';
import { encodeKeyUsage, extensionOids } from './extensions.js';
import { attributeOids, encodeName } from './name.js';
import { x509 } from './peculiar.js';
import { assembleCertificate } from './template.js';
import type { DistinguishedName, IssuerInfo } from './types.js';

export type AuthorityCertificateSpec = {
  readonly commonName: string;
  /** Public key, SubjectPublicKeyInfo DER; of the type that `keyType` says. */
  readonly spki: Buffer;
  readonly keyType: IssuerInfo['keyType'];
  /** 1 to 20 bytes, the first below 0x80 and not zero. */
  readonly serial: Buffer;
  /** Milliseconds; whole seconds are encoded. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** Another authority that vouches for this one; itself when left out. */
  readonly issuer?: Pick<IssuerInfo, 'subjectDer' | 'ski' | 'keyType'>;
  /** Signs a TBSCertificate with the issuer's own algorithm (`signatureAlgorithmOf`); ECDSA signatures as DER. */
  readonly sign: (tbs: Buffer) => Promise<Buffer> | Buffer;
};

/** A cross-certificate must fit below an authority, and has leaves below itself alone. */
const PATH_LENGTH = { own: 1, cross: 0 } as const;

/** What the generator needs to know of a key; it never holds one. */
const generatorAlgorithms = {
  'ec-p256': { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
  'ec-p384': { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' },
  ed25519: { name: 'Ed25519' },
  'rsa-2048': { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
  'rsa-3072': { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
  'rsa-4096': { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
} as const;

/**
 * A certificate of an authority, DER, self-signed or by another authority: keyUsage digitalSignature, keyCertSign and
 * cRLSign (critical), basicConstraints CA (critical) with path length 1, or 0 where another one signs, the SHA-1 of the
 * public key (RFC 5280 section 4.2.1.2, method 1) as subject key identifier, and the issuer's as authority key
 * identifier, without issuer and serial: those would bind it to one certificate of the issuer. Throws `invalid` for a
 * serial or validity that cannot be.
 */
export async function buildAuthorityCertificate(spec: AuthorityCertificateSpec): Promise<Buffer> {
  checkSpec(spec);
  const subject: DistinguishedName = [{ oid: attributeOids.commonName, value: spec.commonName }];
  // The Name constructor interprets its text form; DER is taken as it is.
  const name = new x509.Name(encodeName(subject));
  const keyId = keyIdentifier(spec.spki).toString('hex');
  const { issuer } = spec;
  const tbs = await encodeTbs(spec, {
    serialNumber: spec.serial.toString('hex'),
    subject: name,
    issuer: issuer === undefined ? name : new x509.Name(issuer.subjectDer),
    notBefore: wholeSeconds(spec.notBefore),
    notAfter: wholeSeconds(spec.notAfter),
    publicKey: new x509.PublicKey(spec.spki),
    extensions: [
      new x509.Extension(extensionOids.keyUsage, true, encodeKeyUsage(['digitalSignature', 'keyCertSign', 'cRLSign'])),
      new x509.BasicConstraintsExtension(true, issuer === undefined ? PATH_LENGTH.own : PATH_LENGTH.cross, true),
      new x509.SubjectKeyIdentifierExtension(keyId, false),
      new x509.AuthorityKeyIdentifierExtension(issuer === undefined ? keyId : issuer.ski.toString('hex'), false),
    ],
  });
  return assembleCertificate(tbs, await spec.sign(tbs), issuer?.keyType ?? spec.keyType);
}

/** SHA-1 of the subjectPublicKey's bits (RFC 5280 section 4.2.1.2, method 1): a name, not a signature. */
export function keyIdentifier(spki: Buffer): Buffer {
  const fields = enter(cursorOver(spki), tags.sequence, 'subjectPublicKeyInfo');
  take(fields, tags.sequence, 'algorithm');
  const bits = contentOf(spki, take(fields, tags.bitString, 'subjectPublicKey'));
  return createHash('sha1').update(bits.subarray(1)).digest();
}

type GeneratorParams = Omit<Parameters<typeof x509.X509CertificateGenerator.create>[0], 'signingKey' | 'signature'>;

/**
 * The generator hands what is to be signed to a Crypto. The one that it gets only keeps those bytes: the real key may
 * be where no CryptoKey can hold it, and the generator's own way of writing ECDSA signatures is not needed.
 */
async function encodeTbs(spec: AuthorityCertificateSpec, params: GeneratorParams): Promise<Buffer> {
  const algorithm = generatorAlgorithms[spec.issuer?.keyType ?? spec.keyType];
  let tbs: Buffer | undefined;
  const sign = (_algorithm: unknown, _key: unknown, data: ArrayBuffer): Promise<ArrayBuffer> => {
    tbs = Buffer.from(new Uint8Array(data));
    return Promise.resolve(new ArrayBuffer(64));
  };
  const signingKey = { type: 'private', extractable: false, algorithm, usages: ['sign'] };
  await x509.X509CertificateGenerator.create(
    { ...params, signingKey, signingAlgorithm: algorithm },
    { subtle: { sign } },
  );
  if (tbs === undefined) throw derError('the certificate of the authority could not be encoded');
  return tbs;
}

function checkSpec({ serial, notBefore, notAfter }: AuthorityCertificateSpec): void {
  const first = serial[0] ?? 0;
  if (serial.length > 20 || first < 1 || first > 0x7f)
    throw derError('the serial of an authority is a positive number of at most 20 bytes');
  if (!(notBefore < notAfter)) throw derError('the validity of an authority ends before it begins');
}

function wholeSeconds(milliseconds: number): Date {
  return new Date(Math.floor(milliseconds / 1000) * 1000);
}
