import fc from 'fast-check';
import { expect, it } from 'vitest';

import { systemRandom } from '../src/random.js';

it('gives as many bytes as asked, and none twice', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 16, max: 6000 }), { maxLength: 50 }), (counts) => {
      const random = systemRandom();
      const given = counts.map((count) => random.bytes(count));
      expect(given.map((bytes) => bytes.length)).toEqual(counts);
      const windows = given.flatMap((bytes) =>
        Array.from({ length: Math.floor(bytes.length / 16) }, (_, i) => bytes.toString('hex', i * 16, i * 16 + 16)),
      );
      expect(new Set(windows).size).toBe(windows.length);
    }),
  );
});

it('hands out bytes of their own, which later calls do not change', () => {
  const random = systemRandom();
  const first = random.bytes(32);
  const copy = Buffer.from(first);
  for (let i = 0; i < 1000; i += 1) random.bytes(32);
  expect(first.equals(copy)).toBe(true);
});
