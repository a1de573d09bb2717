import { describe, expect, test } from 'vitest';

import { infoOf } from '../../../src/rotation/renewal/info.js';
import type { RenewalClient, RenewalRule } from '../../../src/rotation/renewal/types.js';

const hour = 3_600_000;
const row = {
  ...{ serial: '01', ring: 'kubernetes', profile: 'p', ski: 'aa', issued_at: 0, not_before: 0, not_after: 100 * hour },
  ...{ renew_from: 50 * hour, renew_until: 51 * hour, revoked_at: null },
};
const context = {
  ...{ client: { kind: 'informed' } satisfies RenewalClient, bucketMs: 600_000, retryAfterMs: 6 * hour, now: hour },
  policy: { window: { from: 0.5, until: 0.85 }, outageMs: 0, shortest: 1 },
};
const wave = (notBefore: number): RenewalRule => ({
  ...{ id: 'r1', ring: 'kubernetes', notBefore, width: 1, reason: 'capacity', createdAt: hour },
});

describe('what is said of a renewal', () => {
  test('puts it off within the window of the policy alone, whatever outage is tolerated', () => {
    expect(infoOf(row, { ...context, rules: [wave(80 * hour)] }).window.from).toBe(80 * hour);
    expect(infoOf(row, { ...context, rules: [wave(90 * hour)] }).window).toMatchObject({
      ...{ from: 50 * hour, until: 51 * hour, rule: undefined },
    });
    const policy = { ...context.policy, outageMs: 24 * hour };
    expect(infoOf(row, { ...context, policy, rules: [wave(80 * hour)] }).window.from).toBe(50 * hour);
  });
});
