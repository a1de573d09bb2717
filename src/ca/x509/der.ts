import { RotundaError } from '../../errors.js';

/** Universal and context tags as they stand in the identifier octet, constructed bit included. */
export const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  numericString: 0x12,
  printableString: 0x13,
  t61String: 0x14,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
} as const;

/** One element: its identifier octet, where it starts, where its contents start, where it ends. */
export type Element = { readonly tag: number; readonly start: number; readonly content: number; readonly end: number };

/** A place inside a constructed element. `position` moves as elements are taken. */
export type Cursor = { readonly bytes: Buffer; position: number; readonly end: number };

/** What every reader of this room throws: `invalid`, in the words of upstream's asn1 package where it has some. */
export function derError(message: string): RotundaError {
  return new RotundaError('invalid', message);
}

export function cursorOver(bytes: Buffer): Cursor {
  return { bytes, position: 0, end: bytes.length };
}

export function cursorInto(bytes: Buffer, element: Element): Cursor {
  return { bytes, position: element.content, end: element.end };
}

export function atEnd(cursor: Cursor): boolean {
  return cursor.position >= cursor.end;
}

/** The identifier octet of the next element, -1 at the end. */
export function peekTag(cursor: Cursor): number {
  return atEnd(cursor) ? -1 : (cursor.bytes[cursor.position] ?? -1);
}

/**
 * Takes the next element whatever its tag. Strict DER (X.690 section 10.1): definite lengths in the fewest octets,
 * low tag numbers, nothing beyond the enclosing element. Nothing recurses, so nesting costs nothing.
 */
export function takeAny(cursor: Cursor): Element {
  const { bytes, position: start, end } = cursor;
  if (end - start < 2) throw derError('asn1: syntax error: data truncated');
  const tag = bytes[start] ?? 0;
  if ((tag & 0x1f) === 0x1f) throw derError('asn1: structure error: high tag numbers are not used here');
  const first = bytes[start + 1] ?? 0;
  let content = start + 2;
  let length = first;
  if (first > 0x7f) {
    const count = first & 0x7f;
    if (count === 0) throw derError('asn1: syntax error: indefinite length found (not DER)');
    if (count > 3) throw derError('asn1: structure error: length too large');
    if (end - content < count) throw derError('asn1: syntax error: data truncated');
    length = bytes.readUIntBE(content, count);
    content += count;
    if (length < (count === 1 ? 0x80 : 2 ** (8 * (count - 1))))
      throw derError('asn1: structure error: non-minimal length');
  }
  if (length > end - content) throw derError('asn1: syntax error: data truncated');
  cursor.position = content + length;
  return { tag, start, content, end: cursor.position };
}

/** Takes the next element, which must have this tag. `what` names it in the error. */
export function take(cursor: Cursor, tag: number, what: string): Element {
  const element = takeAny(cursor);
  if (element.tag !== tag)
    throw derError(`asn1: structure error: tags don't match (${hex(tag)} vs ${hex(element.tag)}) ${what}`);
  return element;
}

/** Takes a constructed element and stands at its first child. */
export function enter(cursor: Cursor, tag: number, what: string): Cursor {
  const element = take(cursor, tag, what);
  return { bytes: cursor.bytes, position: element.content, end: element.end };
}

export function finish(cursor: Cursor, what: string): void {
  if (!atEnd(cursor)) throw derError(`asn1: syntax error: trailing data in ${what}`);
}

/** The whole element, header included. A view, not a copy. */
export function wholeOf(bytes: Buffer, element: Element): Buffer {
  return bytes.subarray(element.start, element.end);
}

/** The contents of an element. A view, not a copy. */
export function contentOf(bytes: Buffer, element: Element): Buffer {
  return bytes.subarray(element.content, element.end);
}

/** Contents of an INTEGER, two's complement in the fewest octets (X.690 section 8.3). */
export function takeInteger(cursor: Cursor, what: string): Buffer {
  const value = contentOf(cursor.bytes, take(cursor, tags.integer, what));
  const first = value[0];
  if (first === undefined) throw derError(`asn1: structure error: empty integer in ${what}`);
  const second = value[1];
  const padded = second !== undefined && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80));
  if (padded) throw derError('asn1: structure error: integer not minimally-encoded');
  return value;
}

/** BOOLEAN, 00 or FF only (X.690 section 11.1). */
export function takeBoolean(cursor: Cursor, what: string): boolean {
  const value = contentOf(cursor.bytes, take(cursor, tags.boolean, what));
  if (value.length !== 1 || (value[0] !== 0 && value[0] !== 0xff))
    throw derError('asn1: syntax error: invalid boolean');
  return value[0] === 0xff;
}

/** The octets of a BIT STRING that is a whole number of octets, as keys and signatures are. */
export function takeOctetAlignedBits(cursor: Cursor, what: string): Buffer {
  const value = contentOf(cursor.bytes, take(cursor, tags.bitString, what));
  if (value.length === 0 || value[0] !== 0) throw derError(`asn1: syntax error: invalid padding bits in ${what}`);
  return value.subarray(1);
}

/** OBJECT IDENTIFIER in dotted form; sub-identifiers up to 2^53. */
export function takeOid(cursor: Cursor, what: string): string {
  const element = take(cursor, tags.oid, what);
  const { bytes } = cursor;
  // The arcs id-at (2.5.4) and id-ce (2.5.29) make up nearly all that is ever read.
  if (element.end - element.content === 3 && bytes[element.content] === 0x55) {
    const arc = bytes[element.content + 1] ?? 0;
    const last = bytes[element.content + 2] ?? 0;
    if (arc < 0x80 && last < 0x80) return `2.5.${arc}.${last}`;
  }
  return decodeOid(contentOf(bytes, element), what);
}

function decodeOid(content: Buffer, what: string): string {
  const parts: number[] = [];
  let value = 0;
  let started = false;
  for (const octet of content) {
    if (!started && octet === 0x80) throw derError(`asn1: syntax error: integer is not minimally encoded in ${what}`);
    value = value * 128 + (octet & 0x7f);
    if (value > Number.MAX_SAFE_INTEGER) throw derError(`asn1: structure error: base 128 integer too large in ${what}`);
    started = octet >= 0x80;
    if (started) continue;
    if (parts.length === 0) {
      const root = value < 80 ? Math.floor(value / 40) : 2;
      parts.push(root, value - root * 40);
    } else parts.push(value);
    value = 0;
  }
  if (started || parts.length === 0) throw derError(`asn1: syntax error: truncated base 128 integer in ${what}`);
  return parts.join('.');
}

function hex(tag: number): string {
  return `0x${tag.toString(16).padStart(2, '0')}`;
}
