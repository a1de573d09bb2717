export type Difference = {
  readonly step: number;
  readonly path: string;
  readonly expected: unknown;
  readonly actual: unknown;
};

/** Not compared: who asks differs from the recording's users, and these follow from it or from chance. */
const ignored = new Set([
  'managedFields',
  'storageVersionHash',
  'description',
  'username',
  'groups',
  'extra',
  'uid',
  'selfLink',
]);
const certificateFields = ['subject', 'seconds', 'certificates'];

/** Everything in which an outcome is not what was recorded. */
export function differences(expected: readonly unknown[], actual: readonly unknown[]): Difference[] {
  const found: Difference[] = [];
  for (let step = 0; step < Math.max(expected.length, actual.length); step += 1) {
    compare(clean(expected[step]), clean(actual[step]), '', (path, before, after) =>
      found.push({ step, path, expected: before, actual: after }),
    );
  }
  return found;
}

type Report = (path: string, expected: unknown, actual: unknown) => void;

function compare(expected: unknown, actual: unknown, path: string, report: Report): void {
  const key = path.split('.').at(-1) ?? '';
  if (ignored.has(key) || expected === actual) return;
  if (!isContainer(expected) || !isContainer(actual) || Array.isArray(expected) !== Array.isArray(actual)) {
    report(path, expected, actual);
    return;
  }
  // Lists of names are one thing: which one differs says less than what is there.
  if (key === 'keys') {
    if (JSON.stringify(expected) !== JSON.stringify(actual)) report(path, expected, actual);
    return;
  }
  const fields =
    key === 'certificate' ? certificateFields : [...new Set([...Object.keys(expected), ...Object.keys(actual)])];
  for (const field of fields) {
    compare(
      (expected as Record<string, unknown>)[field],
      (actual as Record<string, unknown>)[field],
      path === '' ? field : `${path}.${field}`,
      report,
    );
  }
}

function isContainer(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

/** Long encoded bytes inside texts, and ages, say nothing. */
function clean(value: unknown, key = ''): unknown {
  if (typeof value === 'string') return key === 'serverAddress' ? '<address>' : cleanText(value);
  if (Array.isArray(value)) {
    if (key === 'keys') return value.filter((item) => !ignored.has(String(item)));
    if (key === 'cells')
      return value.map((item: unknown, index) =>
        index === 1 && typeof item === 'string' && /^\d+s$/.test(item) ? '<age>' : cleanText(String(item)),
      );
    return value.map((item) => clean(item, key));
  }
  if (!isContainer(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([field, item]) => [field, clean(item, field)]));
}

function cleanText(text: string): string {
  return (
    text
      .replace(/"[A-Za-z0-9+/=]{60,}"/g, '"<bytes>"')
      .replace(/\\"[A-Za-z0-9+/=]{60,}\\"/g, '\\"<bytes>\\"')
      // A whole object inside a message: who asks is part of it.
      .replace(/Invalid value: "\{.*\}": strict/s, 'Invalid value: "<object>": strict')
      .replace(/\(([0-9a-f]{40,})\)?/g, '(<hex>)')
      .replace(/a{100,}/g, '<long>')
      .replace(/x{1000,}/g, '<long>')
  );
}
