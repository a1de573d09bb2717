import { createHash } from 'node:crypto';
import { isIP } from 'node:net';

import type { FieldCause } from '../../errors.js';
import { cause, type Checked, checkDnsName, checkList } from '../names.js';

const classPattern = /^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/;
const longestName = 400;

/** `<class>/<name>`: the class a lower-case label, the name any text without control characters, as common names are. */
export function checkConsumerName(text: string): Checked {
  const { class: name, own } = partsOf(text);
  if (!classPattern.test(name) || own === '') return { problem: 'must be CLASS/NAME, such as kubelet/worker-1' };
  if (text.length > longestName) return { problem: `must be at most ${String(longestName)} characters` };
  const plain = isPlain(own) && own === own.trim() && !own.startsWith('/') && !own.endsWith('/');
  return plain
    ? { value: text }
    : { problem: 'must have no control characters, and neither "/" nor blanks at its ends' };
}

/** The class and the rest of a consumer's name. */
export function partsOf(name: string): { readonly class: string; readonly own: string } {
  const at = name.indexOf('/');
  return at < 0 ? { class: name, own: '' } : { class: name.slice(0, at), own: name.slice(at + 1) };
}

/** The name with its class in front, which may be there already. */
export function fullName({ class: of, name }: { readonly class?: string; readonly name: string }): string {
  return of === undefined || name.startsWith(`${of}/`) ? name : `${of}/${name}`;
}

/** A certificate's name as part of a consumer's; what is no name to show stands by its digest. */
export function ownNameOf(text: string): string {
  if (text.length <= 253 && 'value' in checkConsumerName(`c/${text}`)) return text;
  return `sha256:${createHash('sha256').update(text).digest('hex')}`;
}

function isPlain(text: string): boolean {
  // Half of a surrogate pair has no UTF-8.
  return /^[^\p{Cc}\p{Surrogate}]*$/u.test(text);
}

/** `host:port`, with brackets around an IPv6 address. */
function checkEndpoint(text: string): Checked {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]/\s]+)):(\d{1,5})$/.exec(text);
  const [, six, host, port] = match ?? [];
  const reachable = six === undefined ? host !== undefined && isHost(host) : isIP(six) === 6;
  if (!reachable || Number(port) < 1 || Number(port) > 65_535)
    return { problem: 'must be HOST:PORT, such as 10.0.0.11:6443 or [fd00::1]:2379' };
  return { value: text.toLowerCase() };
}

function isHost(text: string): boolean {
  return isIP(text) === 4 || (!/^[\d.]+$/.test(text) && 'value' in checkDnsName(text));
}

/** Where a consumer can be reached. */
export function checkEndpoints(texts: readonly string[]): {
  values: readonly string[];
  causes: readonly FieldCause[];
} {
  return checkList('endpoints', texts, checkEndpoint, 16);
}

/** Names of key types such as `ec-p384`, as far as this service knows them or not. */
export function checkAlgorithms(texts: readonly string[]): {
  values: readonly string[];
  causes: readonly FieldCause[];
} {
  return checkList('algorithms', texts, (text) =>
    /^[a-z0-9][-a-z0-9]{0,62}$/.test(text) ? { value: text } : { problem: 'must be a key type, such as ec-p384' },
  );
}

/** One line of text for the record, `least` to `most` characters. */
export function checkLine(field: string, text: string, least: number, most: number): FieldCause[] {
  if (text.length > most)
    return [{ field, reason: 'FieldValueTooLong', message: `must be at most ${String(most)} characters` }];
  if (text.trim().length < least) return [{ field, reason: 'FieldValueRequired', message: 'Required value' }];
  return isPlain(text) ? [] : [cause(field, text, 'must have no control characters')];
}
