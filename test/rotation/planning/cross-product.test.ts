import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import type { Topology } from '../../../src/config/types.js';
import { builtInProfiles } from '../../../src/csr/profiles.js';
import { classesOf } from '../../../src/fleet/consumers/classes.js';
import { crossProduct, type Failure, pairsOf } from '../../../src/rotation/planning/cross-product.js';
import { edgesOf } from '../../../src/rotation/planning/edges.js';
import {
  type Generation,
  groupHolders,
  groupLeaves,
  type Leaf,
  mostNamed,
} from '../../../src/rotation/planning/groups.js';
import { classFacts, now, topology, verifier } from './inputs.js';

const kubeletClient = 'kubernetes.io/kube-apiserver-client-kubelet';
const apiserver = 'kubeadm.rotunda.dev/apiserver';
const both = ['kubernetesClient', 'kubernetesServer'] as const;
const generations: Generation[] = [
  { generation: 3, anchors: ['old'] },
  { generation: 4, anchors: ['old', 'new'] },
  { generation: 5, anchors: ['new'] },
];
const leaf = (profile: string, authority: string, crossFrom?: string, name = 'someone'): Leaf => ({
  profile,
  authority,
  crossFrom,
  name,
});

function failing(leaves: Leaf[], verifiers: ReturnType<typeof verifier>[], among = generations): readonly Failure[] {
  const holders = groupHolders(verifiers, [], now);
  return crossProduct({ leaves: groupLeaves(leaves), holders, generations: among, purposes: both });
}

describe('the cross product of leaves and bundles', () => {
  it('names who cannot verify whom, with which bundle', () => {
    const found = failing(
      [leaf(apiserver, 'new', undefined, 'cp-1')],
      [verifier('kubelet/w1', 3), verifier('kubelet/w2', 4)],
    );
    expect(found).toEqual([
      {
        ...{ purpose: 'kubernetesServer', presenter: 'kube-apiserver', profile: apiserver, authority: 'new' },
        ...{ leaves: 1, presenters: ['cp-1'], verifier: 'kubelet', consumers: 1, verifiers: ['kubelet/w1'] },
        ...{ generations: [3], certainty: 'holds' },
      },
    ]);
    expect(pairsOf(found)).toBe(1);
  });

  it('takes a cross-certificate for a way, as long as its signer is an anchor', () => {
    const crossed = leaf(apiserver, 'new', 'old');
    expect(failing([crossed], [verifier('kubelet/w1', 3)])).toEqual([]);
    expect(failing([leaf(apiserver, 'new', 'older')], [verifier('kubelet/w1', 3)])).toHaveLength(1);
  });

  it('counts a bundle that may be loaded and was not seen to be', () => {
    const [found] = failing([leaf(kubeletClient, 'old', undefined, 'w1')], [verifier('kube-apiserver/cp-1', 4)]);
    expect(found).toMatchObject({ certainty: 'may hold', generations: [5], verifiers: ['kube-apiserver/cp-1'] });
  });

  it('takes a joiner and an unknown consumer to hold anything that was ever out', () => {
    const [joined] = failing([leaf(apiserver, 'new')], [verifier('kubelet/w1', 5, { joiner: true })]);
    expect(joined).toMatchObject({ certainty: 'may hold', generations: [3] });
    expect(failing([leaf(apiserver, 'new')], [verifier('kubelet/w1', 0)])[0]?.generations).toEqual([3]);
    expect(failing([leaf(apiserver, 'new')], [verifier('kubelet/w1', 5)])).toEqual([]);
  });

  it('asks only those who are shown the leaf', () => {
    const client = [leaf(kubeletClient, 'new')];
    expect(failing(client, [verifier('kubelet/w1', 3), verifier('pod/p', 3), verifier('kube-scheduler/s', 3)])).toEqual(
      [],
    );
    expect(failing(client, [verifier('kube-apiserver/cp-1', 3)])).toHaveLength(1);
    expect(failing([leaf('rotunda.dev/canary', 'new')], [verifier('kube-apiserver/cp-1', 3)])).toEqual([]);
  });

  it('asks everybody who verifies the ring about a profile that it does not know', () => {
    const found = failing(
      [leaf('example.org/mesh', 'new')],
      [verifier('kube-apiserver/cp-1', 3), verifier('pod/p', 3)],
    );
    expect(found.map((one) => one.verifier)).toEqual(['kube-apiserver', 'pod']);
  });

  it('takes an undeclared class for somebody who may hold anything, and one that is attested for what was attested', () => {
    const classes = classFacts('etcd', []).map((fact) =>
      fact.class === 'etcd-client'
        ? {
            ...fact,
            attestation: { id: '1', statement: 'loaded' as const, generation: 4, by: 'ada', expiresAt: now + 1 },
          }
        : fact.class === 'kube-apiserver'
          ? {
              ...fact,
              attestation: { id: '2', statement: 'absent' as const, generation: 0, by: 'ada', expiresAt: now + 1 },
            }
          : fact,
    );
    const holders = groupHolders([], classes, now);
    expect(holders.map(({ class: name, loaded, count }) => [name, loaded, count])).toEqual([
      ['rotunda', undefined, undefined],
      ['etcd-member', undefined, undefined],
      ['etcd-client', 4, undefined],
    ]);
    const leaves = groupLeaves([leaf('etcd.rotunda.dev/server', 'old'), leaf('etcd.rotunda.dev/server', 'new')]);
    const found = crossProduct({ leaves, holders, generations, purposes: ['etcdServer', 'etcdPeer', 'etcdClient'] });
    expect(found.filter((one) => one.verifier === 'etcd-client')).toMatchObject([
      { authority: 'old', generations: [5], verifiers: ['etcd-client, as ada attested'], consumers: undefined },
    ]);
    expect(found.some((one) => one.verifiers[0] === 'whoever is etcd-member')).toBe(true);
    expect(pairsOf(found)).toBeUndefined();
  });

  it('is what every leaf against every consumer says, one by one', () => {
    const keys = fc.constantFrom('old', 'new', 'third');
    const someLeaf = fc.record({
      profile: fc.constantFrom(
        kubeletClient,
        apiserver,
        'kubernetes.io/kubelet-serving',
        'kubernetes.io/kube-apiserver-client',
      ),
      authority: keys,
      crossFrom: fc.option(keys, { nil: undefined }),
      name: fc.constantFrom('a', 'b', 'c'),
    });
    const someVerifier = fc.record({
      class: fc.constantFrom('kubelet', 'kube-apiserver', 'pod', 'kube-scheduler'),
      loaded: fc.integer({ min: 0, max: 5 }),
      joiner: fc.boolean(),
    });
    const bundles = fc
      .array(fc.uniqueArray(keys, { minLength: 1 }), { minLength: 1, maxLength: 5 })
      .map((list) => list.map((anchors, index) => ({ generation: index + 1, anchors })));
    fc.assert(
      fc.property(fc.array(someLeaf), fc.array(someVerifier), bundles, (leaves, drawn, published) => {
        const verifiers = drawn.map(({ class: name, loaded, joiner }, index) =>
          verifier(`${name}/${String(index)}`, loaded, { joiner }),
        );
        const pairs = leaves.flatMap((one) =>
          verifiers.filter(({ class: name, loaded, joiner }) => {
            const shown = edgesOf(one.profile, both, []).some((edge) => edge.verifiers.includes(name));
            const held = published.filter(({ generation }) => joiner || generation >= loaded);
            const verifies = (anchors: readonly string[]): boolean =>
              anchors.includes(one.authority) || anchors.includes(one.crossFrom ?? '');
            return shown && held.some(({ anchors }) => !verifies(anchors));
          }),
        );
        expect(pairsOf(failing(leaves, verifiers, published))).toBe(pairs.length);
      }),
      { numRuns: 300 },
    );
  });

  it('is quick for a hundred thousand leaves and ten thousand consumers', () => {
    const leaves = Array.from({ length: 100_000 }, (_, index) =>
      leaf(
        index % 2 === 0 ? kubeletClient : apiserver,
        index % 3 === 0 ? 'old' : 'new',
        index % 5 === 0 ? 'old' : undefined,
        `n${String(index)}`,
      ),
    );
    const verifiers = Array.from({ length: 10_000 }, (_, index) =>
      verifier(`${index % 100 === 0 ? 'kube-apiserver' : 'kubelet'}/${String(index)}`, index % 6),
    );
    const begun = performance.now();
    const found = failing(leaves, verifiers);
    expect(performance.now() - begun).toBeLessThan(2000);
    expect(pairsOf(found)).toBeGreaterThan(1_000_000);
    expect(Math.max(...found.map(({ presenters }) => presenters.length))).toBe(mostNamed);
  });
});

describe('edges', () => {
  const apart = Object.fromEntries(Object.keys(topology).map((purpose) => [purpose, purpose])) as Topology;
  const profiles = builtInProfiles(apart, 'rotunda');

  it('know every profile that is built in', () => {
    for (const { signerName, ring } of profiles) {
      const [edge] = edgesOf(signerName, [ring as keyof Topology], ['nobody']);
      expect(edge?.verifiers, signerName).not.toEqual(['nobody']);
    }
  });

  it.each(Object.keys(topology) as (keyof Topology)[])('lead to each class that verifies %s', (purpose) => {
    const names = profiles.filter(({ ring }) => ring === purpose).map(({ signerName }) => signerName);
    const met = new Set(names.flatMap((name) => edgesOf(name, [purpose], [])).flatMap(({ verifiers }) => verifiers));
    for (const { class: name } of classesOf(apart, purpose)) expect([...met], name).toContain(name);
  });
});
