import { type KeyObject, constants, verify } from 'node:crypto';
import { type Cursor, derError, enter, takeOid, tags } from './der.js';
import type { KeyType } from './types.js';

/** Signature algorithms of a CSR that upstream verifies, with the hash that node:crypto takes. */
type Scheme = {
  readonly family: 'ec' | 'rsa' | 'rsa-pss' | 'ed25519';
  readonly hash: string | null;
  readonly weak: boolean;
};

const NULL_PARAMETERS = '0500';

const schemes: Readonly<Record<string, Scheme>> = {
  '1.2.840.10045.4.3.2': { family: 'ec', hash: 'sha256', weak: false },
  '1.2.840.10045.4.3.3': { family: 'ec', hash: 'sha384', weak: false },
  '1.2.840.10045.4.3.4': { family: 'ec', hash: 'sha512', weak: false },
  '1.2.840.10045.4.1': { family: 'ec', hash: 'sha1', weak: true },
  '1.2.840.113549.1.1.11': { family: 'rsa', hash: 'sha256', weak: false },
  '1.2.840.113549.1.1.12': { family: 'rsa', hash: 'sha384', weak: false },
  '1.2.840.113549.1.1.13': { family: 'rsa', hash: 'sha512', weak: false },
  '1.2.840.113549.1.1.5': { family: 'rsa', hash: 'sha1', weak: true },
  '1.3.14.3.2.29': { family: 'rsa', hash: 'sha1', weak: true },
  '1.3.101.112': { family: 'ed25519', hash: null, weak: false },
};

const pssOid = '1.2.840.113549.1.1.10';

/** RSASSA-PSS-params with one hash throughout and a salt as long as it, by their encoding (RFC 4055 section 3.1). */
const pssParameters: Readonly<Record<string, Scheme>> = {
  [pss('010500', '20')]: { family: 'rsa-pss', hash: 'sha256', weak: false },
  [pss('020500', '30')]: { family: 'rsa-pss', hash: 'sha384', weak: false },
  [pss('030500', '40')]: { family: 'rsa-pss', hash: 'sha512', weak: false },
};

function pss(hash: string, saltLength: string): string {
  const algorithm = `300d06096086480165030402${hash}`;
  return `3034a00f${algorithm}a11c301a06092a864886f70d010108${algorithm}a2030201${saltLength}`;
}

export type SignatureAlgorithm = Scheme & { readonly parametersFault: boolean };

/** Takes the AlgorithmIdentifier of a signature. Throws `invalid` for one that upstream does not verify. */
export function takeSignatureAlgorithm(cursor: Cursor): SignatureAlgorithm {
  const fields = enter(cursor, tags.sequence, 'signatureAlgorithm');
  const type = takeOid(fields, 'signatureAlgorithm');
  const parameters = fields.bytes.toString('hex', fields.position, fields.end);
  const scheme = type === pssOid ? pssParameters[parameters] : Object.hasOwn(schemes, type) ? schemes[type] : undefined;
  if (scheme === undefined) throw derError('x509: cannot verify signature: algorithm unimplemented');
  const expected = scheme.family === 'rsa-pss' ? parameters : scheme.family === 'rsa' ? NULL_PARAMETERS : '';
  const parametersFault = parameters !== expected;
  if (parametersFault && scheme.family === 'ed25519')
    throw derError('x509: cannot verify signature: algorithm unimplemented');
  return { ...scheme, parametersFault };
}

const failures = {
  ec: 'x509: ECDSA verification failure',
  rsa: 'crypto/rsa: verification error',
  'rsa-pss': 'crypto/rsa: verification error',
  ed25519: 'x509: Ed25519 verification failure',
} as const;

/** Checks a signature by this key. Throws `invalid` in upstream's words when it is not one. */
export function checkSignature(
  algorithm: Scheme,
  signed: Buffer,
  signature: Buffer,
  key: { type: KeyType; publicKey: KeyObject },
): void {
  const { family, hash } = algorithm;
  const keyFamily = key.type === 'rsa' || key.type === 'ed25519' ? key.type : 'ec';
  if (keyFamily !== (family === 'rsa-pss' ? 'rsa' : family)) {
    throw derError('x509: the signature algorithm does not go with the public key');
  }
  let good: boolean;
  try {
    const pssKey = {
      key: key.publicKey,
      padding: constants.RSA_PKCS1_PSS_PADDING,
      saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
    };
    good = verify(hash, signed, family === 'rsa-pss' ? pssKey : key.publicKey, signature);
  } catch {
    // OpenSSL throws for some malformed signatures where it answers false for others.
    good = false;
  }
  if (!good) throw derError(failures[family]);
}
