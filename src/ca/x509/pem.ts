import { RotundaError, invalid } from '../../errors.js';

export type PemMode = 'strict' | 'upstream';
export type DecodePemOptions = {
  /** The label that the block must have, such as `CERTIFICATE REQUEST`. */
  readonly label: string;
  readonly mode: PemMode;
  /** The field that an error names. Default `spec.request`. */
  readonly field?: string;
};

const MAX_PEM_LENGTH = 128 * 1024;

/**
 * The contents of a PEM block. `strict`: exactly one block with this label, no headers, nothing around it but
 * white space, canonical base64 (RFC 7468 section 3). `upstream`: what Go's pem.Decode finds first, so that text around it, headers,
 * CRLF, a missing final newline and a second block do not matter; a malformed block is passed over for the next.
 * Throws `invalid` with a cause on `field`, in upstream's words; `too-large` above 128 KiB.
 */
export function decodePem(text: string | Buffer, options: DecodePemOptions): Buffer {
  const field = options.field ?? 'spec.request';
  if (text.length > MAX_PEM_LENGTH) throw new RotundaError('too-large', `${field}: PEM text of more than 128 KiB`);
  // Latin-1 keeps one character per octet, so that foreign text around a block cannot shift what is found.
  const characters = typeof text === 'string' ? text : text.toString('latin1');
  const block = options.mode === 'strict' ? strictBlock(characters, options.label, field) : firstBlock(characters);
  if (block?.label !== options.label) throw pemError(field, `PEM block type must be ${options.label}`);
  return block.bytes;
}

/** PEM with lines of 64 characters and one trailing newline (RFC 7468 section 2). */
export function encodePem(label: string, der: Buffer): string {
  const body = der.toString('base64');
  let lines = '';
  for (let at = 0; at < body.length; at += 64) lines += `${body.slice(at, at + 64)}\n`;
  return `-----BEGIN ${label}-----\n${lines}-----END ${label}-----\n`;
}

type Block = { readonly label: string; readonly bytes: Buffer };

const BEGIN = '-----BEGIN ';
const END = '\n-----END ';
const DASHES = '-----';

function pemError(field: string, message: string): RotundaError {
  return invalid([{ field, reason: 'FieldValueInvalid', message }]);
}

function strictBlock(text: string, label: string, field: string): Block {
  const begin = `${BEGIN}${label}${DASHES}`;
  const end = `${DASHES}END ${label}${DASHES}`;
  const trimmed = text.trim();
  if (!trimmed.startsWith(begin)) throw pemError(field, `PEM block type must be ${label}`);
  const stop = trimmed.indexOf(end);
  if (stop < 0) throw pemError(field, `PEM block without an end line for ${label}`);
  if (stop + end.length !== trimmed.length)
    throw pemError(field, 'exactly one PEM block is allowed, and nothing after it');
  const bytes = decodeBase64(trimmed.slice(begin.length, stop));
  if (bytes === undefined) throw pemError(field, 'PEM block is not base64, or carries headers');
  return { label, bytes };
}

/** Go's pem.Decode: the first END line with the last BEGIN line before it, on to the next END line while malformed. */
function firstBlock(text: string): Block | undefined {
  let from = 0;
  for (;;) {
    const endAt = text.indexOf(END, from);
    if (endAt < 0) return undefined;
    // Looking back no further than the END line before keeps this linear.
    const offset = text.slice(from, endAt).lastIndexOf(BEGIN);
    const beginAt = from + offset;
    if (offset === 0 || (offset > 0 && text[beginAt - 1] === '\n')) {
      const block = blockAt(text, beginAt, endAt);
      if (block !== undefined) return block;
    }
    from = endAt + END.length;
  }
}

function blockAt(text: string, beginAt: number, endAt: number): Block | undefined {
  const first = lineAt(text, beginAt);
  if (!first.line.endsWith(DASHES) || first.line.length < BEGIN.length + DASHES.length) return undefined;
  const label = first.line.slice(BEGIN.length, -DASHES.length);
  const trailer = `${label}${DASHES}`;
  const afterEnd = endAt + END.length;
  if (!text.startsWith(trailer, afterEnd) || lineAt(text, afterEnd + trailer.length).line !== '') return undefined;
  const body = skipHeaders(text, first.next, endAt);
  if (body > endAt + 1) return undefined;
  const bytes = body >= endAt ? Buffer.alloc(0) : decodeBase64(text.slice(body, endAt));
  return bytes === undefined ? undefined : { label, bytes };
}

function skipHeaders(text: string, start: number, endAt: number): number {
  let at = start;
  if (at > endAt) return at;
  while (at <= endAt) {
    const { line, next } = lineAt(text, at);
    if (!line.includes(':')) return at;
    at = next;
  }
  // Headers that run into the END line: upstream passes such a block over.
  return endAt + 2;
}

/** A line without its end and without trailing blanks, and where the next one starts. */
function lineAt(text: string, from: number): { line: string; next: number } {
  const newline = text.indexOf('\n', from);
  const stop = newline < 0 ? text.length : newline;
  const withoutReturn = newline > from && text[newline - 1] === '\r' ? newline - 1 : stop;
  let last = withoutReturn;
  while (last > from && (text[last - 1] === ' ' || text[last - 1] === '\t')) last -= 1;
  return { line: text.slice(from, last), next: newline < 0 ? text.length : newline + 1 };
}

/** Standard base64 with padding, blanks and line ends between characters ignored, nothing else. */
function decodeBase64(text: string): Buffer | undefined {
  const compact = text.replace(/[ \t\r\n]+/g, '');
  if (compact.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(compact)) return undefined;
  return Buffer.from(compact, 'base64');
}
