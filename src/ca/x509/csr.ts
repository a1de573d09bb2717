import { RotundaError, invalid } from '../../errors.js';
import {
  type Cursor,
  atEnd,
  cursorOver,
  derError,
  enter,
  take,
  takeInteger,
  takeOctetAlignedBits,
  tags,
  wholeOf,
} from './der.js';
import { takeRequestedExtensions } from './csr-extensions.js';
import { type ProblemSink, createProblemSink } from './csr-problems.js';
import { judgeSubject } from './csr-subject.js';
import { importKey, keyPolicyFault, takeKey, toSubjectKey, type ReadKey } from './key.js';
import { attributeOids, takeName, type ReadName } from './name.js';
import { type SignatureAlgorithm, checkSignature, takeSignatureAlgorithm } from './signature.js';
import type { AltName, CsrProblem, ReadCsr } from './types.js';

/** A CSR as it says, its signature not checked. Buffers are views. */
export type ParsedCsr = {
  readonly signed: Buffer;
  readonly algorithm: SignatureAlgorithm;
  readonly signature: Buffer;
  readonly subject: ReadName;
  readonly key: ReadKey;
  readonly names: readonly AltName[];
  readonly requestsCa: boolean;
  readonly problems: readonly CsrProblem[];
};

const MAX_CSR_LENGTH = 64 * 1024;
const ATTRIBUTES_TAG = 0xa0;

/**
 * Reads all of a PKCS#10 request (RFC 2986), nothing left for later. Throws `invalid` where upstream's parser would;
 * what upstream reads and Rotunda never signs is in `problems`.
 */
export function parseCsr(der: Buffer): ParsedCsr {
  if (der.length > MAX_CSR_LENGTH) throw derError(`the certificate request is longer than ${MAX_CSR_LENGTH} bytes`);
  const sink = createProblemSink();
  const outer = cursorOver(der);
  const request = enter(outer, tags.sequence, 'certificateRequest');
  if (!atEnd(outer)) throw derError('asn1: syntax error: trailing data');
  const info = take(request, tags.sequence, 'certificationRequestInfo');
  const algorithm = takeSignatureAlgorithm(request);
  const signature = takeOctetAlignedBits(request, 'signature');
  noMore(request, sink, 'request');
  if (algorithm.weak) sink.add('signature', 'signature-hash', 'the request is signed with SHA-1');
  if (algorithm.parametersFault)
    sink.add('signature', 'encoding', 'the signature algorithm has parameters that it must not have, or lacks its own');
  const read = readInfo({ bytes: der, position: info.content, end: info.end }, sink);
  return { signed: wholeOf(der, info), algorithm, signature, ...read, problems: sink.problems };
}

/**
 * Reads a PKCS#10 request and checks its signature by its own key: what upstream does at create. Throws RotundaError
 * `invalid` with one cause on `spec.request` for what upstream would refuse (in its words, where it has short ones, and
 * without the `Invalid value: …` that names the bytes), and above 64 KiB. Everything that upstream lets through and
 * Rotunda never signs is in `problems`: without any, the key policy and every name have been checked.
 */
export function readCsr(der: Buffer): ReadCsr {
  try {
    return verified(der, parseCsr(der));
  } catch (error) {
    if (!(error instanceof RotundaError)) throw error;
    throw invalid([{ field: 'spec.request', reason: 'FieldValueInvalid', message: error.message }]);
  }
}

function verified(der: Buffer, parsed: ParsedCsr): ReadCsr {
  const { algorithm, key, names, problems, requestsCa, signature, signed, subject } = parsed;
  checkSignature(algorithm, signed, signature, { type: key.type, publicKey: importKey(key) });
  const attributes = subject.attributes;
  return Object.freeze({
    subject: attributes,
    commonName: attributes.findLast((a) => a.oid === attributeOids.commonName)?.value ?? '',
    organizations: attributes.filter((a) => a.oid === attributeOids.organization).map((a) => a.value),
    names,
    key: toSubjectKey(key),
    requestsCa,
    der: Buffer.from(der),
    problems,
  });
}

type ReadInfo = Pick<ParsedCsr, 'subject' | 'key' | 'names' | 'requestsCa'>;

function readInfo(info: Cursor, sink: ProblemSink): ReadInfo {
  const version = takeInteger(info, 'version');
  if (version.length !== 1 || version[0] !== 0) sink.add('version', 'version', 'the version is not 0 (v1)');
  const subject = takeName(info, 'subject');
  judgeSubject(subject, sink);
  const key = takeKey(info);
  const fault = keyPolicyFault(key);
  if (fault !== undefined) sink.add('key', fault.rule, fault.message);
  if (atEnd(info)) throw derError('asn1: syntax error: sequence truncated');
  const extensions = takeRequestedExtensions(enter(info, ATTRIBUTES_TAG, 'attributes'), sink);
  noMore(info, sink, 'request');
  return { subject, key, ...extensions };
}

/** Upstream's parser passes over elements behind the last one that it knows; Rotunda signs for no such request. */
function noMore(cursor: Cursor, sink: ProblemSink, field: string): void {
  if (!atEnd(cursor)) sink.add(field, 'encoding', 'there is data behind the last field');
}
