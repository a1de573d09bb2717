import {
  type Cursor,
  atEnd,
  cursorOver,
  derError,
  enter,
  finish,
  peekTag,
  take,
  takeAny,
  takeInteger,
  tags,
  wholeOf,
} from './der.js';
import { type Extension, takeExtension } from './extensions.js';
import { type ReadKey, takeKey } from './key.js';
import { type ReadName, takeName } from './name.js';

/** A TBSCertificate as read, nothing judged. Buffers are views. */
export type ReadTbs = {
  readonly serial: Buffer;
  readonly signatureAlgorithm: Buffer;
  readonly issuerDer: Buffer;
  readonly subjectDer: Buffer;
  readonly subject: ReadName;
  /** Milliseconds. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly key: ReadKey;
  readonly extensions: readonly Extension[];
};

const EXTENSIONS_TAG = 0xa3;
const VERSION_TAG = 0xa0;
const utcShape = /^\d{12}Z$/;
const generalizedShape = /^\d{14}Z$/;

/** Reads a version 3 TBSCertificate, strict DER (RFC 5280 section 4.1). Throws `invalid`. */
export function readTbs(der: Buffer): ReadTbs {
  const outer = cursorOver(der);
  const fields = enter(outer, tags.sequence, 'tbsCertificate');
  finish(outer, 'tbsCertificate');
  takeVersion(fields);
  const serial = takeInteger(fields, 'serialNumber');
  const signatureAlgorithm = wholeOf(der, take(fields, tags.sequence, 'signature'));
  const issuerDer = wholeOf(der, take(fields, tags.sequence, 'issuer'));
  const validity = enter(fields, tags.sequence, 'validity');
  const notBefore = takeTime(validity);
  const notAfter = takeTime(validity);
  finish(validity, 'validity');
  const start = fields.position;
  const subject = takeName(fields, 'subject');
  const subjectDer = der.subarray(start, fields.position);
  const key = takeKey(fields);
  const extensions = takeExtensions(fields);
  finish(fields, 'tbsCertificate');
  return { serial, signatureAlgorithm, issuerDer, subjectDer, subject, notBefore, notAfter, key, extensions };
}

function takeVersion(fields: Cursor): void {
  const version = enter(fields, VERSION_TAG, 'version');
  const value = takeInteger(version, 'version');
  finish(version, 'version');
  if (value.length !== 1 || value[0] !== 2) throw derError('x509: invalid version');
}

/** UTCTime through 2049, GeneralizedTime after, always with seconds and Z (RFC 5280 section 4.1.2.5). */
function takeTime(cursor: Cursor): number {
  const { tag, content, end } = takeAny(cursor);
  const text = cursor.bytes.toString('latin1', content, end);
  const utc = tag === tags.utcTime && utcShape.test(text);
  if (!utc && !(tag === tags.generalizedTime && generalizedShape.test(text))) throw derError('x509: malformed time');
  const full = utc ? (text < '5' ? `20${text}` : `19${text}`) : text;
  const part = (from: number): number => Number(full.slice(from, from + 2));
  const year = Number(full.slice(0, 4));
  const milliseconds = Date.UTC(year, part(4) - 1, part(6), part(8), part(10), part(12));
  const date = new Date(milliseconds);
  const real = date.getUTCMonth() === part(4) - 1 && date.getUTCDate() === part(6) && date.getUTCHours() === part(8);
  if (!real || part(10) > 59 || part(12) > 59 || (!utc && year < 2050)) throw derError('x509: malformed time');
  return milliseconds;
}

function takeExtensions(fields: Cursor): Extension[] {
  const out: Extension[] = [];
  if (peekTag(fields) !== EXTENSIONS_TAG) return out;
  const wrapper = enter(fields, EXTENSIONS_TAG, 'extensions');
  const list = enter(wrapper, tags.sequence, 'extensions');
  finish(wrapper, 'extensions');
  const seen = new Set<string>();
  while (!atEnd(list)) {
    const extension = takeExtension(list);
    if (seen.has(extension.oid)) throw derError('x509: certificate contains duplicate extensions');
    seen.add(extension.oid);
    out.push(extension);
  }
  if (out.length === 0) throw derError('x509: the list of extensions is empty');
  return out;
}
