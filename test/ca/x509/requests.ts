import { type KeyObject, generateKeyPairSync, sign } from 'node:crypto';

/** A DER writer of its own, so that what the reader is shown is no echo of the code under test. */
export function tlv(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), content]);
  const size = length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

export const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');
export const utf8 = (text: string): Buffer => tlv(0x0c, Buffer.from(text, 'utf8'));

export const oids = {
  commonName: hex('0603550403'),
  country: hex('0603550406'),
  organization: hex('060355040a'),
  organizationalUnit: hex('060355040b'),
  email: hex('06092a864886f70d010901'),
  subjectAltName: hex('0603551d11'),
  keyUsage: hex('0603551d0f'),
  basicConstraints: hex('0603551d13'),
  subjectKeyIdentifier: hex('0603551d0e'),
  nameConstraints: hex('0603551d1e'),
  extensionRequest: hex('06092a864886f70d01090e'),
  challengePassword: hex('06092a864886f70d010907'),
} as const;

export const algorithms = {
  ecdsaSha1: hex('300906072a8648ce3d0401'),
  ecdsaSha256: hex('300a06082a8648ce3d040302'),
  ecdsaSha384: hex('300a06082a8648ce3d040303'),
  rsaSha256: hex('300d06092a864886f70d01010b0500'),
  rsaMd5: hex('300d06092a864886f70d0101040500'),
  ed25519: hex('300506032b6570'),
} as const;

export type TestKey = 'ec-p224' | 'ec-p256' | 'ec-p384' | 'ec-p521' | 'ed25519' | 'rsa-1024' | 'rsa-2048' | 'rsa-3072';
type Pair = { readonly publicKey: KeyObject; readonly privateKey: KeyObject };

const pairs = new Map<string, Pair>();

/** One pair of each kind for the whole file: making RSA keys is slow. `name` tells pairs of the same kind apart. */
export function keyPair(type: TestKey, name = ''): Pair {
  const known = pairs.get(type + name);
  if (known !== undefined) return known;
  const made = generate(type);
  pairs.set(type + name, made);
  return made;
}

function generate(type: TestKey): Pair {
  if (type === 'ed25519') return generateKeyPairSync('ed25519');
  if (type.startsWith('rsa-')) return generateKeyPairSync('rsa', { modulusLength: Number(type.slice(4)) });
  return generateKeyPairSync('ec', { namedCurve: type === 'ec-p224' ? 'secp224r1' : type.slice(3).replace('p', 'P-') });
}

export const spkiOf = (key: KeyObject): Buffer => key.export({ format: 'der', type: 'spki' });

export const attribute = (type: Buffer, value: Buffer): Buffer => tlv(0x30, type, value);
export const rdn = (...attributes: readonly Buffer[]): Buffer => tlv(0x31, ...attributes);
export const name = (...rdns: readonly Buffer[]): Buffer => tlv(0x30, ...rdns);

export const nodeSubject = name(
  rdn(attribute(oids.organization, utf8('system:nodes'))),
  rdn(attribute(oids.commonName, utf8('system:node:a'))),
);

export const dns = (text: string): Buffer => tlv(0x82, Buffer.from(text, 'latin1'));
export const ip = (hexOctets: string): Buffer => tlv(0x87, hex(hexOctets));
export const email = (text: string): Buffer => tlv(0x81, Buffer.from(text, 'latin1'));
export const uri = (text: string): Buffer => tlv(0x86, Buffer.from(text, 'latin1'));

export const extension = (type: Buffer, value: Buffer, ...critical: readonly Buffer[]): Buffer =>
  tlv(0x30, type, ...critical, tlv(0x04, value));
export const altNames = (...names: readonly Buffer[]): Buffer => extension(oids.subjectAltName, tlv(0x30, ...names));
export const extensionRequest = (...extensions: readonly Buffer[]): Buffer =>
  tlv(0x30, oids.extensionRequest, tlv(0x31, tlv(0x30, ...extensions)));

export type RequestParts = {
  readonly version?: Buffer;
  readonly subject?: Buffer;
  readonly key?: TestKey;
  readonly spki?: Buffer;
  readonly attributes?: readonly Buffer[];
  readonly algorithm?: Buffer;
  readonly hash?: string | null;
  /** Signs instead of the request's own key. */
  readonly signer?: KeyObject;
  /** Behind the last field of the signed part. */
  readonly extra?: Buffer;
};

/** A request as its parts say, properly signed unless they say otherwise. */
export function buildRequest(parts: RequestParts = {}): Buffer {
  const key = parts.key ?? 'ec-p256';
  const info = tlv(
    0x30,
    parts.version ?? hex('020100'),
    parts.subject ?? nodeSubject,
    parts.spki ?? spkiOf(keyPair(key).publicKey),
    tlv(0xa0, ...(parts.attributes ?? [])),
    parts.extra ?? Buffer.alloc(0),
  );
  return signRequest(info, parts);
}

export function signRequest(info: Buffer, { key = 'ec-p256', algorithm, hash, signer }: RequestParts = {}): Buffer {
  const fitting =
    key === 'ed25519' ? algorithms.ed25519 : key.startsWith('rsa') ? algorithms.rsaSha256 : algorithms.ecdsaSha256;
  const digest = hash === undefined ? (key === 'ed25519' ? null : 'sha256') : hash;
  const signature = sign(digest, info, signer ?? keyPair(key).privateKey);
  return tlv(0x30, info, algorithm ?? fitting, tlv(0x03, Buffer.from([0]), signature));
}

export const withNames = (...names: readonly Buffer[]): Buffer =>
  buildRequest({ attributes: [extensionRequest(altNames(...names))] });
