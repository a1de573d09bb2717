import { RotundaError } from '../../errors.js';
import type { ProblemSink } from './csr-problems.js';
import { type Cursor, type Element, atEnd, cursorInto, derError, enter, takeAny, takeOid, tags } from './der.js';
import { type Extension, extensionOids, readBasicConstraints, readKeyUsage, takeExtension } from './extensions.js';
import { readGeneralNames } from './general-names.js';
import type { AltName } from './types.js';

export type RequestedExtensions = { readonly names: readonly AltName[]; readonly requestsCa: boolean };

const extensionRequestOid = '1.2.840.113549.1.9.14';
const MAX_NAMES = 100;

/** Extensions that a request may carry without being refused: the names are vetted, the others have no effect. */
const harmless: ReadonlySet<string> = new Set(Object.values(extensionOids));

/**
 * Reads the attributes of a request, whose cursor stands at the first. As upstream: attributes that are not an
 * extensionRequest are passed over, also malformed ones; several extensionRequests are read as one; an extension that
 * is there twice is refused.
 */
export function takeRequestedExtensions(attributes: Cursor, sink: ProblemSink): RequestedExtensions {
  const extensions = new Map<string, Extension>();
  let requests = 0;
  while (!atEnd(attributes)) {
    const value = extensionRequest(attributes.bytes, takeAny(attributes), sink);
    if (value === undefined) continue;
    requests += 1;
    takeExtensions(enter(value, tags.sequence, 'extensionRequest'), extensions);
  }
  if (requests > 1)
    sink.add('extensionRequest', 'duplicate-attribute', 'the request has more than one extensionRequest');
  return judge(extensions, sink);
}

/** Where an attribute is an extensionRequest, a cursor at its first value. */
function extensionRequest(bytes: Buffer, attribute: Element, sink: ProblemSink): Cursor | undefined {
  let type: string;
  let values: Cursor;
  try {
    if (attribute.tag !== tags.sequence) return undefined;
    const fields = cursorInto(bytes, attribute);
    type = takeOid(fields, 'attribute');
    if (type !== extensionRequestOid) return undefined;
    values = enter(fields, tags.set, 'extensionRequest');
    const first = takeAny(values);
    if (!atEnd(values))
      sink.add('extensionRequest', 'duplicate-attribute', 'the extensionRequest has more than one value');
    if (!atEnd(fields)) sink.add('extensionRequest', 'encoding', 'there is data behind the extensionRequest');
    return { bytes, position: first.start, end: first.end };
  } catch (error) {
    if (!(error instanceof RotundaError)) throw error;
    sink.add('attributes', 'encoding', 'an attribute of the request is malformed');
    return undefined;
  }
}

function takeExtensions(list: Cursor, into: Map<string, Extension>): void {
  while (!atEnd(list)) {
    const extension = takeExtension(list);
    if (into.has(extension.oid)) throw derError('x509: certificate request contains duplicate requested extensions');
    into.set(extension.oid, extension);
  }
}

function judge(extensions: ReadonlyMap<string, Extension>, sink: ProblemSink): RequestedExtensions {
  let names: readonly AltName[] = [];
  let requestsCa = false;
  for (const extension of extensions.values()) {
    if (extension.oid === extensionOids.subjectAltName) names = judgeNames(extension.value, sink);
    else if (extension.oid === extensionOids.basicConstraints) requestsCa = judgeConstraints(extension.value, sink);
    else if (extension.oid === extensionOids.keyUsage) judgeKeyUsage(extension.value, sink);
    else if (!harmless.has(extension.oid)) {
      sink.add('extensionRequest', 'unknown-extension', `the extension ${extension.oid} is not issued`);
    }
  }
  return { names, requestsCa };
}

function judgeNames(value: Buffer, sink: ProblemSink): readonly AltName[] {
  const { names, faults } = readGeneralNames(value);
  if (names.length + faults.length > MAX_NAMES) {
    sink.add('subjectAltName', 'too-many-names', `the request has more than ${MAX_NAMES} names`);
  }
  for (const { index, rule, message } of faults) sink.add(`subjectAltName[${index}]`, rule, message);
  return names;
}

/** Upstream reads neither of these two in a request, so a malformed one is no reason to refuse it at create. */
function judgeConstraints(value: Buffer, sink: ProblemSink): boolean {
  const requestsCa = readOr(sink, 'basicConstraints', () => readBasicConstraints(value).ca) ?? false;
  if (requestsCa) sink.add('basicConstraints', 'requests-ca', 'the request asks for a CA certificate');
  return requestsCa;
}

function judgeKeyUsage(value: Buffer, sink: ProblemSink): void {
  const usages = readOr(sink, 'keyUsage', () => readKeyUsage(value)) ?? [];
  if (usages.includes('keyCertSign') || usages.includes('cRLSign')) {
    sink.add('keyUsage', 'requests-ca', 'the request asks for key usages of a CA');
  }
}

function readOr<T>(sink: ProblemSink, field: string, read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof RotundaError)) throw error;
    sink.add(field, 'encoding', `the requested ${field} is malformed`);
    return undefined;
  }
}
