import { randomFillSync } from 'node:crypto';

import type { Random } from './clock.js';

/** Bytes fetched from OpenSSL at once: a call costs the same for 16 bytes as for this many. */
const blockSize = 4096;

/** The operating system's randomness by way of OpenSSL, fetched in blocks. Every byte is given once and wiped behind. */
export function systemRandom(): Random {
  const block = Buffer.alloc(blockSize);
  let next = blockSize;
  return {
    bytes(count) {
      const out = Buffer.alloc(count);
      if (count > blockSize) return randomFillSync(out);
      if (next + count > blockSize) {
        randomFillSync(block);
        next = 0;
      }
      block.copy(out, 0, next, next + count);
      block.fill(0, next, next + count);
      next += count;
      return out;
    },
  };
}
