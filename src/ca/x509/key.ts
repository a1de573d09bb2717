import { type KeyObject, createHash, createPublicKey } from 'node:crypto';
import {
  type Cursor,
  contentOf,
  cursorOver,
  derError,
  enter,
  finish,
  take,
  takeInteger,
  takeOctetAlignedBits,
  takeOid,
  tags,
  wholeOf,
} from './der.js';
import type { KeyType, SubjectKey } from './types.js';

const ecOid = '1.2.840.10045.2.1';
const rsaOid = '1.2.840.113549.1.1.1';
const NULL_PARAMETERS = Buffer.from([0x05, 0x00]);

/** Verifying costs the square of the modulus; OpenSSL itself stops at 16384 bits. */
const MAX_RSA_BITS = 8192;
/** Go's crypto/rsa verifies nothing below. */
const MIN_VERIFIABLE_RSA_BITS = 1024;
export const minimumRsaBits = 2048;

type FixedShape = {
  readonly type: KeyType;
  readonly bits: number;
  readonly curve: string;
  readonly prefix: Buffer;
  readonly coordinate: number;
  readonly point: number;
};

function shape(
  type: KeyType,
  bits: number,
  curve: string,
  prefixHex: string,
  coordinate: number,
  uncompressed: boolean,
): FixedShape {
  return {
    type,
    bits,
    curve,
    prefix: Buffer.from(prefixHex, 'hex'),
    coordinate,
    point: uncompressed ? 2 * coordinate : coordinate,
  };
}

/**
 * The named curves have one DER encoding each up to the point: SPKI header, algorithm, curve, BIT STRING header, and 04
 * for an uncompressed point (RFC 5480, RFC 8410).
 */
const fixedShapes: readonly FixedShape[] = [
  shape('ec-p256', 256, 'P-256', '3059301306072a8648ce3d020106082a8648ce3d03010703420004', 32, true),
  shape('ec-p384', 384, 'P-384', '3076301006072a8648ce3d020106052b8104002203620004', 48, true),
  shape('ec-p521', 521, 'P-521', '30819b301006072a8648ce3d020106052b810400230381860004', 66, true),
  shape('ed25519', 256, 'Ed25519', '302a300506032b6570032100', 32, false),
  shape('ec-p224', 224, 'P-224', '304e301006072a8648ce3d020106052b81040021033a0004', 28, true),
];

/** A key as read, not imported yet. */
export type ReadKey = {
  readonly type: KeyType;
  readonly bits: number;
  readonly spki: Buffer;
  readonly exponent: Buffer | undefined;
};

/** Takes a SubjectPublicKeyInfo. Throws `invalid`, in upstream's words, for what upstream's parser refuses. */
export function takeKey(cursor: Cursor): ReadKey {
  const spki = wholeOf(cursor.bytes, take(cursor, tags.sequence, 'subjectPublicKeyInfo'));
  for (const { type, bits, prefix, point } of fixedShapes) {
    const fits =
      spki.length === prefix.length + point && spki.compare(prefix, 0, prefix.length, 0, prefix.length) === 0;
    if (fits) return { type, bits, spki, exponent: undefined };
  }
  return readRsa(spki);
}

function readRsa(spki: Buffer): ReadKey {
  const fields = enter(cursorOver(spki), tags.sequence, 'subjectPublicKeyInfo');
  const algorithm = enter(fields, tags.sequence, 'algorithm');
  const type = takeOid(algorithm, 'algorithm');
  if (type !== rsaOid) throw derError(refusal(type));
  const parameters = algorithm.bytes.subarray(algorithm.position, algorithm.end);
  if (!parameters.equals(NULL_PARAMETERS)) throw derError('x509: RSA key missing NULL parameters');
  const content = takeOctetAlignedBits(fields, 'subjectPublicKey');
  finish(fields, 'subjectPublicKeyInfo');
  const { modulus, exponent } = readRsaPublicKey(content);
  return { type: 'rsa', bits: bitLength(modulus), spki, exponent };
}

function refusal(type: string): string {
  if (type === ecOid) return 'x509: unsupported elliptic curve';
  if (type === '1.3.101.112') return 'x509: wrong Ed25519 public key size';
  return 'x509: cannot verify signature: algorithm unimplemented';
}

function readRsaPublicKey(content: Buffer): { modulus: Buffer; exponent: Buffer } {
  const outer = cursorOver(content);
  const fields = enter(outer, tags.sequence, 'RSA public key');
  const modulus = takeInteger(fields, 'RSA modulus');
  const exponent = takeInteger(fields, 'RSA public exponent');
  finish(fields, 'RSA public key');
  finish(outer, 'RSA public key');
  if ((modulus[0] ?? 0x80) > 0x7f) throw derError('x509: RSA modulus is not a positive number');
  if ((exponent[0] ?? 0x80) > 0x7f) throw derError('x509: RSA public exponent is not a positive number');
  const bits = bitLength(modulus);
  if (bits < MIN_VERIFIABLE_RSA_BITS) throw derError(`crypto/rsa: ${bits}-bit keys are insecure`);
  if (bits > MAX_RSA_BITS) throw derError(`RSA keys of more than ${MAX_RSA_BITS} bits are not verified`);
  if (((modulus.at(-1) ?? 0) & 1) === 0) throw derError('crypto/rsa: public modulus is even');
  const small = exponent.length === 1 && (exponent[0] ?? 0) < 2;
  if (exponent.length > 4 || small || ((exponent.at(-1) ?? 0) & 1) === 0)
    throw derError('crypto/rsa: public exponent is not usable');
  return { modulus, exponent };
}

function bitLength(positive: Buffer): number {
  const start = positive[0] === 0 ? 1 : 0;
  const first = positive[start];
  return first === undefined ? 0 : (positive.length - start) * 8 - Math.clz32(first) + 24;
}

/** The public key for node:crypto. Elliptic curve keys go in as JWK: OpenSSL 3.0 decodes SPKI several times slower. */
export function importKey({ type, spki }: Pick<ReadKey, 'type' | 'spki'>): KeyObject {
  try {
    const fixed = fixedShapes.find((s) => s.type === type);
    if (fixed === undefined) return createPublicKey({ key: rsaJwk(spki), format: 'jwk' });
    if (type === 'ec-p224') return createPublicKey({ key: spki, format: 'der', type: 'spki' });
    const at = fixed.prefix.length;
    const x = spki.toString('base64url', at, at + fixed.coordinate);
    if (type === 'ed25519') return createPublicKey({ key: { kty: 'OKP', crv: fixed.curve, x }, format: 'jwk' });
    const y = spki.toString('base64url', at + fixed.coordinate);
    return createPublicKey({ key: { kty: 'EC', crv: fixed.curve, x, y }, format: 'jwk' });
  } catch {
    // Not a point on the curve, mostly. OpenSSL's words say no more than that.
    throw derError('x509: the public key is not valid');
  }
}

function rsaJwk(spki: Buffer): { kty: string; n: string; e: string } {
  const fields = enter(cursorOver(spki), tags.sequence, 'subjectPublicKeyInfo');
  take(fields, tags.sequence, 'algorithm');
  const numbers = enter(
    cursorOver(contentOf(spki, take(fields, tags.bitString, 'subjectPublicKey')).subarray(1)),
    tags.sequence,
    'RSA public key',
  );
  const n = takeInteger(numbers, 'RSA modulus');
  const e = takeInteger(numbers, 'RSA public exponent');
  return {
    kty: 'RSA',
    n: n.subarray(n[0] === 0 ? 1 : 0).toString('base64url'),
    e: e.subarray(e[0] === 0 ? 1 : 0).toString('base64url'),
  };
}

/** Why a key never gets a certificate, undefined when it may have one: P-256, P-384, P-521, Ed25519, RSA of 2048 bits or more. */
export function keyPolicyFault({ type, bits, exponent }: ReadKey): { rule: string; message: string } | undefined {
  if (type === 'ec-p224') return { rule: 'key-type', message: 'keys on the curve P-224 are not certified' };
  if (type !== 'rsa') return undefined;
  if (bits < minimumRsaBits)
    return { rule: 'key-size', message: `an RSA key needs ${minimumRsaBits} bits, this one has ${bits}` };
  const weak = exponent === undefined || exponent.readUIntBE(0, exponent.length) < 65537;
  return weak ? { rule: 'key-exponent', message: 'an RSA key needs a public exponent of 65537 or more' } : undefined;
}

/** The key with its own copy of the SPKI and its id. */
export function toSubjectKey({ type, bits, spki }: ReadKey): SubjectKey {
  const copy = Buffer.from(spki);
  return { type, bits, spki: copy, keyId: createHash('sha256').update(copy).digest('hex') };
}
