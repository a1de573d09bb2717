import { describe, expect, it } from 'vitest';

import { wavesByPrivilege } from '../../../src/rotation/renewal/privilege.js';
import { configFrom } from '../../../src/config/load.js';

const { profiles } = configFrom({ apiVersion: 'rotunda.dev/v1alpha1', dataDir: '/nowhere' });
const hourMs = 3_600_000;

describe('the waves of an emergency', () => {
  const of = (ring: string, hours: number) =>
    wavesByPrivilege(profiles, { ring, authority: 'aa', since: 1000, deadline: 1000 + hours * hourMs });

  it('begin with those who can do most', () => {
    const waves = of('kubernetes', 24);
    const begins = new Map(waves.map(({ profile, afterMs }) => [profile, afterMs]));
    expect(begins.get('kubeadm.rotunda.dev/super-admin')).toBe(0);
    expect(begins.get('kubernetes.io/kube-apiserver-client')).toBe(0);
    expect(begins.get('kubernetes.io/kube-apiserver-client-kubelet')).toBe(10 * 60_000);
    // What no profile is configured for any more comes last, and is not forgotten.
    expect(waves.at(-1)).toMatchObject({ afterMs: 15 * 60_000, until: 1000 + 12 * hourMs });
    expect(waves.at(-1)).not.toHaveProperty('profile');
    const delays = waves.map(({ afterMs = 0 }) => afterMs);
    expect(delays).toEqual([...delays].sort((a, b) => a - b));
    expect(new Set(waves.map(({ profile }) => profile)).size).toBe(waves.length);
    expect(waves.every(({ ring, reason }) => ring === 'kubernetes' && reason === 'compromise')).toBe(true);
  });

  it('all begin well before they are over, however soon the deadline is', () => {
    for (const hours of [0, 0.01, 0.5, 4])
      for (const { afterMs = 0, until = 0 } of of('etcd', hours)) expect(1000 + afterMs).toBeLessThanOrEqual(until);
  });
});
