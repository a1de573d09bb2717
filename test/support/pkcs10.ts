import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

import ipaddr from 'ipaddr.js';

/** Just enough DER to write certification requests (RFC 2986), on its own so that it is no echo of the code under test. */
const tlv = (tag: number, ...parts: readonly Buffer[]): Buffer => {
  const content = Buffer.concat(parts);
  if (content.length < 0x80) return Buffer.concat([Buffer.from([tag, content.length]), content]);
  const size = content.length < 0x100 ? [0x81, content.length] : [0x82, content.length >> 8, content.length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
};
const hex = (text: string): Buffer => Buffer.from(text, 'hex');

const oids: Readonly<Record<string, Buffer>> = {
  CN: hex('0603550403'),
  O: hex('060355040a'),
  OU: hex('060355040b'),
  ecdsaWithSha256: hex('300a06082a8648ce3d040302'),
  sha256WithRsa: hex('300d06092a864886f70d01010b0500'),
  ed25519: hex('300506032b6570'),
  extensionRequest: hex('06092a864886f70d01090e'),
  subjectAltName: hex('0603551d11'),
};

const algorithms: Readonly<Record<string, Buffer | undefined>> = {
  ec: oids['ecdsaWithSha256'],
  rsa: oids['sha256WithRsa'],
  ed25519: oids['ed25519'],
};

export type CsrContent = {
  readonly subject: readonly (readonly ['CN' | 'O' | 'OU', string])[];
  readonly dns?: readonly string[];
  readonly ips?: readonly string[];
};

/** A P-256 key as a client makes it. */
export function newEcKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
}

/** An RSA 2048 key as a client makes it. */
export function newRsaKey(): KeyObject {
  return generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
}

export function keyPem(key: KeyObject): string {
  return key.export({ format: 'pem', type: 'pkcs8' }).toString();
}

/** A signed certification request as PEM with 64-character lines, as Go writes it. */
export function csrPem(key: KeyObject, content: CsrContent, publicKeyDer: Buffer = publicDer(key)): string {
  const attributes = altNames(content);
  const info = tlv(0x30, hex('020100'), name(content.subject), publicKeyDer, tlv(0xa0, ...attributes));
  const algorithm = algorithms[key.asymmetricKeyType ?? ''];
  if (algorithm === undefined) throw new Error(`no algorithm for ${String(key.asymmetricKeyType)}`);
  const signature = sign(key.asymmetricKeyType === 'ed25519' ? null : 'sha256', info, key);
  const der = tlv(0x30, info, algorithm, tlv(0x03, Buffer.from([0]), signature));
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE REQUEST-----\n${lines.join('\n')}\n-----END CERTIFICATE REQUEST-----\n`;
}

/** SubjectPublicKeyInfo of a private key. */
export function publicDer(key: KeyObject): Buffer {
  const jwk = key.export({ format: 'jwk' });
  if (jwk.kty === 'EC' && jwk.crv === 'P-256') {
    const point = Buffer.concat([
      hex('0004'),
      Buffer.from(jwk.x ?? '', 'base64url'),
      Buffer.from(jwk.y ?? '', 'base64url'),
    ]);
    return tlv(0x30, hex('301306072a8648ce3d020106082a8648ce3d030107'), tlv(0x03, point));
  }
  if (jwk.kty === 'RSA') {
    const integer = (value: string | undefined): Buffer =>
      tlv(0x02, Buffer.from([0]), Buffer.from(value ?? '', 'base64url'));
    const exponent = tlv(0x02, Buffer.from(jwk.e ?? '', 'base64url'));
    return tlv(
      0x30,
      hex('300d06092a864886f70d0101010500'),
      tlv(0x03, Buffer.from([0]), tlv(0x30, integer(jwk.n), exponent)),
    );
  }
  return tlv(0x30, hex('300506032b6570'), tlv(0x03, Buffer.from([0]), Buffer.from(jwk.x ?? '', 'base64url')));
}

function name(subject: CsrContent['subject']): Buffer {
  const rdns = subject.map(([type, value]) =>
    tlv(0x31, tlv(0x30, oids[type] ?? Buffer.alloc(0), tlv(0x0c, Buffer.from(value)))),
  );
  return tlv(0x30, ...rdns);
}

function altNames(content: CsrContent): Buffer[] {
  const names = [
    ...(content.dns ?? []).map((value) => tlv(0x82, Buffer.from(value))),
    ...(content.ips ?? []).map((value) => tlv(0x87, Buffer.from(ipaddr.parse(value).toByteArray()))),
  ];
  if (names.length === 0) return [];
  const extension = tlv(0x30, oids['subjectAltName'] ?? Buffer.alloc(0), tlv(0x04, tlv(0x30, ...names)));
  return [tlv(0x30, oids['extensionRequest'] ?? Buffer.alloc(0), tlv(0x31, tlv(0x30, extension)))];
}
