import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import type { Topology } from '../../../src/config/types.js';
import { classesOf } from '../../../src/fleet/consumers/classes.js';
import { lookup, reloadMatrix, slowest } from '../../../src/rotation/planning/reload-matrix.js';
import type { ReloadRow } from '../../../src/rotation/planning/reload/row.js';
import { fits, readSoftware } from '../../../src/rotation/planning/software.js';
import { topology } from './inputs.js';

const minute = 60_000;
const rowOf = (rows: readonly ReloadRow[], file: string): readonly ReloadRow[] =>
  rows.filter((row) => row.file.startsWith(file));
const apart = Object.fromEntries(Object.keys(topology).map((purpose) => [purpose, purpose])) as Topology;
const purposes = Object.keys(topology) as (keyof Topology)[];

describe('the reload matrix', () => {
  it.each([...new Set(reloadMatrix.map((row) => row.class))])(
    'has a remedy for everything that does not happen by itself: %s',
    (name) => {
      for (const row of reloadMatrix.filter((one) => one.class === name)) {
        expect(row.byHand.text, row.file).not.toBe('');
        expect(row.see, row.file).not.toBe('');
        if (row.effect === 'restart' || row.effect === 'never') expect(row.byHand.commands, row.file).not.toEqual([]);
        if (row.effect === 'delayed') expect(row.worstDelayMs, row.file).toBeGreaterThan(0);
      }
    },
  );

  it.each(purposes)('says how each class that verifies %s loads trust for it', (purpose) => {
    for (const { class: name } of classesOf(apart, purpose)) {
      const rows = reloadMatrix.filter(
        (row) => row.class === name && row.purpose === 'trust' && row.topology.includes(purpose),
      );
      expect(rows, `${name} verifies ${purpose}`).not.toEqual([]);
      for (const change of ['added', 'removed'] as const)
        expect(
          rows.some((row) => row.change === change || row.change === 'any'),
          `${name}: ${change}`,
        ).toBe(true);
    }
  });

  it('covers every version of what depends on the version', () => {
    const versions = ['1.20.0', '1.30.9', '1.31.0', '1.35.4', '1.36.0', '1.36.3', '1.50.0'];
    for (const name of new Set(reloadMatrix.map((row) => row.class))) {
      const software = reloadMatrix.find((row) => row.class === name)?.software ?? '';
      const files = (rows: readonly ReloadRow[]): string[] =>
        [...new Set(rows.map((row) => `${row.purpose} ${row.file}`))].sort();
      const all = files(reloadMatrix.filter((row) => row.class === name));
      for (const version of versions)
        expect(files(lookup(name, `${software} ${version}`).rows), `${name} ${version}`).toEqual(all);
    }
  });

  it.each([
    // What needs a restart, and what is live after five minutes alone, as measured on 1.36.3 and etcd 3.7.3.
    ['kube-apiserver', 'kube-apiserver 1.36.3', '--etcd-cafile', 'restart', undefined],
    ['kube-apiserver', 'kube-apiserver 1.36.3', '--service-account-key-file', 'restart', undefined],
    ['kube-apiserver', 'kube-apiserver 1.36.3', '--client-ca-file', 'hot', 1000],
    ['kube-apiserver', 'kube-apiserver 1.36.3', '--kubelet-certificate-authority', 'delayed', 5 * minute],
    ['kube-apiserver', 'kube-apiserver v1.35.2', '--kubelet-certificate-authority', 'restart', undefined],
    ['kube-controller-manager', 'kube-controller-manager 1.36.3', '--root-ca-file', 'restart', undefined],
    ['etcd-member', 'etcd 3.7.3', '--trusted-ca-file', 'restart', undefined],
    ['etcd-member', 'etcd 3.4.23', '--peer-trusted-ca-file', 'restart', undefined],
    ['pod', 'client-go 1.36.0', 'ca.crt', 'delayed', 7 * minute],
    ['pod', 'client-go v0.35.1', 'ca.crt', 'restart', undefined],
    ['rotunda', 'rotunda 0.1.0', 'its own rings', 'hot', 1000],
  ] as const)('%s as %s: %s is %s', (name, software, file, effect, worstDelayMs) => {
    const { rows, assumed } = lookup(name, software);
    expect(assumed).toBeUndefined();
    const found = rowOf(rows, file);
    expect(found).not.toEqual([]);
    for (const row of found) expect(row).toMatchObject({ effect, worstDelayMs });
  });

  it('has the CA of a kubelet restart with rotateCertificates, and take five minutes without', () => {
    const authority = rowOf(lookup('kubelet', 'kubelet 1.36.3').rows, 'CA of its kubeconfig');
    expect(authority.map(({ when, effect }) => [when?.slice(0, 25), effect])).toEqual([
      ['rotateCertificates: true', 'restart'],
      ['rotateCertificates: false', 'delayed'],
    ]);
    expect(slowest(authority).map(({ effect }) => effect)).toEqual(['restart']);
  });

  it('has what is removed and stays: watches, and the merged ConfigMap', () => {
    const removed = reloadMatrix.filter((row) => row.class === 'kube-apiserver' && row.change === 'removed');
    expect(removed.map(({ effect }) => effect)).toEqual(['never', 'never']);
    expect(removed.flatMap(({ byHand }) => byHand.commands)).toContain(
      'kubectl -n kube-system delete configmap extension-apiserver-authentication',
    );
  });

  it('takes a hot row as it is where no version changes it, and the slowest where the version is not known', () => {
    for (const software of ['', 'kubelet', 'something 1.36.3', 'hyperkube v1.30']) {
      const { rows, assumed } = lookup('kubelet', software);
      expect(assumed).toMatch(
        software === '' ? /^its version is not known: the slowest/ : / is not known: the slowest/,
      );
      const serving = rowOf(rows, 'serving certificate').filter(({ when }) => when === 'tlsCertFile');
      expect(serving.map(({ effect }) => effect)).toEqual(['restart']);
    }
    expect(lookup('etcd-member', '').assumed).toBeUndefined();
  });

  it('assumes a restart of a class that it does not know', () => {
    const { rows, assumed } = lookup('mesh-proxy', 'envoy 1.30.0');
    expect(assumed).toBe('nothing is known about mesh-proxy: a restart is assumed');
    expect(rows.map(({ class: name, effect }) => [name, effect])).toEqual([['mesh-proxy', 'restart']]);
  });

  it('answers for any text', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (name, software) => {
        const { rows } = lookup(name, software);
        expect(rows.length).toBeGreaterThan(0);
        for (const known of ['kubelet', 'kube-apiserver'])
          expect(lookup(known, software).rows.length).toBeGreaterThan(0);
      }),
    );
  });
});

describe('software', () => {
  it.each([
    ['kubelet 1.36.3', 'kubelet', [1, 36, 3]],
    ['kubelet v1.36.3+k3s1', 'kubelet', [1, 36, 3]],
    ['kube-apiserver/v1.35.0-rc.1', 'kube-apiserver', [1, 35, 0]],
    ['client-go v0.36.1', 'client-go', [1, 36, 1]],
    ['k8s.io/apiserver 0.35', 'k8s.io/apiserver', [1, 35]],
    ['etcd client 3.6', 'etcd client', [3, 6]],
  ])('%s', (text, name, version) => {
    expect(readSoftware(text)).toEqual({ name, version });
  });

  it.each(['', 'kubelet', '1.36.3', 'kubelet one', 'kubelet v'])('%j has no version', (text) => {
    expect(readSoftware(text)).toBeUndefined();
  });

  it.each([
    [[1, 36], '>=1.36', true],
    [[1, 36, 3], '>=1.36', true],
    [[1, 35, 9], '>=1.36', false],
    [[1, 35, 9], '<1.36', true],
    [[1, 36, 0], '<1.36', false],
    [[2, 0], '>=1.36', true],
    [[1, 4], '<1.31', true],
    [[1], undefined, true],
  ] as const)('%j in %s: %s', (version, range, expected) => {
    expect(fits(version, range)).toBe(expected);
  });

  it('refuses a range that it cannot read', () => {
    expect(() => fits([1], '~1.2')).toThrow('~1.2 is not a range of versions');
  });
});
