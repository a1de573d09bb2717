import { TextDecoder } from 'node:util';

import { unauthorized } from './certificate-path.js';
import type { HeaderNames } from './front-proxy-source.js';
import type { Identity } from './types.js';

/** A user as a front proxy describes it in request headers. */
export type ClaimedUser = Pick<Identity, 'username' | 'uid' | 'groups' | 'extra'>;

/**
 * The user that the headers of one request name, as kube-apiserver's request-header authenticator reads them: one group
 * per line, extra keys in lower case and percent-decoded, empty groups left out; undefined without a user name. `raw` is
 * Node's rawHeaders: merged headers would split a group at its comma. Values are UTF-8.
 *
 * Throws 'unauthorized' where upstream would pick one: two lines that name the user or its uid, or text that is no UTF-8.
 */
export function claimedUser(raw: readonly string[], names: HeaderNames): ClaimedUser | undefined {
  const username = single(raw, names.username);
  if (username === '') return undefined;
  return {
    username,
    uid: single(raw, names.uid),
    groups: names.group.flatMap((name) => valuesOf(raw, name)).filter((group) => group !== ''),
    extra: extraOf(raw, names.extraPrefix),
  };
}

/** Whether a header of one of these names, in lower case, is there. */
export function hasHeader(raw: readonly string[], names: ReadonlySet<string>): boolean {
  for (let i = 0; i < raw.length; i += 2) if (names.has((raw[i] ?? '').toLowerCase())) return true;
  return false;
}

/** The value of the first header that has one. A line twice is no API server's: somebody has added one on the way. */
function single(raw: readonly string[], names: readonly string[]): string {
  for (const name of names) {
    const values = valuesOf(raw, name);
    if (values.length > 1) throw unauthorized(`the header ${name} is there ${String(values.length)} times`);
    const [value = ''] = values;
    if (value !== '') return value;
  }
  return '';
}

function valuesOf(raw: readonly string[], name: string): string[] {
  const wanted = name.toLowerCase();
  const values: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    if ((raw[i] ?? '').toLowerCase() === wanted) values.push(textOf(raw[i + 1] ?? '', name));
  }
  return values;
}

function extraOf(raw: readonly string[], prefixes: readonly string[]): Record<string, readonly string[]> {
  const extra = new Map<string, string[]>();
  for (const prefix of prefixes.map((text) => text.toLowerCase())) {
    for (let i = 0; i + 1 < raw.length; i += 2) {
      const name = (raw[i] ?? '').toLowerCase();
      if (!name.startsWith(prefix)) continue;
      const key = unescaped(name.slice(prefix.length));
      extra.set(key, [...(extra.get(key) ?? []), textOf(raw[i + 1] ?? '', name)]);
    }
  }
  return Object.fromEntries(extra);
}

/** What does not decode stays as it is, as upstream has it. */
function unescaped(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    return key;
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const ascii = /^[\x20-\x7e\t]*$/;

/** Node reads header bytes as Latin-1; an API server writes UTF-8. */
function textOf(value: string, name: string): string {
  if (ascii.test(value)) return value;
  try {
    return utf8.decode(Buffer.from(value, 'latin1'));
  } catch {
    throw unauthorized(`the header ${name} is not UTF-8`);
  }
}
