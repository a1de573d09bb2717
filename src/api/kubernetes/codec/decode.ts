import { RotundaError } from '../../../errors.js';
import { unknownInput } from '../status.js';
import { type Conformance, conform, ShapeError } from './conform.js';
import { isTooDeep, mayHaveDuplicates, scanJson } from './json-scan.js';
import { decodeMessage, openEnvelope, protobufMagic } from './protobuf.js';
import type { StructShape } from './schema.js';
import { parseYaml } from './yaml.js';

/** `fieldValidation`: what happens to unknown and duplicate fields. */
export type FieldValidation = 'Strict' | 'Warn' | 'Ignore';

/** What a body may hold. */
export type Expected = {
  readonly kind: string;
  /** The first one is expected; the others are accepted too. */
  readonly apiVersions: readonly string[];
  /** Versions of the kind that exist and are not served at this path. */
  readonly otherVersions?: readonly string[];
  readonly shape: StructShape;
};

export type Decoded = { readonly value: Record<string, unknown>; readonly warnings: readonly string[] };

export type BodyFormat = 'json' | 'yaml' | 'protobuf';

/** The body's encoding by Content-Type. Throws 'unsupported-media-type'. */
export function bodyFormat(contentType: string | undefined): BodyFormat {
  if (contentType === undefined || contentType === '' || contentType === 'application/json') return 'json';
  switch (contentType.split(';', 1)[0]?.trim().toLowerCase()) {
    case 'application/json':
      return 'json';
    case 'application/yaml':
      return 'yaml';
    case 'application/vnd.kubernetes.protobuf':
      return 'protobuf';
    default:
      throw new RotundaError('unsupported-media-type', unknownInput);
  }
}

/**
 * Decodes one body into JSON data of the expected kind, unknown fields left out. Throws 'bad-request' in upstream's
 * words; under Strict also for unknown and duplicate fields, which under Warn come back as warnings.
 */
export function decodeBody(body: Buffer, format: BodyFormat, expected: Expected, validation: FieldValidation): Decoded {
  if (format === 'protobuf') return { value: fromProtobuf(body, expected), warnings: [] };
  if (format === 'yaml' && body.length > longestYaml)
    throw new RotundaError('too-large', `YAML of more than ${String(longestYaml)} bytes is not read; send JSON`);
  const text = body.toString('utf8');
  const parsed = format === 'json' ? fromJson(text, body, expected) : fromYaml(text, body, expected);
  return decodeValue(parsed, expected, validation, body, format === 'json' ? text : undefined);
}

/** The same for data that is parsed already; `text` is looked through for duplicate keys. */
export function decodeValue(
  parsed: unknown,
  expected: Expected,
  validation: FieldValidation,
  body: Buffer,
  text?: string,
): Decoded {
  checkTop(parsed, body, expected);
  const typeMeta = parsed as { kind?: string; apiVersion?: string } | null;
  const label = checkType(typeMeta?.kind ?? '', typeMeta?.apiVersion ?? '', expected, body);
  const notes: Conformance = { unknown: [], keys: 0 };
  const value = shaped(parsed, expected, notes, label);
  if (validation === 'Ignore') return { value, warnings: [] };
  const duplicates = text !== undefined && mayHaveDuplicates(text, notes.keys) ? scanJson(text).duplicates : [];
  const warnings = [
    ...duplicates.map((path) => `duplicate field "${path}"`),
    ...notes.unknown.map((path) => `unknown field "${path}"`),
  ];
  if (validation === 'Strict' && warnings.length > 0)
    throw unusable(label, expected, `strict decoding error: ${listed(warnings)}`);
  return { value, warnings };
}

type Label = { readonly kind: string; readonly version: string };

function shaped(parsed: unknown, expected: Expected, notes: Conformance, label: Label): Record<string, unknown> {
  try {
    return conform(parsed, expected.shape, notes);
  } catch (error) {
    if (error instanceof ShapeError) throw unusable(label, expected, error.message);
    throw error;
  }
}

function fromJson(text: string, body: Buffer, expected: Expected): unknown {
  const refused = (fault: string): RotundaError =>
    unrecognized(`couldn't get version/kind; json parse error: ${fault}`, body, expected);
  if (isTooDeep(text)) throw refused('exceeded max depth');
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw refused(scanJson(text).error ?? 'invalid JSON');
  }
}

function fromYaml(text: string, body: Buffer, expected: Expected): unknown {
  try {
    return parseYaml(text);
  } catch (error) {
    throw unrecognized(
      `yaml: ${error instanceof Error ? (error.message.split('\n', 1)[0] ?? '') : 'unreadable'}`,
      body,
      expected,
    );
  }
}

function fromProtobuf(body: Buffer, expected: Expected): Record<string, unknown> {
  if (body.length < protobufMagic.length || !body.subarray(0, protobufMagic.length).equals(protobufMagic)) {
    throw unrecognized(
      body.length === 0
        ? 'empty data'
        : 'provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]',
      body,
      expected,
    );
  }
  const envelope = decoding(
    () => openEnvelope(body),
    () => unrecognized('unexpected EOF', body, expected),
  );
  const label = checkType(envelope.kind, envelope.apiVersion, expected, body);
  const value = decoding(
    () => decodeMessage(expected.kind, envelope.raw),
    () => unusable(label, expected, 'unexpected EOF'),
  );
  return shaped(value, expected, { unknown: [], keys: 0 }, label);
}

function decoding<T>(read: () => T, otherwise: () => RotundaError): T {
  try {
    return read();
  } catch (error) {
    throw Object.assign(otherwise(), { cause: error });
  }
}

const goTypeMeta =
  'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }';

/** What upstream finds while it looks for kind and apiVersion only. */
function checkTop(parsed: unknown, body: Buffer, expected: Expected): void {
  const complain = (message: string): never => {
    throw unrecognized(
      `couldn't get version/kind; json parse error: json: cannot unmarshal ${message}`,
      body,
      expected,
    );
  };
  if (parsed === null || parsed === undefined) return;
  if (typeof parsed !== 'object' || Array.isArray(parsed))
    complain(`${nameOf(parsed)} into Go value of type ${goTypeMeta}`);
  for (const field of ['apiVersion', 'kind']) {
    const given = (parsed as Record<string, unknown>)[field];
    if (given === undefined || given === null || typeof given === 'string') continue;
    complain(`${nameOf(given)} into Go struct field .${field} of type string`);
  }
}

function checkType(kind: string, apiVersion: string, expected: Expected, body: Buffer): Label {
  if (apiVersion.split('/').length > 2)
    throw unrecognized(`unexpected GroupVersion string: ${apiVersion}`, body, expected);
  const wanted = expected.apiVersions[0] ?? '';
  const given = { kind: kind === '' ? expected.kind : kind, apiVersion: apiVersion === '' ? wanted : apiVersion };
  const label = { kind: given.kind, version: given.apiVersion.slice(given.apiVersion.indexOf('/') + 1) };
  if (given.kind === expected.kind) {
    if (expected.apiVersions.includes(given.apiVersion)) return label;
    if (expected.otherVersions?.includes(given.apiVersion) === true) {
      throw new RotundaError(
        'bad-request',
        `the API version in the data (${given.apiVersion}) does not match the expected API version (${wanted})`,
      );
    }
  }
  throw unusable(
    label,
    expected,
    `no kind "${given.kind}" is registered for version "${given.apiVersion}" in scheme "pkg/runtime/scheme.go:111"`,
  );
}

function unusable(label: Label, expected: Expected, message: string): RotundaError {
  return new RotundaError(
    'bad-request',
    `${label.kind} in version ${JSON.stringify(label.version)} cannot be handled as a ${expected.kind}: ${message}`,
  );
}

function unrecognized(message: string, body: Buffer, expected: Expected): RotundaError {
  return new RotundaError(
    'bad-request',
    `the object provided is unrecognized (must be of type ${expected.kind}): ${message} (${summaryOf(body)})`,
  );
}

const longestList = 16 * 1024;
/** Bytes. Reading YAML takes some 2 µs for each, while nothing else is served. */
const longestYaml = 256 * 1024;

/** What is wrong, as upstream joins it, without becoming many times as long as the body: a path may be very long. */
export function listed(warnings: readonly string[]): string {
  let text = '';
  for (const [index, warning] of warnings.entries()) {
    if (text.length + warning.length > longestList) return `${text} and ${String(warnings.length - index)} more`;
    text += index === 0 ? warning : `, ${warning}`;
  }
  return text;
}

const summaryBytes = 30;

function summaryOf(body: Buffer): string {
  if (body.length === 0) return '<empty>';
  const start = body.subarray(0, summaryBytes);
  return `${body[0] === 0x7b ? start.toString('utf8') : start.toString('hex')}${body.length > summaryBytes ? ' ...' : ''}`;
}

function nameOf(value: unknown): string {
  if (typeof value === 'boolean') return 'bool';
  return Array.isArray(value) ? 'array' : typeof value;
}
