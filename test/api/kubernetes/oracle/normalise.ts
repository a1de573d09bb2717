import { X509Certificate } from 'node:crypto';

/** What a run's names and fixtures are called in the recording. */
export type Names = {
  readonly name: string;
  readonly run: string;
  readonly fixtures: Readonly<Record<string, string>>;
};

const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/;
const uuid = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;
const version = /resource version: \d+(, current: \d+)?|\(\d+\)/g;

/** Puts placeholders where answers differ from run to run, as in the recording; issued certificates become their facts. */
export function normalise(value: unknown, names: Names, key = ''): unknown {
  if (Array.isArray(value)) {
    if (key === 'managedFields') return value.map(managedField);
    return value.map((item) => normalise(item, names, key));
  }
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([field, item]) => [field, normalise(item, names, field)]));
  }
  return typeof value === 'string' ? normaliseText(value, names, key) : value;
}

function managedField(entry: { manager?: string; operation?: string; subresource?: string }): unknown {
  const { manager, operation, subresource } = entry;
  return { manager: manager?.split('/')[0], operation, ...(subresource === undefined ? {} : { subresource }) };
}

function normaliseText(text: string, names: Names, key: string): unknown {
  if (key === 'certificate') return text === '' ? '' : certificateFacts(text);
  if (key === 'uid') return '<uid>';
  if (key === 'resourceVersion') return text === '' ? '' : '<rv>';
  if (key === 'continue' && text !== '') return '<continue>';
  if (key === 'request' && text.length > 100) {
    const fixture = Object.entries(names.fixtures).find(([, known]) => known === text);
    return fixture === undefined ? '<bytes>' : `<fixture ${fixture[0]}>`;
  }
  if (time.test(text)) return '<time>';
  return text
    .replaceAll(names.name, '<name>')
    .replaceAll(names.run, '<run>')
    .replace(uuid, '<uuid>')
    .replace(version, '<n>');
}

/** Subject, lifetime and number of certificates: what the recording is compared by. */
function certificateFacts(base64: string): unknown {
  const pem = Buffer.from(base64, 'base64').toString();
  const certificates = pem.split('-----BEGIN CERTIFICATE-----').length - 1;
  try {
    const { subject, validFrom, validTo } = new X509Certificate(pem);
    return { certificates, subject: rfc2253(subject), seconds: (Date.parse(validTo) - Date.parse(validFrom)) / 1000 };
  } catch (error) {
    return { unreadable: error instanceof Error ? error.message : 'unreadable' };
  }
}

/** `CN=…,O=…` in the order and escaping that openssl prints: last attribute first. */
function rfc2253(subject: string | undefined): string {
  const escape = (text: string): string =>
    text.replace(/[^\x20-\x7e]/g, (char) =>
      [...Buffer.from(char)].map((byte) => `\\${byte.toString(16).toUpperCase()}`).join(''),
    );
  return (subject ?? '')
    .split('\n')
    .filter((line) => line !== '')
    .reverse()
    .map(escape)
    .join(',');
}
