import { derError, tags } from './der.js';

/** Identifier and length octets for contents of this length, in the fewest octets (X.690 section 10.1). */
export function header(tag: number, length: number): Buffer {
  if (length < 0x80) return Buffer.from([tag, length]);
  if (length < 0x100) return Buffer.from([tag, 0x81, length]);
  if (length < 0x10000) return Buffer.from([tag, 0x82, length >> 8, length & 0xff]);
  if (length < 0x1000000) return Buffer.from([tag, 0x83, length >> 16, (length >> 8) & 0xff, length & 0xff]);
  throw derError('asn1: structure error: length too large');
}

/** One element around these parts. */
export function element(tag: number, ...parts: readonly Buffer[]): Buffer {
  let length = 0;
  for (const part of parts) length += part.length;
  const head = header(tag, length);
  const out = Buffer.allocUnsafe(head.length + length);
  let at = head.copy(out);
  for (const part of parts) at += part.copy(out, at);
  return out;
}

export function sequence(...parts: readonly Buffer[]): Buffer {
  return element(tags.sequence, ...parts);
}

/** SET OF: the encodings in ascending order (X.690 section 11.6). */
export function setOf(parts: readonly Buffer[]): Buffer {
  return element(tags.set, ...(parts.length > 1 ? parts.toSorted((a, b) => Buffer.compare(a, b)) : parts));
}

export function octetString(content: Buffer): Buffer {
  return element(tags.octetString, content);
}

/** A BIT STRING of whole octets. */
export function octetAlignedBits(content: Buffer): Buffer {
  return element(tags.bitString, Buffer.from([0]), content);
}

/** INTEGER from a big-endian magnitude. */
export function unsignedInteger(magnitude: Buffer): Buffer {
  let start = 0;
  while (start < magnitude.length - 1 && magnitude[start] === 0) start += 1;
  const trimmed = magnitude.length === 0 ? Buffer.from([0]) : magnitude.subarray(start);
  return (trimmed[0] ?? 0) > 0x7f ? element(tags.integer, Buffer.from([0]), trimmed) : element(tags.integer, trimmed);
}

/** OBJECT IDENTIFIER from dotted form. */
export function oid(dotted: string): Buffer {
  const parts = dotted.split('.').map(Number);
  const [root, second, ...rest] = parts;
  const bad = root === undefined || second === undefined || root > 2 || (root < 2 && second > 39);
  if (bad || !/^\d+(\.\d+)+$/.test(dotted) || parts.some((p) => !Number.isSafeInteger(p))) {
    throw derError(`not an object identifier: ${JSON.stringify(dotted)}`);
  }
  return element(tags.oid, Buffer.from([root * 40 + second, ...rest].flatMap(base128)));
}

function base128(value: number): number[] {
  const out = [value % 128];
  for (let left = Math.floor(value / 128); left > 0; left = Math.floor(left / 128)) out.unshift(0x80 | (left % 128));
  return out;
}

/**
 * RFC 5280 section 4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050 on; whole seconds, UTC.
 * Milliseconds since 1970, rounded down.
 */
export function time(milliseconds: number): Buffer {
  const date = new Date(milliseconds);
  const year = date.getUTCFullYear();
  if (!(year >= 1950 && year <= 9999))
    throw derError(`not a time that a certificate can carry: ${String(milliseconds)}`);
  const iso = date.toISOString();
  const clock = `${iso.slice(5, 7)}${iso.slice(8, 10)}${iso.slice(11, 13)}${iso.slice(14, 16)}${iso.slice(17, 19)}Z`;
  const [tag, text] =
    year < 2050 ? [tags.utcTime, iso.slice(2, 4) + clock] : [tags.generalizedTime, iso.slice(0, 4) + clock];
  const out = Buffer.allocUnsafe(2 + text.length);
  out[0] = tag;
  out[1] = text.length;
  out.write(text, 2, 'latin1');
  return out;
}
