import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { planRotation } from '../../../src/rotation/planning/plan.js';
import { renderPlan } from '../../../src/rotation/planning/render.js';
import { columns, roughly, some, wrapped } from '../../../src/rotation/planning/text.js';
import type { Plan } from '../../../src/rotation/planning/types.js';
import { day, inputOf, now, verifier } from './inputs.js';

const kubelets = Array.from({ length: 40 }, (_, index) => verifier(`kubelet/w${String(index)}`, 3));
const consumers = [verifier('kube-apiserver/cp-1', 3), ...kubelets];

function text(...input: Parameters<typeof inputOf>): string {
  const plan = planRotation(inputOf(...input));
  if (plan === undefined) throw new Error('there is no plan');
  // What a client has is the JSON of the answer.
  return renderPlan(JSON.parse(JSON.stringify(plan)) as Plan);
}

describe('a plan as text', () => {
  const lines = text('kubernetes', consumers).split('\n');

  it('begins with what it is, how long it takes, and a table', () => {
    expect(lines.slice(0, 6)).toEqual([
      'A rotation of kubernetes: planned, with a cross-certificate, 9 leaves, 41 consumers.',
      'It is over about 2026-04-08T09:05Z, in 37d 1h; how long at the most is up to people.',
      '',
      'STEP  STATE         BEGINS             LASTS  AT MOST  RESTARTS  BLOCKERS  ROLLBACK',
      '1     staged (now)  2026-03-02T09:00Z  0s     0s       no        -         yes',
      '2     trusting      2026-03-02T09:00Z  1d     7d       yes       6         yes',
    ]);
  });

  it('names who has to be restarted, and with which command', () => {
    expect(lines).toContain(
      '   Restart: 40 kubelet (kubelet/w0, kubelet/w1, kubelet/w2 and 37 more): CA of its kubeconfig, where',
    );
    expect(lines).toContain('         $ systemctl restart kubelet');
    expect(lines).toContain('         $ kubectl -n kube-system delete configmap extension-apiserver-authentication');
  });

  it('says what is known again in fewer words', () => {
    expect(lines.filter((line) => line.includes('kubelet.conf config set-cluster'))).toHaveLength(1);
    expect(lines.filter((line) => line.includes('As in step 2.')).length).toBeGreaterThan(3);
  });

  it('says what would fail, with names', () => {
    const whole = lines.join('\n').replaceAll(/\s+/g, ' ');
    expect(whole).toMatch(
      /If it were entered now, without waiting for anything: - \d leaves of the old one .* would be refused by 40 kubelet \(kubelet\/w0, kubelet\/w1, kubelet\/w2 and 37 more\), which may hold bundle 5/,
    );
    expect(whole).toContain('would be refused by whoever is pod, which may hold bundle 5');
  });

  it('breaks lines, but for commands', () => {
    expect(lines.filter((line) => line.length > 120 && !line.includes('$ '))).toEqual([]);
  });

  it('says which rotation it is of, and what it waits for', () => {
    const others = [{ ...inputOf('kubernetes', [], {}, { state: 'trusting' }).rotation, id: 'kubernetes-2' }];
    const etcd = text(
      'etcd',
      [verifier('etcd-member/main/m1', 3)],
      { started: true, others },
      { id: 'etcd-7', newKey: 'bbbb' },
    );
    expect(etcd).toMatch(/^The rotation etcd-7 of etcd: planned/);
    expect(etcd).toContain('   Begins when kubernetes-2 needs no restarts any more: one rotation at a time may.');
  });

  it('says what cannot be verified as things are', () => {
    const leaves = [
      { profile: 'etcd.rotunda.dev/server', authority: 'cccc', crossFrom: undefined, count: 2, names: ['m1', 'm2'] },
    ];
    const etcd = text('etcd', [verifier('kube-apiserver/cp-1', 3)], { leaves }).replaceAll(/\s+/g, ' ');
    expect(etcd).toContain(
      'As things are already, without a rotation: - 2 leaves of cccc (m1, m2) would be refused by 1 kube-apiserver (kube-apiserver/cp-1), which holds bundle 3',
    );
  });

  it('of an emergency says that there is no way back', () => {
    const options = { deadline: now + day, preference: 'availability-first' } as const;
    const found = text('etcd', consumers, {}, { kind: 'emergency', crossSigned: false, options });
    expect(found).toContain('No rollback from here.');
    expect(found).toContain('marks the old authority as tainted');
  });
});

describe('text', () => {
  it.each([
    [0, '0s'],
    [1, '1s'],
    [1000, '1s'],
    [59_001, '1m'],
    [90_000, '1m 30s'],
    [3_600_000, '1h'],
    [day - 1, '1d'],
    [day + 1, '1d 1h'],
    [day + 82_800_001, '2d'],
    [41 * day + 3 * 3_600_000, '41d 3h'],
  ])('%d ms are %s', (ms, expected) => {
    expect(roughly(ms)).toBe(expected);
  });

  it('lines up columns', () => {
    expect(
      columns([
        ['A', 'B'],
        ['long', 'x'],
      ]),
    ).toEqual(['A     B', 'long  x']);
  });

  it('counts the names that it leaves out', () => {
    expect(some(['a', 'b', 'c'], 9, 2)).toBe('a, b and 7 more');
    expect(some(['a'], 1, 2)).toBe('a');
    expect(some(['a'], undefined, 2)).toBe('a');
  });

  it('loses no word when it breaks lines', () => {
    fc.assert(
      fc.property(fc.array(fc.stringMatching(/^[a-z]{1,30}$/), { minLength: 1 }), (words) => {
        const lines = wrapped(words.join(' '), '  ', '    ', 40);
        expect(lines.map((line) => line.trim()).join(' ')).toBe(words.join(' '));
        expect(lines.every((line) => line.length <= 40 || !line.trim().includes(' '))).toBe(true);
      }),
    );
  });
});
