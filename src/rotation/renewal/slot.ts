import { hash } from 'node:crypto';

import type { Window } from './types.js';

/**
 * A certificate's own point in a window, as a share from 0 to below 1: the first 48 bits of SHA-256 over
 * `<serial>/<epoch>` (serial in lower-case hex), divided by 2^48. It is drawn once and for all: whoever knows the serial
 * finds the same one, and nothing has to be remembered.
 */
export function shareOf(serial: string, epoch: string): number {
  return parseInt(hash('sha256', `${serial}/${epoch}`, 'hex').slice(0, 12), 16) / 2 ** 48;
}

/** That point in time, milliseconds. */
export function slotIn({ from, until }: Window, serial: string, epoch: string): number {
  return Math.floor(from + shareOf(serial, epoch) * (until - from));
}
