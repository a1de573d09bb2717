import { derError, tags } from './der.js';

/** How many identifier and length octets contents of this length get. */
export function headerLength(length: number): number {
  if (length < 0x80) return 2;
  if (length < 0x100) return 3;
  if (length < 0x10000) return 4;
  if (length < 0x1000000) return 5;
  throw derError('asn1: structure error: length too large');
}

/** Writes identifier and length octets, the length in the fewest (X.690 section 10.1). Returns where the contents go. */
export function writeHeader(out: Buffer, at: number, tag: number, length: number): number {
  const extra = headerLength(length) - 2;
  out[at] = tag;
  out[at + 1] = extra === 0 ? length : 0x80 | extra;
  if (extra > 0) out.writeUIntBE(length, at + 2, extra);
  return at + 2 + extra;
}

/** Identifier and length octets alone. */
export function header(tag: number, length: number): Buffer {
  const out = Buffer.allocUnsafe(headerLength(length));
  writeHeader(out, 0, tag, length);
  return out;
}

/** One element around these parts. */
export function element(tag: number, ...parts: readonly Buffer[]): Buffer {
  let length = 0;
  for (const part of parts) length += part.length;
  const out = Buffer.allocUnsafe(headerLength(length) + length);
  let at = writeHeader(out, 0, tag, length);
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** One element around ASCII or Latin-1 text. */
export function textElement(tag: number, text: string): Buffer {
  const out = Buffer.allocUnsafe(headerLength(text.length) + text.length);
  out.write(text, writeHeader(out, 0, tag, text.length), 'latin1');
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
  return textElement(tag, text);
}
