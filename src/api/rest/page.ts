import { RotundaError } from '../../errors.js';

type PageOptions = { readonly limit: number; readonly continue?: string | undefined };

/**
 * One page of a list that is in memory, ordered by key. The cursor names the last key given, so that what is created or
 * deleted between pages neither repeats nor hides another item. Throws 'bad-request' for a cursor that is not one.
 */
export function paginate<T>(
  items: readonly T[],
  keyOf: (item: T) => string,
  options: PageOptions,
): { items: T[]; continue?: string } {
  const after = options.continue === undefined ? undefined : decodeCursor(options.continue);
  const keyed = items.map((item) => ({ key: keyOf(item), item }));
  const rest = keyed.filter(({ key }) => after === undefined || key > after);
  rest.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  const shown = rest.slice(0, options.limit);
  const last = shown.at(-1);
  const more = rest.length > shown.length && last !== undefined;
  return { items: shown.map(({ item }) => item), ...(more ? { continue: encodeCursor(last.key) } : {}) };
}

function encodeCursor(key: string): string {
  return Buffer.from(`after:${key}`, 'utf8').toString('base64url');
}

function decodeCursor(cursor: string): string {
  const decoded = Buffer.from(cursor, 'base64url').toString('utf8');
  if (!decoded.startsWith('after:')) {
    throw new RotundaError('bad-request', 'continue is not from a page of this list', {
      hint: 'leave continue out to start again',
    });
  }
  return decoded.slice('after:'.length);
}
