import { describe, expect, it, test } from 'vitest';

import type { Topology } from '../../../src/config/types.js';
import { builtInClasses } from '../../../src/fleet/consumers/built-in-classes.js';
import { classesOf, purposesOf, ringsOfClass, roleIn, verifyingIn } from '../../../src/fleet/consumers/classes.js';
import { topology } from '../../identity/rooms.js';

const split: Topology = {
  kubernetesClient: 'client',
  kubernetesServer: 'server',
  etcdPeer: 'peer',
  etcdServer: 'etcd-server',
  etcdClient: 'etcd-client',
  frontProxy: 'front-proxy',
  rotunda: 'rotunda',
};

const minimums = (layout: Topology, ring: string): Record<string, string> =>
  Object.fromEntries(classesOf(layout, ring).map((known) => [known.class, known.minimum]));

describe('built-in classes', () => {
  test.each([
    [
      'client',
      {
        rotunda: 'in-process',
        'kube-apiserver': 'canary-probe',
        'kube-controller-manager': 'self-report',
        'kube-scheduler': 'self-report',
        kubelet: 'self-report',
        'extension-apiserver': 'self-report',
      },
    ],
    [
      'server',
      {
        'kube-apiserver': 'self-report',
        'kube-controller-manager': 'restart',
        'kube-scheduler': 'self-report',
        kubelet: 'restart',
        pod: 'attestation',
        kubeconfig: 'attestation',
      },
    ],
    ['peer', { rotunda: 'in-process', 'etcd-member': 'restart' }],
    ['etcd-server', { rotunda: 'in-process', 'kube-apiserver': 'restart', 'etcd-client': 'self-report' }],
    ['etcd-client', { rotunda: 'in-process', 'etcd-member': 'restart' }],
    ['front-proxy', { rotunda: 'in-process', 'kube-apiserver': 'self-report', 'extension-apiserver': 'self-report' }],
    ['rotunda', { rotunda: 'in-process' }],
  ])('verify the ring %s with what they need', (ring, expected) => {
    expect(minimums(split, ring)).toEqual(expected);
  });

  it('need the strongest of what a ring of several purposes takes', () => {
    expect(minimums(topology, 'kubernetes')).toEqual({
      rotunda: 'in-process',
      'kube-apiserver': 'canary-probe',
      'kube-controller-manager': 'restart',
      'kube-scheduler': 'self-report',
      kubelet: 'restart',
      pod: 'attestation',
      kubeconfig: 'attestation',
      'extension-apiserver': 'self-report',
    });
    expect(purposesOf(topology, 'kubernetes')).toEqual(['kubernetesClient', 'kubernetesServer']);
  });

  it('take stronger evidence for weaker, and no probe for a file that no probe shows', () => {
    const accepted = (ring: string, name: string) => verifyingIn(topology, ring, name).accepted;
    expect(accepted('kubernetes', 'kubelet')).toEqual(['restart', 'in-process']);
    expect(accepted('kubernetes', 'kube-scheduler')).toEqual(['self-report', 'restart', 'canary-probe', 'in-process']);
    expect(accepted('etcd', 'etcd-member')).toEqual(['restart', 'canary-probe', 'in-process']);
    expect(accepted('etcd', 'kube-apiserver')).toEqual(['restart', 'reverse-handshake', 'in-process']);
    expect(accepted('kubernetes', 'kube-controller-manager')).toEqual(['restart', 'in-process']);
  });

  it('take a handshake with this service only for what verifies servers', () => {
    const takes = (ring: string, name: string): boolean =>
      verifyingIn(split, ring, name).accepted.includes('reverse-handshake');
    expect(['kubelet', 'kube-controller-manager'].map((name) => takes(split.kubernetesServer, name))).toEqual([
      true,
      true,
    ]);
    expect(takes(split.etcdServer, 'kube-apiserver')).toBe(true);
    for (const ring of [split.kubernetesClient, split.etcdPeer, split.etcdClient, split.frontProxy])
      for (const known of classesOf(split, ring))
        expect([known.class, known.accepted.includes('reverse-handshake')]).toEqual([known.class, false]);
  });

  it('can be given another minimum, but never a word for what is read only at start', () => {
    const asked = { 'etcd-member': 'self-report', 'kube-apiserver': 'self-report', kubelet: 'restart' } as const;
    expect(verifyingIn(topology, 'etcd', 'etcd-member', asked).minimum).toBe('restart');
    expect(verifyingIn(topology, 'kubernetes', 'kube-apiserver', asked).minimum).toBe('self-report');
    expect(verifyingIn(topology, 'kubernetes', 'kubelet', asked).accepted).not.toContain('self-report');
  });

  it('leave no ring without somebody to account for', () => {
    const rings = [...Object.values(split), ...Object.values(topology), 'another'];
    for (const ring of rings) expect(classesOf(split, ring).length).toBeGreaterThan(0);
    expect(classesOf(topology, 'another').map((known) => known.class)).toEqual(['other']);
  });

  it('read the keys of tokens at their start, where they are API servers', () => {
    const expected = classesOf(topology, 'service-account', { signingKeys: true });
    expect(expected.map((known) => [known.class, known.minimum])).toEqual([
      ['kube-apiserver', 'restart'],
      ['other', 'self-report'],
    ]);
    expect(verifyingIn(topology, 'service-account', 'kube-apiserver').accepted).not.toContain('self-report');
    expect(verifyingIn(topology, 'service-account', 'kubelet').minimum).toBe('self-report');
  });

  it('know their rings', () => {
    expect(ringsOfClass(topology, 'kubelet')).toEqual([{ ring: 'kubernetes', verifies: true, presents: true }]);
    expect(ringsOfClass(topology, 'kube-apiserver')).toEqual([
      { ring: 'kubernetes', verifies: true, presents: true },
      { ring: 'front-proxy', verifies: true, presents: true },
      { ring: 'etcd', verifies: true, presents: true },
    ]);
    expect(ringsOfClass(topology, 'backup')).toBeUndefined();
    expect(roleIn(topology, 'etcd', 'etcd-client')).toEqual({ verifies: true, presents: true });
    expect(roleIn(topology, 'rotunda', 'kubelet')).toEqual({ verifies: false, presents: false });
  });

  it('each say what they are, and what helps', () => {
    for (const { name, description, remedy } of builtInClasses) {
      expect([name, description.length > 5, remedy.length > 10]).toEqual([name, true, true]);
    }
  });
});
