import { hash } from 'node:crypto';

/** A UUID (RFC 9562 version 8) that always is the same for the same parts: for objects that have none of their own. */
export function stableUid(...parts: readonly string[]): string {
  const hex = hash('sha256', parts.join('\n'), 'hex');
  return [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`, hex.slice(20, 32)].join(
    '-',
  );
}
