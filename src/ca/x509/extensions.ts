import {
  type Cursor,
  atEnd,
  contentOf,
  cursorOver,
  derError,
  enter,
  finish,
  peekTag,
  take,
  takeBoolean,
  takeInteger,
  takeOid,
  tags,
} from './der.js';
import { element, octetString, oid, sequence } from './der-writer.js';
import type { KeyUsage } from './types.js';

export const extensionOids = {
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
} as const;

/** One extension: its value is the contents of the OCTET STRING. */
export type Extension = { readonly oid: string; readonly critical: boolean; readonly value: Buffer };

const TRUE = Buffer.from([0x01, 0x01, 0xff]);
const KEY_ID_TAG = 0x80;

/** Bits of RFC 5280 section 4.2.1.3, in order. */
const keyUsageBits: readonly KeyUsage[] = [
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
  'encipherOnly',
  'decipherOnly',
];

/** Takes one Extension. A `critical` that is FALSE in so many words is accepted, as everywhere. */
export function takeExtension(cursor: Cursor): Extension {
  const fields = enter(cursor, tags.sequence, 'extension');
  const type = takeOid(fields, 'extension');
  const critical = peekTag(fields) === tags.boolean && takeBoolean(fields, 'extension');
  const value = contentOf(cursor.bytes, take(fields, tags.octetString, 'extension'));
  finish(fields, 'extension');
  return { oid: type, critical, value };
}

export function encodeExtension(type: string, critical: boolean, value: Buffer): Buffer {
  return critical ? sequence(oid(type), TRUE, octetString(value)) : sequence(oid(type), octetString(value));
}

export function encodeKeyUsage(usages: readonly KeyUsage[]): Buffer {
  const bits = [0, 0];
  let last = -1;
  for (const [index, usage] of keyUsageBits.entries()) {
    if (!usages.includes(usage)) continue;
    bits[index >> 3] = (bits[index >> 3] ?? 0) | (0x80 >> (index & 7));
    last = index;
  }
  // X.690 section 11.2.2: a named bit list has no trailing zero bits.
  const octets = (last >> 3) + 1;
  return element(tags.bitString, Buffer.from([octets * 8 - last - 1, ...bits.slice(0, octets)]));
}

export function readKeyUsage(der: Buffer): KeyUsage[] {
  const cursor = cursorOver(der);
  const content = contentOf(der, take(cursor, tags.bitString, 'keyUsage'));
  finish(cursor, 'keyUsage');
  const unused = content[0] ?? 8;
  const lastOctet = content[content.length - 1] ?? 0;
  const trailing = content.length < 2 || unused > 7 || (lastOctet & ((2 << unused) - 1)) !== 1 << unused;
  if (trailing || content.length > 3) throw derError('x509: invalid key usage');
  return keyUsageBits.filter((_, index) => ((content[1 + (index >> 3)] ?? 0) & (0x80 >> (index & 7))) !== 0);
}

export function encodeExtendedKeyUsage(oids: readonly string[]): Buffer {
  return sequence(...oids.map(oid));
}

export function readExtendedKeyUsage(der: Buffer): string[] {
  const outer = cursorOver(der);
  const inner = enter(outer, tags.sequence, 'extKeyUsage');
  finish(outer, 'extKeyUsage');
  const oids: string[] = [];
  while (!atEnd(inner)) oids.push(takeOid(inner, 'extKeyUsage'));
  return oids;
}

export type BasicConstraints = { readonly ca: boolean; readonly pathLength: number | undefined };

export function readBasicConstraints(der: Buffer): BasicConstraints {
  const outer = cursorOver(der);
  const fields = enter(outer, tags.sequence, 'basicConstraints');
  finish(outer, 'basicConstraints');
  const ca = peekTag(fields) === tags.boolean && takeBoolean(fields, 'basicConstraints');
  let pathLength: number | undefined;
  if (!atEnd(fields)) {
    const value = takeInteger(fields, 'basicConstraints');
    if (value.length > 2 || (value[0] ?? 0) > 0x7f) throw derError('x509: invalid basic constraints');
    pathLength = value.readUIntBE(0, value.length);
  }
  finish(fields, 'basicConstraints');
  return { ca, pathLength };
}

/** CA:FALSE: the default, so an empty SEQUENCE. */
export function encodeLeafConstraints(): Buffer {
  return sequence();
}

export function encodeAuthorityKeyIdentifier(keyId: Buffer): Buffer {
  return sequence(element(KEY_ID_TAG, keyId));
}

/** The key identifier, undefined when there is only an issuer and serial. */
export function readAuthorityKeyIdentifier(der: Buffer): Buffer | undefined {
  const outer = cursorOver(der);
  const fields = enter(outer, tags.sequence, 'authorityKeyIdentifier');
  finish(outer, 'authorityKeyIdentifier');
  if (peekTag(fields) !== KEY_ID_TAG) return undefined;
  return contentOf(der, take(fields, KEY_ID_TAG, 'authorityKeyIdentifier'));
}

export function readSubjectKeyIdentifier(der: Buffer): Buffer {
  const cursor = cursorOver(der);
  const value = contentOf(der, take(cursor, tags.octetString, 'subjectKeyIdentifier'));
  finish(cursor, 'subjectKeyIdentifier');
  return value;
}
