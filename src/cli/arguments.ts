import { parseDuration } from '../config/duration.js';
import { localFailure } from './failure.js';

/** `CLUSTER/NAME` as its parts. Throws a local failure. */
export function memberName(text: string): { cluster: string; name: string } {
  const [cluster = '', name = '', ...rest] = text.split('/');
  if (cluster !== '' && name !== '' && rest.length === 0) return { cluster, name };
  throw localFailure(`${JSON.stringify(text)} does not name an etcd member`, {
    hints: ['give CLUSTER/NAME, such as main/m1'],
  });
}

/** A duration such as `90m` or `7d` as whole seconds. Throws a local failure that names the flag. */
export function seconds(flag: string, text: string): number {
  const ms = parseDuration(text);
  if (ms !== undefined) return Math.floor(ms / 1000);
  throw localFailure(`${flag} ${JSON.stringify(text)} is not a duration`, { hints: ['such as 90m, 1h30m or 7d'] });
}

/** A whole number above 0. Throws a local failure that names the flag. */
export function count(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw localFailure(`${flag} ${JSON.stringify(text)} is not a whole number above 0`);
}

/** A whole number, 0 among them. Throws a local failure that names the flag. */
export function wholeNumber(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw localFailure(`${flag} ${JSON.stringify(text)} is not a whole number`);
}

/** `KEY=VALUE` pairs as a map. Throws a local failure that names the flag. */
export function pairs(flag: string, texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const at = text.indexOf('=');
      if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
      throw localFailure(`${flag} ${JSON.stringify(text)} is not KEY=VALUE`);
    }),
  );
}
