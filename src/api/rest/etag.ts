import { hash } from 'node:crypto';

/** A strong entity tag for a body. */
export function etagOf(body: string): string {
  return `"${hash('sha256', body, 'base64url')}"`;
}
