import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { defaultTiming } from '../../../src/config/rotation.js';
import { pathFrom } from '../../../src/rotation/planning/paths.js';
import { planRotation } from '../../../src/rotation/planning/plan.js';
import type { Plan, PlanInput, PlanStep } from '../../../src/rotation/planning/types.js';
import { transitions } from '../../../src/rotation/transitions.js';
import type { Rotation, RotationKind, RotationState } from '../../../src/rotation/types.js';
import { classFacts, day, factsOf, inputOf, leavesOf, now, verifier } from './inputs.js';

const minute = 60_000;

function planOf(input: PlanInput): Plan {
  const plan = planRotation(input);
  if (plan === undefined) throw new Error('there is no plan');
  return plan;
}

function stepOf(plan: Plan, state: RotationState): PlanStep {
  const step = plan.steps.find((one) => one.state === state);
  if (step === undefined) throw new Error(`the plan has no ${state}`);
  return step;
}

const etcd = [verifier('etcd-member/main/m1', 3), verifier('kube-apiserver/cp-1', 3), verifier('rotunda/a', 3)];
const kubernetes = [
  ...[
    verifier('kube-apiserver/cp-1', 3, { streamsSince: undefined }),
    verifier('kubelet/w1', 3),
    verifier('kubelet/w2', 3),
  ],
  ...[verifier('kube-controller-manager/cp-1', 3), verifier('kube-scheduler/cp-1', 3), verifier('rotunda/a', 3)],
];
const software = new Map([
  ['kube-apiserver/cp-1', 'kube-apiserver 1.36.3'],
  ['kubelet/w1', 'kubelet 1.36.3'],
  ['kubelet/w2', 'kubelet 1.36.3'],
]);
const restarts = (step: PlanStep): string[] =>
  step.work.filter((one) => one.effect === 'restart').map((one) => `${one.class} ${one.file}`);

describe('the steps of a plan', () => {
  it.each<[RotationKind, string]>([
    ['planned', 'staged trusting canary issuing drained distrusting cooling finished'],
    ['emergency', 'declared spreading reissuing cut recovering finished'],
    ['reissue', 'staged trusting distrusting finished'],
    ['keys', 'staged trusting issuing drained distrusting finished'],
  ])('of a rotation of the kind %s are %s', (kind, states) => {
    const plan = planOf(inputOf('etcd', etcd, {}, { kind, crossSigned: kind === 'planned' }));
    expect(plan.steps.map(({ state }) => state).join(' ')).toBe(states);
    expect(plan.steps.map(({ present }) => present).filter(Boolean)).toHaveLength(1);
  });

  it.each<[RotationState, string]>([
    ['staged', 'aborted'],
    ['canary', 'untrusting rolled-back'],
    ['drained', 'returning untrusting rolled-back'],
    ['cooling', 'retrusting issuing returning untrusting rolled-back'],
  ])('of a rollback from %s lead through %s', (state, states) => {
    const plan = planOf(inputOf('etcd', etcd, { started: true, rollback: true }, { state, newKey: 'bbbb' }));
    expect(
      plan.steps
        .slice(1)
        .map((step) => step.state)
        .join(' '),
    ).toBe(states);
    expect(
      stepOf(planOf(inputOf('etcd', etcd, { started: true }, { state, newKey: 'bbbb' })), state).back?.join(' '),
    ).toBe(states);
  });

  it('are none where there is no way back', () => {
    const rollback = { started: true, rollback: true };
    expect(planRotation(inputOf('etcd', etcd, rollback, { kind: 'emergency', state: 'reissuing' }))).toBeUndefined();
    expect(planRotation(inputOf('etcd', etcd, rollback, { state: 'finished' }))).toBeUndefined();
    expect(stepOf(planOf(inputOf('etcd', etcd)), 'finished').back).toBeUndefined();
  });

  it('go on from where a rotation is', () => {
    const back = planOf(inputOf('etcd', etcd, { started: true }, { state: 'returning', back: true, newKey: 'bbbb' }));
    expect(back.steps.map(({ state }) => state)).toEqual(['returning', 'untrusting', 'rolled-back']);
  });

  it('say what is published and signed with, in generations that only rise', () => {
    const { steps } = planOf(inputOf('etcd', etcd));
    const text = steps.flatMap(({ does }) => does).join('\n');
    expect(text).toMatch(
      /publishes bundle 4 of etcd: the old one and the new one[^]*signs with the new one[^]*publishes bundle 5 of etcd: the new one/,
    );
    expect(text).toMatch(/seals the key of the old one[^]*erases the key of the old one, for good/);
  });
});

describe('what has to be done at consumers', () => {
  it('has etcd members restarted one at a time, and API servers for --etcd-cafile', () => {
    const plan = planOf(inputOf('etcd', etcd));
    for (const state of ['trusting', 'distrusting'] as const) {
      const step = stepOf(plan, state);
      expect(step.needsRestarts).toBe(true);
      expect(restarts(step)).toEqual(
        expect.arrayContaining([
          'etcd-member --trusted-ca-file',
          'etcd-member --peer-trusted-ca-file',
          'kube-apiserver --etcd-cafile',
        ]),
      );
      expect(step.work.find((one) => one.class === 'etcd-member')?.text).toMatch(/One member at a time.*quorum/);
    }
  });

  it('has the ring in its commands', () => {
    const commands = stepOf(planOf(inputOf('etcd', etcd)), 'trusting').work.flatMap((one) => one.commands);
    expect(commands.some((command) => command.includes('rotunda bundle get etcd -o pem'))).toBe(true);
    expect(commands.join()).not.toMatch(/\bRING\b/);
  });

  it('goes by the versions that consumers state', () => {
    const step = stepOf(planOf(inputOf('kubernetes', kubernetes, { software })), 'trusting');
    const authority = step.work.find(({ file }) => file === '--kubelet-certificate-authority');
    expect(authority).toMatchObject({ effect: 'delayed', delayMs: 5 * minute, assumed: undefined });
    const unknown = stepOf(planOf(inputOf('kubernetes', kubernetes)), 'trusting');
    expect(unknown.work.find(({ file }) => file === '--kubelet-certificate-authority')).toMatchObject({
      effect: 'restart',
      assumed: 'its version is not known: the slowest that is known of kube-apiserver is assumed',
    });
  });

  it('names and counts who, together over versions that do the same', () => {
    const mixed = new Map([...software, ['kubelet/w2', 'kubelet 1.35.0']]);
    const step = stepOf(planOf(inputOf('kubernetes', kubernetes, { software: mixed })), 'trusting');
    const kubelets = step.work.filter((one) => one.class === 'kubelet' && one.effect === 'restart');
    expect(kubelets).toMatchObject([
      { consumers: 2, names: ['kubelet/w1', 'kubelet/w2'], file: 'CA of its kubeconfig' },
    ]);
  });

  it('has the merged ConfigMap deleted and open watches ended when an authority is removed, and not before', () => {
    const plan = planOf(inputOf('kubernetes', kubernetes, { software }));
    const command = 'kubectl -n kube-system delete configmap extension-apiserver-authentication';
    expect(stepOf(plan, 'trusting').work.flatMap((one) => one.commands)).not.toContain(command);
    const last = stepOf(plan, 'distrusting').work;
    expect(last.flatMap((one) => one.commands)).toContain(command);
    expect(last.find(({ file }) => file === 'watches that are open')).toMatchObject({
      effect: 'never',
      class: 'kube-apiserver',
    });
  });

  it('warns of the file that must never hold two certificates before the bundle is written', () => {
    const { work } = stepOf(planOf(inputOf('kubernetes', kubernetes, { software })), 'trusting');
    expect(work.find(({ file }) => file.startsWith('--cluster-signing'))?.text).toMatch(/^Never write a bundle/);
  });

  it('leaves out a class that is attested to have nobody in it', () => {
    const attestation = { id: '1', statement: 'absent', generation: 0, by: 'ada', expiresAt: now + day } as const;
    const classes = classFacts('etcd', etcd).map((fact) =>
      fact.class === 'etcd-client' ? { ...fact, attestation } : fact,
    );
    const plan = planOf(inputOf('etcd', etcd, { facts: factsOf('etcd', etcd, { classes }) }));
    expect(stepOf(plan, 'trusting').work.some((one) => one.class === 'etcd-client')).toBe(false);
    expect(plan.steps.flatMap(({ blockers }) => blockers).some(({ kind }) => kind === 'class')).toBe(false);
    const without = stepOf(planOf(inputOf('etcd', etcd)), 'trusting');
    expect(without.work.find((one) => one.class === 'etcd-client')).toMatchObject({ consumers: undefined });
  });

  it('for the keys of tokens is the restart of API servers', () => {
    const plan = planOf(inputOf('service-account', [], {}, { kind: 'keys', crossSigned: false }));
    expect(restarts(stepOf(plan, 'trusting'))).toContain('kube-apiserver --service-account-key-file');
    expect(stepOf(plan, 'issuing').duration.usual).toBe(defaultTiming.longestToken);
  });
});

describe('what is in the way', () => {
  it('is each undeclared class, with what would help', () => {
    const step = stepOf(planOf(inputOf('kubernetes', kubernetes)), 'trusting');
    const classes = step.blockers.filter(({ kind }) => kind === 'class');
    expect(classes.map(({ subject }) => subject)).toEqual(['pod', 'kubeconfig', 'extension-apiserver']);
    expect(classes.every(({ remedies }) => remedies.length === 2)).toBe(true);
  });

  it('is who is silent or has a wrong clock, by name', () => {
    const odd = [
      verifier('kubelet/w1', 3, { silentSince: now - day }),
      verifier('kubelet/w2', 3, { clockSkewMs: -5 * minute }),
    ];
    const subjects = stepOf(planOf(inputOf('kubernetes', odd)), 'trusting').blockers.filter(
      ({ kind }) => kind === 'consumer',
    );
    expect(subjects.map(({ subject, lastEvidence }) => [subject, lastEvidence])).toEqual([
      ['kubelet/w1', 'it is silent'],
      ['kubelet/w2', 'its clock is 300 s away'],
    ]);
  });

  it('is what cannot be seen when an authority is removed: streams, copies, pins', () => {
    const copies = [
      { name: 'caBundle of v1.certificates.k8s.io', generation: undefined, holdsOld: false, remedy: 'apply it' },
    ];
    const pins = [{ kind: 'token' as const, name: 'abcdef', expiresAt: undefined }];
    const plan = planOf(
      inputOf('kubernetes', kubernetes, { facts: factsOf('kubernetes', kubernetes, { copies, pins }) }),
    );
    expect(stepOf(plan, 'drained').blockers.map(({ subject }) => subject)).toEqual(['token/abcdef']);
    const subjects = stepOf(plan, 'distrusting').blockers.map(({ subject }) => subject);
    expect(subjects).toEqual(expect.arrayContaining(['kube-apiserver', 'caBundle of v1.certificates.k8s.io']));
  });

  it('of the present state is what its gate says', () => {
    const window = { open: false, next: now + 3 * day };
    const plan = planOf(
      inputOf('etcd', etcd, { facts: factsOf('etcd', etcd, { window, restarting: 'kubernetes-2' }) }),
    );
    expect(plan.steps[0]?.blockers.map(({ subject }) => subject)).toEqual(['time', 'kubernetes-2']);
    expect(plan.steps[0]?.duration).toMatchObject({ usual: 3 * day, worst: undefined });
  });

  it('is another ring that needs restarts, at each step that does', () => {
    const others = [
      { ...inputOf('kubernetes', [], {}, { state: 'trusting' }).rotation, id: 'kubernetes-2' },
      { ...inputOf('rotunda', [], {}, { state: 'issuing' }).rotation, id: 'rotunda-1' },
    ];
    const plan = planOf(inputOf('etcd', etcd, { others }));
    const waiting = plan.steps.filter(({ waitsFor }) => waitsFor.length > 0);
    expect(waiting.map(({ state, waitsFor }) => [state, ...waitsFor])).toEqual([
      ['trusting', 'kubernetes-2'],
      ['distrusting', 'kubernetes-2'],
    ]);
    const emergency = planOf(inputOf('etcd', etcd, { others }, { kind: 'emergency', crossSigned: false }));
    expect(emergency.steps.flatMap(({ waitsFor }) => waitsFor)).toEqual([]);
  });
});

describe('how long it takes', () => {
  it('is guessed where people have to act and no rotation shows it', () => {
    const { duration } = stepOf(planOf(inputOf('etcd', etcd)), 'trusting');
    expect(duration).toMatchObject({ usual: day, worst: 7 * day, least: 6 * minute, basis: 'guessed' });
  });

  it('is as measured in earlier rotations, and not below what is configured', () => {
    const history = [{ trusting: 2 * day, cooling: day }, { trusting: 4 * day }, { trusting: minute }];
    const plan = planOf(inputOf('etcd', etcd, { history }));
    expect(stepOf(plan, 'trusting').duration).toMatchObject({
      usual: 2 * day,
      worst: 4 * day,
      basis: 'measured',
      why: 'as in 3 earlier rotations',
    });
    expect(stepOf(planOf(inputOf('etcd', etcd, { history: [{ trusting: 1 }] })), 'trusting').duration.usual).toBe(
      6 * minute,
    );
    expect(stepOf(plan, 'cooling').duration.usual).toBe(7 * day);
  });

  it('is the slowest reload where nothing has to be restarted', () => {
    const verifiers = [verifier('rotunda/a', 3)];
    const { duration } = stepOf(planOf(inputOf('rotunda', verifiers)), 'trusting');
    expect(duration).toMatchObject({ usual: 6 * minute, worst: 6 * minute, basis: 'configured' });
  });

  it('of a drain ends with the last leaf, and before the signer has changed with the longest one that may come', () => {
    const before = stepOf(planOf(inputOf('etcd', etcd, { longestLeaf: 90 * day })), 'issuing').duration;
    expect(before).toMatchObject({ usual: 27 * day, worst: 90 * day });
    const during = planOf(
      inputOf('etcd', etcd, { started: true, longestLeaf: 90 * day }, { state: 'issuing', newKey: 'bbbb' }),
    );
    expect(stepOf(during, 'issuing').duration).toMatchObject({ usual: 27 * day, worst: 30 * day });
  });

  it('is what is left of the state that it is in', () => {
    const rotation = { state: 'cooling', stateSince: now - 3 * day, newKey: 'bbbb' } as const;
    const automatic = factsOf('etcd', etcd, { timing: { ...defaultTiming, destroyKeys: 'automatic' } });
    const plan = planOf(inputOf('etcd', etcd, { started: true, facts: automatic }, rotation));
    expect(plan.steps[0]?.duration).toMatchObject({ usual: 4 * day, worst: 4 * day });
    expect(plan.finish).toEqual({ usual: now + 4 * day, worst: now + 4 * day });
  });

  it('is open at the end where an operator has the last word', () => {
    expect(planOf(inputOf('etcd', etcd)).finish.worst).toBeUndefined();
    const manual = planOf(inputOf('etcd', etcd, {}, { policy: 'manual' }));
    expect(stepOf(manual, 'drained').duration.worst).toBeUndefined();
    expect(stepOf(manual, 'drained').blockers.map(({ subject }) => subject)).toEqual(['operator']);
  });

  it('of an emergency is by its deadline', () => {
    const options = { deadline: now + day, preference: 'availability-first' } as const;
    const of = { kind: 'emergency', crossSigned: false } as const;
    const plan = planOf(inputOf('etcd', etcd, {}, { ...of, options }));
    expect(stepOf(plan, 'spreading').duration.worst).toBe(day / 2);
    expect(stepOf(plan, 'cut').from).toBe(now + day);
    const hasty = planOf(inputOf('etcd', etcd, {}, { ...of, options: { ...options, preference: 'security-first' } }));
    expect(stepOf(hasty, 'spreading').duration.worst).toBe(0);
    expect(stepOf(hasty, 'cut').from).toBe(now + day);
  });
});

describe('what would fail', () => {
  it('with a cross-certificate is nothing when the signer changes, and everything old when it is distrusted', () => {
    const plan = planOf(inputOf('kubernetes', kubernetes, { software }));
    expect(plan.failsNow).toEqual([]);
    for (const state of ['trusting', 'issuing'] as const) expect(stepOf(plan, state).wouldFail).toEqual([]);
    const distrusted = stepOf(plan, 'distrusting').wouldFail;
    expect(new Set(distrusted.map(({ authority }) => authority))).toEqual(new Set(['aaaa']));
    expect(new Set(distrusted.flatMap(({ generations }) => generations))).toEqual(new Set([5]));
    expect(
      stepOf(plan, 'cooling').wouldFail.some(
        ({ authority, certainty }) => authority === 'new' && certainty === 'holds',
      ),
    ).toBe(true);
  });

  it('without one is every new leaf at whoever has not loaded the bundle', () => {
    const plan = planOf(inputOf('kubernetes', kubernetes, { software }, { crossSigned: false }));
    const failing = stepOf(plan, 'issuing').wouldFail;
    expect(failing.length).toBeGreaterThan(0);
    expect(failing.every(({ authority, generations }) => authority === 'new' && generations.includes(3))).toBe(true);
  });

  it('is nothing once everybody has loaded and every leaf is replaced', () => {
    const loaded = etcd.map((one) => ({ ...one, loaded: 4 }));
    const attestation = { id: '1', statement: 'absent', generation: 0, by: 'ada', expiresAt: now + day } as const;
    const facts = factsOf('etcd', loaded, {
      ring: { name: 'etcd', epoch: 6, generation: 4, active: 'bbbb', frozen: false, anchors: ['aaaa', 'bbbb'] },
      classes: classFacts('etcd', loaded).map((fact) => (fact.registered > 0 ? fact : { ...fact, attestation })),
    });
    const leaves = leavesOf('etcd', 'bbbb').map((group) => ({ ...group, crossFrom: 'aaaa' }));
    const generations = [
      { generation: 3, anchors: ['aaaa'] },
      { generation: 4, anchors: ['aaaa', 'bbbb'] },
    ];
    const input = inputOf(
      'etcd',
      loaded,
      { started: true, facts, leaves, generations },
      { state: 'drained', newKey: 'bbbb' },
    );
    const plan = planOf(input);
    for (const state of ['distrusting', 'cooling', 'finished'] as const)
      expect(stepOf(plan, state).wouldFail).toEqual([]);
  });

  it('at the cut of an emergency is the blast radius, by name', () => {
    const options = { deadline: now + day, preference: 'security-first' } as const;
    const plan = planOf(inputOf('etcd', etcd, {}, { kind: 'emergency', crossSigned: false, options }));
    const cut = stepOf(plan, 'cut').wouldFail;
    expect(cut.find(({ verifier: name, authority }) => name === 'etcd-member' && authority === 'aaaa')).toMatchObject({
      verifiers: ['etcd-member/main/m1'],
      generations: [5],
    });
  });
});

describe('whatever is known', () => {
  const kind = fc.constantFrom<RotationKind>('planned', 'emergency', 'reissue', 'keys');
  const ring = fc.constantFrom('kubernetes', 'etcd', 'front-proxy', 'rotunda', 'custom');
  const consumer = fc.record({
    class: fc.constantFrom('kube-apiserver', 'kubelet', 'etcd-member', 'pod', 'mesh', 'rotunda'),
    loaded: fc.integer({ min: 0, max: 3 }),
    joiner: fc.boolean(),
    silentSince: fc.option(fc.constant(now - day), { nil: undefined }),
    clockSkewMs: fc.option(fc.integer({ min: -day, max: day }), { nil: undefined }),
    software: fc.constantFrom('', 'kubelet 1.36.3', 'kube-apiserver 1.20', 'etcd 3.6.1', 'nonsense'),
  });
  const drawn = fc
    .record({
      ...{ kind, ring, consumers: fc.array(consumer, { maxLength: 12 }), at: fc.nat(), rollback: fc.boolean() },
      ...{ crossSigned: fc.boolean(), policy: fc.constantFrom('automatic', 'manual'), started: fc.boolean() },
    })
    .map(({ consumers, at, started, ...of }) => {
      const verifiers = consumers.map(({ class: name, loaded, joiner, silentSince, clockSkewMs }, index) =>
        verifier(`${name}/${String(index)}`, loaded, { joiner, silentSince, clockSkewMs }),
      );
      const stated = new Map(consumers.map((one, index) => [`${one.class}/${String(index)}`, one.software]));
      const path = pathFrom({ kind: of.kind, state: of.kind === 'emergency' ? 'declared' : 'staged', back: false });
      const state = started ? (path[at % path.length]?.state ?? 'staged') : path[0]?.state;
      const more: Partial<Rotation> = {
        kind: of.kind,
        crossSigned: of.crossSigned,
        policy: of.policy,
        ...(state === undefined ? {} : { state }),
      };
      return inputOf(
        of.ring,
        verifiers,
        { started, rollback: of.rollback, software: stated },
        started ? { ...more, newKey: 'bbbb' } : more,
      );
    });

  it('a plan is a way through the state machine, to an end', () => {
    fc.assert(
      fc.property(drawn, (input) => {
        const plan = planRotation(input);
        if (plan === undefined) {
          expect(input.rollback).toBe(true);
          return;
        }
        expect(plan.steps[0]?.state).toBe(input.rotation.state);
        for (const [index, step] of plan.steps.slice(1).entries()) {
          const before = plan.steps[index]?.state ?? 'staged';
          const ways = transitions.filter((one) => one.kinds.includes(plan.kind) && one.from.includes(before));
          expect(ways.map(({ to }) => to)).toContain(step.state);
        }
        expect(['finished', 'rolled-back', 'aborted']).toContain(plan.steps[plan.steps.length - 1]?.state);
      }),
    );
  });

  it('times are in order, and everything in the way has a remedy', () => {
    fc.assert(
      fc.property(drawn, (input) => {
        const plan = planRotation(input);
        let from = now;
        for (const step of plan?.steps ?? []) {
          expect(step.from).toBeGreaterThanOrEqual(from);
          from = step.from;
          const { least, usual, worst } = step.duration;
          expect(least).toBeGreaterThanOrEqual(0);
          expect(usual).toBeGreaterThanOrEqual(least);
          expect(worst ?? usual).toBeGreaterThanOrEqual(usual);
          expect(step.blockers.every(({ remedies }) => remedies.length > 0)).toBe(true);
          for (const one of step.work)
            if (one.effect === 'restart' || one.effect === 'never')
              expect(one.commands.length, one.file).toBeGreaterThan(0);
        }
      }),
    );
  });
});
