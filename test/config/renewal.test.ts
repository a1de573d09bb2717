import { describe, expect, it } from 'vitest';

import { configFrom } from '../../src/config/load.js';

const base = { apiVersion: 'rotunda.dev/v1alpha1' };
const hour = 3_600_000;
const kubeletClient = 'kubernetes.io/kube-apiserver-client-kubelet';

function renewal(section?: Record<string, unknown>, rest: Record<string, unknown> = {}) {
  return configFrom({ ...base, ...rest, ...(section === undefined ? {} : { renewal: section }) }, {}).renewal;
}

function problem(section: Record<string, unknown>, rest: Record<string, unknown> = {}): string {
  try {
    renewal(section, rest);
  } catch (error) {
    return (error as Error).message;
  }
  return '';
}

describe('renewal', () => {
  it('has defaults that change no certificate', () => {
    expect(renewal()).toEqual({
      policy: { window: { from: 0.5, until: 0.85 }, outageMs: 0, shortest: 0.77 },
      steerKubelets: false,
      bucketMs: hour / 6,
      retryAfterMs: 6 * hour,
      graceMs: 0,
      rate: undefined,
      clients: [],
    });
  });

  it('is read as written', () => {
    const clients = [
      { signerName: 'kubernetes.io/kube-apiserver-client', kind: 'fixed', at: 0.667 },
      { signerName: 'etcd.rotunda.dev/peer', kind: 'kubelet' },
    ];
    const section = {
      ...{ window: { from: 0.4, until: 0.6 }, outageTolerance: '72h', steerKubelets: false, shortest: 0.8 },
      ...{ bucket: '5m', retryAfter: '1h', grace: '7d', rate: { perSecond: 60 }, clients },
    };
    expect(renewal(section)).toEqual({
      policy: { window: { from: 0.4, until: 0.6 }, outageMs: 72 * hour, shortest: 0.8 },
      steerKubelets: false,
      bucketMs: hour / 12,
      retryAfterMs: hour,
      graceMs: 168 * hour,
      rate: { perSecond: 60, burst: 360 },
      clients: [
        { signerName: 'kubernetes.io/kube-apiserver-client', client: { kind: 'fixed', at: 0.667 } },
        { signerName: 'etcd.rotunda.dev/peer', client: { kind: 'kubelet' } },
      ],
    });
  });

  it.each<[string, Record<string, unknown>]>([
    ['until must be at least 0.05 more than from', { window: { from: 0.5, until: 0.52 } }],
    ['renewal.window.from', { window: { from: 0, until: 0.5 } }],
    ['renewal.window.until', { window: { from: 0.5, until: 1 } }],
    ['must be from 1m to 1h', { bucket: '2h' }],
    ['must be from 1m to 1d', { retryAfter: '2d' }],
    ['must be from 1m to 30d', { grace: '31d' }],
    ['renewal.shortest', { shortest: 0.2 }],
    ['must have signerName and kind', { clients: [{ signerName: 'a/b', kind: 'fixed' }] }],
    ['"a.b/c": no profile has this signer name', { clients: [{ signerName: 'a.b/c', kind: 'kubelet' }] }],
    ['10: must be at least 360, a tenth of what 60 a second give in a minute', { rate: { perSecond: 60, burst: 10 } }],
    ['unknown field speed', { speed: 1 }],
  ])('%s', (message, section) => {
    expect(problem(section)).toContain(message);
  });

  it('compares the tolerated outage with every lifetime, and names both', () => {
    expect(problem({ outageTolerance: '72h' })).toBe('');
    const text = problem({ outageTolerance: '96h' });
    expect(text).toContain(
      `renewal.outageTolerance: 4d: certificates of ${kubeletClient} live 30d, and kubelets renew them`,
    );
    expect(text).toContain('at 90 % of that at the latest, so they all outlive an outage of 3d only');
    expect(text).toContain(
      'make profiles[kubernetes.io/kubelet-serving].lifetime.standard at least 40d, or tolerate less',
    );
    expect(problem({ outageTolerance: '96h' }, { lifetimes: 'upstream' })).toBe('');
    const people = problem({ outageTolerance: '16d' });
    expect(people).toContain(
      'kubernetes.io/kube-apiserver-client live 30d, and the earliest window after renewal.window.from ends at 55 % of that',
    );
    const fixed = [{ signerName: 'kubernetes.io/kube-apiserver-client', kind: 'fixed', at: 0.95 }];
    expect(problem({ outageTolerance: '48h', clients: fixed })).toContain('they are renewed at 95 % of that');
  });

  it('refuses to steer where nothing is left to choose', () => {
    const text = problem({ outageTolerance: '72h', steerKubelets: true });
    expect(text).toContain(`renewal.steerKubelets: true: certificates of ${kubeletClient} live 30d, and with`);
    expect(text).toContain('renewal.outageTolerance 3d and renewal.shortest 0.77 none may live less');
    expect(problem({ outageTolerance: '48h', steerKubelets: true })).toBe('');
    expect(problem({ steerKubelets: true, shortest: 1 })).toContain('renewal.shortest 1 none may live less');
  });
});
