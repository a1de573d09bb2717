import { RotundaError } from '../../errors.js';

/** The place behind a name in a list that is ordered by name. */
export function encodeCursor(name: string): string {
  return Buffer.from(`after:${name}`, 'utf8').toString('base64url');
}

/** Throws 'bad-request' for a cursor that is not one. */
export function decodeCursor(cursor: string): string {
  const decoded = Buffer.from(cursor, 'base64url').toString('utf8');
  if (decoded.startsWith('after:') && !decoded.includes('\0')) return decoded.slice('after:'.length);
  throw new RotundaError('bad-request', 'continue is not from a page of this list', {
    hint: 'leave continue out to start again',
  });
}
