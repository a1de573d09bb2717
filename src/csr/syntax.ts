/** Kubernetes' syntax rules for names, each answering with upstream's messages; an empty list means sound. */

const labelPattern = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const subdomainPattern = `${labelPattern}(\\.${labelPattern})*`;
const qualifiedPattern = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]';
const labelValuePattern = `(${qualifiedPattern})?`;

const labelRegex = new RegExp(`^${labelPattern}$`);
const subdomainRegex = new RegExp(`^${subdomainPattern}$`);
const qualifiedRegex = new RegExp(`^${qualifiedPattern}$`);
const labelValueRegex = new RegExp(`^${labelValuePattern}$`);

function regexMessage(message: string, pattern: string, examples: readonly string[]): string {
  const quoted = examples.map((e) => `'${e}'`).join(',  or ');
  return `${message} (e.g. ${quoted}, regex used for validation is '${pattern}')`;
}

const labelMessage = regexMessage(
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
  labelPattern,
  ['my-name', '123-abc'],
);
const subdomainMessage = regexMessage(
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
  subdomainPattern,
  ['example.com'],
);
const qualifiedMessage = regexMessage(
  "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
  qualifiedPattern,
  ['MyName', 'my.name', '123-abc'],
);
const labelValueMessage = regexMessage(
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
  labelValuePattern,
  ['MyValue', 'my_value', '12345'],
);

function tooLong(length: number): string {
  return `must be no more than ${String(length)} bytes`;
}

function check(value: string, longest: number, regex: RegExp, message: string): string[] {
  const messages: string[] = [];
  if (Buffer.byteLength(value) > longest) messages.push(tooLong(longest));
  if (!regex.test(value)) messages.push(message);
  return messages;
}

/** RFC 1123 label, lower case. */
export function labelMessages(value: string): string[] {
  return check(value, 63, labelRegex, labelMessage);
}

/** RFC 1123 subdomain, lower case. */
export function subdomainMessages(value: string): string[] {
  return check(value, 253, subdomainRegex, subdomainMessage);
}

export function labelValueMessages(value: string): string[] {
  return check(value, 63, labelValueRegex, labelValueMessage);
}

/** `[prefix/]name`: keys of labels and annotations, finalizers. */
export function qualifiedNameMessages(value: string): string[] {
  const parts = value.split('/');
  if (parts.length > 2) {
    return [
      `a qualified name ${qualifiedMessage} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`,
    ];
  }
  const messages: string[] = [];
  if (parts.length === 2) {
    const prefix = parts[0] ?? '';
    if (prefix === '') messages.push('prefix part must be non-empty');
    else messages.push(...subdomainMessages(prefix).map((m) => `prefix part ${m}`));
  }
  const name = parts[parts.length - 1] ?? '';
  if (name === '') messages.push('name part must be non-empty');
  else if (Buffer.byteLength(name) > 63) messages.push(`name part ${tooLong(63)}`);
  if (!qualifiedRegex.test(name)) messages.push(`name part ${qualifiedMessage}`);
  return messages;
}

/** A name that can be a path segment (upstream's rule for names of cluster-scoped objects without a rule of their own). */
export function pathSegmentMessages(value: string): string[] {
  if (value === '.' || value === '..') return [`may not be '${value}'`];
  return ['/', '%'].filter((c) => value.includes(c)).map((c) => `may not contain '${c}'`);
}
