import { describe, expect, it } from 'vitest';

import { validityOf } from '../../src/csr/lifetime.js';
import { builtInProfiles } from '../../src/csr/profiles.js';
import { topology } from '../identity/rooms.js';
import { kubeletClient, profileOf } from './support.js';

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
const now = Date.UTC(2026, 10, 23, 12, 0, 0, 789);
const second = Date.UTC(2026, 10, 23, 12);
const upstream = profileOf(kubeletClient, builtInProfiles(topology, 'upstream'));
const own = profileOf(kubeletClient);

describe('validity', () => {
  it.each([
    ['the shortest', 600, 600_000],
    ['below the shortest', 60, 600_000],
    ['under eight hours: five minutes on top', 8 * 3600 - 1, 8 * hour - 1000],
    ['eight hours: five minutes within', 8 * 3600, 8 * hour - 5 * minute],
    ['a day', 86_400, day - 5 * minute],
    ['nothing: a year', undefined, 365 * day - 5 * minute],
    ['400 days: a year', 34_560_000, 365 * day - 5 * minute],
  ])('upstream, asked for %s', (_what, seconds, untilEnd) => {
    const validity = validityOf(upstream, seconds, now);
    expect({ begin: validity.notBefore - second, end: validity.notAfter - second }).toEqual({
      begin: -5 * minute,
      end: untilEnd,
    });
  });

  it('gives a kubelet 30 days when nothing is asked for, and at most a year', () => {
    expect(validityOf(own, undefined, now).notAfter - second).toBe(30 * day - 5 * minute);
    expect(validityOf(own, 90 * 86_400, now).notAfter - second).toBe(90 * day - 5 * minute);
    expect(validityOf(own, 500 * 86_400, now).notAfter - second).toBe(365 * day - 5 * minute);
  });

  it('says when it gives less than was asked for, and only then', () => {
    expect(validityOf(own, 34_560_000, now).truncated).toBe(
      'The 34560000 s asked for were cut to 31536000 s, the longest that kubernetes.io/kube-apiserver-client-kubelet gives.',
    );
    expect(validityOf(own, 31_536_000, now).truncated).toBeUndefined();
    expect(validityOf(own, undefined, now).truncated).toBeUndefined();
  });
});
