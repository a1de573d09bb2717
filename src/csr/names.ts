import type { Random } from '../clock.js';

const alphabet = 'bcdfghjklmnpqrstvwxz2456789';
const longestBase = 58;
const suffixLength = 5;

/** Upstream's generated name: at most 58 characters of the base, and five of an alphabet that spells nothing. */
export function generatedName(base: string, random: Random): string {
  let suffix = '';
  while (suffix.length < suffixLength) {
    for (const byte of random.bytes(suffixLength * 2)) {
      // Bytes that would make some characters likelier than others are skipped.
      if (byte >= 256 - (256 % alphabet.length) || suffix.length === suffixLength) continue;
      suffix += alphabet[byte % alphabet.length] ?? '';
    }
  }
  return `${base.slice(0, longestBase)}${suffix}`;
}

/** A random UUID, version 4 (RFC 9562). */
export function newUid(random: Random): string {
  const bytes = random.bytes(16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
