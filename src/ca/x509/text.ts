import { isUtf8 } from 'node:buffer';
import { type Element, derError, tags } from './der.js';

/** Go writes PrintableString without `*` and `&`, which it would read. */
const printable = /^[A-Za-z0-9 '()+,\-./:=?]*$/;
const printableAsRead = /^[A-Za-z0-9 '()+,\-./:=?*&]*$/;
const control = /\p{Cc}/u;
const loneSurrogate = /\p{Cs}/u;

export function isPrintable(value: string): boolean {
  return printable.test(value);
}

export function hasControlCharacters(value: string): boolean {
  return control.test(value);
}

/** False for text with half a surrogate pair, which has no UTF-8. */
export function isWellFormed(value: string): boolean {
  return !loneSurrogate.test(value);
}

/** Text of ASCII octets, undefined where there are others. */
export function asciiText(bytes: Buffer, from: number, to: number): string | undefined {
  for (let at = from; at < to; at += 1) if ((bytes[at] ?? 0) > 0x7f) return undefined;
  return bytes.toString('latin1', from, to);
}

/**
 * Text of an attribute value. Undefined for a type that is no string, which upstream skips; throws `invalid`, as
 * upstream does, for a string with octets that its type does not have.
 */
export function decodeText(bytes: Buffer, { tag, content, end }: Element, what: string): string | undefined {
  switch (tag) {
    case tags.printableString:
      return checked(bytes.toString('latin1', content, end), printableAsRead, 'PrintableString', what);
    case tags.utf8String:
      if (!isUtf8(bytes.subarray(content, end))) throw derError(`asn1: syntax error: invalid UTF-8 string in ${what}`);
      return bytes.toString('utf8', content, end);
    case tags.ia5String:
      return asciiText(bytes, content, end) ?? fail('IA5String', what);
    case tags.numericString:
      return checked(bytes.toString('latin1', content, end), /^[0-9 ]*$/, 'NumericString', what);
    case tags.t61String:
      return bytes.toString('latin1', content, end);
    case tags.bmpString:
      return decodeBmp(bytes.subarray(content, end), what);
    default:
      return undefined;
  }
}

function checked(text: string, shape: RegExp, type: string, what: string): string {
  return shape.test(text) ? text : fail(type, what);
}

function fail(type: string, what: string): never {
  throw derError(`asn1: syntax error: ${type} contains invalid character in ${what}`);
}

function decodeBmp(content: Buffer, what: string): string {
  if (content.length % 2 !== 0) fail('BMPString', what);
  const text = Buffer.from(content).swap16().toString('utf16le');
  if (!isWellFormed(text)) fail('BMPString', what);
  return text;
}
